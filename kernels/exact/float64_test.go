package exact

import (
	"math"
	"math/big"
	"math/rand/v2"
	"testing"
)

// worst keeps the largest error seen of one function.
type worst struct {
	ulps float64
	at   [2]float64
}

func (w *worst) see(got float64, want *big.Float, at ...float64) {
	if e := ulps64(got, want); e > w.ulps || e != e {
		w.ulps = e
		copy(w.at[:], at)
	}
}

func (w *worst) check(t *testing.T, name string, limit float64) {
	t.Helper()
	t.Logf("%s: largest error %.4f ULP, at %v", name, w.ulps, w.at)
	if !(w.ulps < limit) {
		t.Errorf("%s: error %.4f ULP at %v, stated to be under %v", name, w.ulps, w.at, limit)
	}
}

// ulps64 returns the distance of got from want in units in the last place of a float64 of want's size.
func ulps64(got float64, want *big.Float) float64 {
	if want.Sign() == 0 {
		return math.Abs(got) / math.SmallestNonzeroFloat64
	}
	e := max(want.MantExp(nil)-53, -1074)
	d := bigOf().Sub(newBig(got), want)
	d.SetMantExp(d, -e)
	ulps, _ := d.Float64()
	return math.Abs(ulps)
}

func samples(t *testing.T) int {
	if testing.Short() {
		return 200
	}
	return 1000
}

func TestExpErrors(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	var w worst
	for range samples(t) {
		for _, x := range []float64{rng.NormFloat64(), (rng.Float64() - 0.5) * 1400, rng.NormFloat64() * 1e-9} {
			w.see(Exp(x), bigExp(newBig(x)), x)
		}
	}
	w.check(t, "Exp", 1)
}

func TestTanhErrors(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 6))
	var w worst
	for range samples(t) {
		for _, x := range []float64{rng.NormFloat64(), rng.Float64() * 0.6, rng.NormFloat64() * 1e-6, rng.Float64() * 25} {
			e := bigExp(newBig(2 * x))
			want := bigOf().Quo(bigOf().Sub(e, newBig(1)), bigOf().Add(e, newBig(1)))
			w.see(Tanh(x), want, x)
		}
	}
	w.check(t, "Tanh", 2.5)
}

func TestLogErrors(t *testing.T) {
	rng := rand.New(rand.NewPCG(7, 8))
	var w worst
	for range samples(t) / 3 {
		for _, x := range []float64{rng.ExpFloat64(), 1 + rng.NormFloat64()*1e-5, 1 + rng.Float64()/2, anyPositive(rng)} {
			w.see(Log(x), bigLog(x, math.Log(x)), x)
		}
	}
	w.check(t, "Log", 0.51)
}

func TestPowErrors(t *testing.T) {
	rng := rand.New(rand.NewPCG(9, 10))
	var w worst
	for range samples(t) / 3 {
		for _, c := range [][2]float64{
			{10000, -rng.Float64()},
			{500000, -rng.Float64()},
			{rng.ExpFloat64(), rng.NormFloat64()},
			{anyPositive(rng), rng.NormFloat64()},
			{1 + rng.Float64()*1e-3, rng.NormFloat64() * 1e5},
			{2, float64(rng.IntN(2000) - 1000)},
		} {
			x, y := c[0], c[1]
			if v := math.Pow(x, y); v == 0 || math.IsInf(v, 0) {
				continue
			}
			w.see(Pow(x, y), bigExp(bigOf().Mul(newBig(y), bigLog(x, math.Log(x)))), x, y)
		}
	}
	w.check(t, "Pow", 1)
}

