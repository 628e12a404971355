package exact

import (
	"math"
	"math/big"
	"math/rand/v2"
	"testing"
)

func TestFMA32RoundsOnce(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	check := func(a, b, c float32) {
		t.Helper()
		got, want := FMA32(a, b, c), bigFMA32(a, b, c)
		if math.Float32bits(got) != math.Float32bits(want) {
			t.Fatalf("FMA32(%x, %x, %x) = %x, want %x", a, b, c, got, want)
		}
	}
	for range 60_000 {
		a, b, c := anyFloat32(rng), anyFloat32(rng), anyFloat32(rng)
		check(a, b, c)
		// Near the midpoints: a sum whose parts are 24 to 60 binary digits apart, so that double rounding would show.
		near := float32(float64(a) * float64(b) * math.Ldexp(1, rng.IntN(120)-60))
		check(a, b, near)
		small := math.Float32frombits(rng.Uint32()&0x80ffffff | uint32(rng.IntN(2))<<24)
		check(small, float32(rng.NormFloat64()), small)
	}
	// The exact sum is a hair above a midpoint; the sum in float64 is the midpoint itself.
	check(1+0x1p-12, 0x1p-12, 1)
	check(0x1p-100, 0x1p-49, 0x1p-149)
	check(0x1p-75, 0x1p-75, 0x1p-126)
	check(-0x1p-75, 0x1p-75, 0x1p-126)
}

func TestFMA32Specials(t *testing.T) {
	inf := float32(math.Inf(1))
	nan := float32(math.NaN())
	for _, c := range []struct{ a, b, c, want float32 }{
		{inf, 1, 1, inf},
		{-inf, 1, 1, -inf},
		{inf, 0, 1, nan},
		{1, 1, inf, inf},
		{inf, 1, -inf, nan},
		{nan, 1, 1, nan},
		{1, 1, nan, nan},
		{math.MaxFloat32, 2, 0, inf},
		{math.MaxFloat32, 2, -math.MaxFloat32, math.MaxFloat32},
		{0, 1, float32(math.Copysign(0, -1)), 0},
		{1, 1, -1, 0},
	} {
		got := FMA32(c.a, c.b, c.c)
		if math.Float32bits(got) != math.Float32bits(c.want) && !(got != got && c.want != c.want) {
			t.Errorf("FMA32(%v, %v, %v) = %v, want %v", c.a, c.b, c.c, got, c.want)
		}
	}
}

// bigFMA32 computes with enough bits to be exact and rounds once. It is for finite arguments.
func bigFMA32(a, b, c float32) float32 {
	exactly := func(x float32) *big.Float { return new(big.Float).SetPrec(700).SetFloat64(float64(x)) }
	product := new(big.Float).SetPrec(700).Mul(exactly(a), exactly(b))
	sum := new(big.Float).SetPrec(700).Add(product, exactly(c))
	if sum.Sign() == 0 {
		// big.Float has its own sign rule for exact zeros; IEEE 754's is that of the same sum in float64.
		return float32(float64(a)*float64(b)) + c
	}
	got, _ := sum.Float32()
	return got
}

// anyFloat32 returns a finite number of any size.
func anyFloat32(rng *rand.Rand) float32 {
	for {
		x := math.Float32frombits(rng.Uint32())
		if x-x == 0 {
			return x
		}
	}
}

// TestExp32 holds the stated error of Exp32 against the float64 exponential, over every 61st float32 from 2^-33 on of either sign
// (every 997th under -short).
func TestExp32(t *testing.T) {
	step := uint32(61)
	if testing.Short() {
		step = 997
	}
	worst, at := 0.0, float32(0)
	for _, sign := range []uint32{0, 1 << 31} {
		for bits := uint32(0x2f000000); bits <= 0x42c80000; bits += step {
			x := math.Float32frombits(sign | bits)
			got := Exp32(x)
			want := math.Exp(float64(x))
			switch {
			case x < Exp32Low:
				if got != 0 {
					t.Fatalf("Exp32(%v) = %v, want 0", x, got)
				}
			case x > Exp32High:
				if !math.IsInf(float64(got), 1) {
					t.Fatalf("Exp32(%v) = %v, want +Inf", x, got)
				}
			default:
				if e := ulps32(got, want); e > worst {
					worst, at = e, x
				}
			}
		}
	}
	t.Logf("largest error %.3f ULP, at %x", worst, at)
	if worst >= 1 {
		t.Errorf("error %.3f ULP at %x, stated to be under 1", worst, at)
	}
}

func TestExp32Ends(t *testing.T) {
	inf := float32(math.Inf(1))
	for _, c := range []struct{ x, want float32 }{
		{0, 1},
		{float32(math.Copysign(0, -1)), 1},
		{1e-30, 1},
		{inf, inf},
		{-inf, 0},
		{100, inf},
		{-100, 0},
		{math.MaxFloat32, inf},
		{-math.MaxFloat32, 0},
		{math.SmallestNonzeroFloat32, 1},
	} {
		if got := Exp32(c.x); got != c.want {
			t.Errorf("Exp32(%v) = %v, want %v", c.x, got, c.want)
		}
	}
	if got := Exp32(float32(math.NaN())); got == got {
		t.Errorf("Exp32(NaN) = %v", got)
	}
	if got := Exp32(Exp32Low); got < 0x1p-126 {
		t.Errorf("Exp32(%v) = %v, want a normal number", Exp32Low, got)
	}
	if got := Exp32(Exp32High); math.IsInf(float64(got), 0) {
		t.Errorf("Exp32(%v) is infinite", Exp32High)
	}
}

// ulps32 returns the distance of got from want in units in the last place of a float32 of want's size.
func ulps32(got float32, want float64) float64 {
	_, e := math.Frexp(want)
	return math.Abs(float64(got)-want) / math.Ldexp(1, max(e-24, -149))
}