func TestSinCosErrors(t *testing.T) {
	rng := rand.New(rand.NewPCG(11, 12))
	var s, c worst
	see := func(x float64) {
		sin, cos := bigSinCos(x)
		s.see(Sin(x), sin, x)
		c.see(Cos(x), cos, x)
	}
	for range samples(t) / 10 {
		see(rng.NormFloat64())
		see(float64(rng.IntN(1 << 31)))
		see(float64(rng.IntN(1<<20)) * rng.Float64())
		see(float64(rng.IntN(1000)) * math.Pi / 4)
		see(anyPositive(rng))
		see(-anyPositive(rng))
	}
	see(6381956970095103 * 0x1p797) // the float64 that lies nearest to a multiple of pi/2
	see(math.MaxFloat64)
	see(math.Nextafter(math.Pi/4, 0))
	see(math.Pi / 4)
	s.check(t, "Sin", 1)
	c.check(t, "Cos", 1)
}

// TestTwoOverPi computes the table again.
func TestTwoOverPi(t *testing.T) {
	const prec = 1400
	v := new(big.Float).SetPrec(prec).Quo(new(big.Float).SetPrec(prec).SetInt64(2), bigPi(prec))
	for i, want := range twoOverPi[1:] {
		v.SetMantExp(v, 64)
		n, _ := v.Int(nil)
		if n.Uint64() != want {
			t.Fatalf("word %d is %x, want %x", i, want, n.Uint64())
		}
		v.Sub(v, new(big.Float).SetPrec(prec).SetInt(n))
	}
}

// TestSpecials compares with the standard library where the result is exact by definition.
func TestSpecials(t *testing.T) {
	inf, nan, negZero := math.Inf(1), math.NaN(), math.Copysign(0, -1)
	values := []float64{0, negZero, 1, -1, 2, -2, 3, -3, 0.5, -0.5, inf, -inf, nan, 1 << 53, -1 << 53, 1e308, -1e308, math.SmallestNonzeroFloat64}
	same := func(a, b float64) bool { return a == b && math.Signbit(a) == math.Signbit(b) || a != a && b != b }
	for _, x := range values {
		if x == 0 || x-x != 0 || math.Abs(x) > 1000 {
			for _, f := range []struct {
				name      string
				got, want float64
			}{
				{"Exp", Exp(x), math.Exp(x)},
				{"Sin", Sin(x), math.Sin(x)},
				{"Cos", Cos(x), math.Cos(x)},
				{"Tanh", Tanh(x), math.Tanh(x)},
				{"Log", Log(x), math.Log(x)},
			} {
				finite := f.want-f.want == 0 && math.Abs(x) > 1
				if !finite && !same(f.got, f.want) {
					t.Errorf("%s(%v) = %v, want %v", f.name, x, f.got, f.want)
				}
			}
		}
		for _, y := range values {
			want := math.Pow(x, y)
			if got := Pow(x, y); !same(got, want) && math.Abs(got/want-1) > 1e-15 {
				t.Errorf("Pow(%v, %v) = %v, want %v", x, y, got, want)
			}
		}
	}
}

func anyPositive(rng *rand.Rand) float64 {
	for {
		x := math.Abs(math.Float64frombits(rng.Uint64()))
		if x-x == 0 && x > 0 {
			return x
		}
	}
}

// TestTanh32 holds the stated error of Tanh32 against float64's, over both its thresholds.
func TestTanh32(t *testing.T) {
	for x := float32(0x1p-20); x < 100; x *= 1.00013 {
		for _, x := range []float32{x, -x} {
			got, want := Tanh32(x), math.Tanh(float64(x))
			ulp := float64(math.Nextafter32(float32(math.Abs(want)), 2)) - float64(float32(math.Abs(want)))
			if math.Abs(float64(got)-want) > ulp {
				t.Fatalf("Tanh32(%v) = %v, want %v", x, got, want)
			}
		}
	}
	for _, c := range []struct{ x, want float32 }{{0, 0}, {float32(math.Inf(1)), 1}, {float32(math.Inf(-1)), -1}, {1e-40, 1e-40}} {
		if got := Tanh32(c.x); got != c.want {
			t.Errorf("Tanh32(%v) = %v, want %v", c.x, got, c.want)
		}
	}
	if got := Tanh32(float32(math.NaN())); got == got {
		t.Errorf("Tanh32(NaN) = %v", got)
	}
}
