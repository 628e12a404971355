package ref_test

import (
	"math"
	"testing"

	"pgregory.net/rapid"

	"github.com/weft-run/weft/kernels/kerneltest"
	"github.com/weft-run/weft/kernels/ref"
)

// near says whether got is within a relative and absolute tolerance of want.
func near(got float32, want, tolerance float64) bool {
	return math.Abs(float64(got)-want) <= tolerance*max(1, math.Abs(want))
}

func vector(t *rapid.T, name string, n int) []float32 {
	return rapid.SliceOfN(rapid.Float32Range(-100, 100), n, n).Draw(t, name)
}

// Rotation keeps the norm of each pair, and turns of two positions add up.
func TestRotationLaws(t *testing.T) {
	freqs := []float64{1, 0.1, 0.01, 1e-3}
	angles := func(position int32) (cos, sin []float32) {
		a := make([]float32, 8)
		ref.Angles(a, position, freqs, 1)
		return a[:4], a[4:]
	}
	for name, rotate := range map[string]func(x, cos, sin []float32){"adjacent": ref.RotateAdjacent, "halves": ref.RotateHalves} {
		t.Run(name, rapid.MakeCheck(func(t *rapid.T) {
			x := vector(t, "x", 8)
			p, q := rapid.Int32Range(0, 5000).Draw(t, "p"), rapid.Int32Range(0, 5000).Draw(t, "q")
			once, twice := append([]float32(nil), x...), append([]float32(nil), x...)
			cos, sin := angles(p + q)
			rotate(once, cos, sin)
			var before, after float64
			for i := range x {
				before += float64(x[i]) * float64(x[i])
				after += float64(once[i]) * float64(once[i])
			}
			if math.Abs(before-after) > 1e-6*max(before, 1) {
				t.Fatalf("norm %v became %v", before, after)
			}
			cos, sin = angles(p)
			rotate(twice, cos, sin)
			cos, sin = angles(q)
			rotate(twice, cos, sin)
			for i := range once {
				if math.Abs(float64(once[i]-twice[i])) > 1e-4 {
					t.Fatalf("element %d: one turn gives %v, two give %v", i, once[i], twice[i])
				}
			}
		}))
	}
}

func TestAnglesAgainstFloat64(t *testing.T) {
	freqs := []float64{1, 0.5, 1e-5}
	for _, position := range []int32{0, 1, 77, 131071, math.MaxInt32} {
		got := make([]float32, 6)
		ref.Angles(got, position, freqs, 2)
		for k, f := range freqs {
			sin, cos := math.Sincos(float64(position) * f)
			if !near(got[k], 2*cos, 2e-7) || !near(got[3+k], 2*sin, 2e-7) {
				t.Errorf("position %d, frequency %g: %v %v, want %v %v", position, f, got[k], got[3+k], 2*cos, 2*sin)
			}
		}
	}
}

// The mean square of a normalized row is 1, and scaling the row changes nothing.
func TestRMSNormLaws(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		x := vector(t, "x", rapid.IntRange(1, 50).Draw(t, "n"))
		x[0] += 200
		ones, y := make([]float32, len(x)), make([]float32, len(x))
		for i := range ones {
			ones[i] = 1
		}
		ref.RMSNorm(y, x, ones, 0)
		var mean float64
		for _, v := range y {
			mean += float64(v) * float64(v) / float64(len(y))
		}
		if math.Abs(mean-1) > 1e-6 {
			t.Fatalf("mean square %v", mean)
		}
		for i := range x {
			x[i] *= 4
		}
		z := make([]float32, len(x))
		ref.RMSNorm(z, x, ones, 0)
		for i := range y {
			if y[i] != z[i] {
				t.Fatalf("element %d: %v, scaled by 4: %v", i, y[i], z[i])
			}
		}
	})
}

// limitSilu is the largest error of SiluMul with 1, relative to float64.
const limitSilu = 3e-7

func TestSiluMulAgainstFloat64(t *testing.T) {
	for x := -80.0; x < 80; x += 0.0137 {
		gate, got := []float32{float32(x)}, make([]float32, 1)
		ref.SiluMul(got, gate, []float32{1})
		v := float64(gate[0])
		want := v / (1 + math.Exp(-v))
		if math.Abs(float64(got[0])-want) > limitSilu*math.Abs(want) {
			t.Fatalf("silu(%v) = %v, want %v", v, got[0], want)
		}
	}
}

// Attention is a mean: over equal values it gives that value, over one position the value itself.
func TestAttendLaws(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n, dim := rapid.IntRange(1, 600).Draw(t, "n"), 8
		q, keys := vector(t, "q", dim), vector(t, "keys", n*dim)
		values := make([]float32, n*dim)
		for i := range values {
			values[i] = float32(i%dim) - 3
		}
		got := make([]float32, dim)
		ref.Attend(got, q, keys, values, 0.01, 0, 0)
		for d, v := range got {
			if !near(v, float64(values[d]), 5e-6) {
				t.Fatalf("element %d of the mean over %d positions is %v, want %v", d, n, v, values[d])
			}
		}
		ref.Attend(got, q, keys[:dim], values[:dim], 0.01, 0, 0)
		for d, v := range got {
			if v != values[d] {
				t.Fatalf("element %d over one position is %v, want %v", d, v, values[d])
			}
		}
	})
}

// limitAttend is the largest error of attention over 1300 positions, relative to the largest value.
const limitAttend = 2e-6

func TestAttendAgainstFloat64(t *testing.T) {
	const n, dim, scale = 1300, 64, 0.125
	r := kerneltest.Rand()
	q, keys, values := kerneltest.Floats(r, kerneltest.Normal, dim), kerneltest.Floats(r, kerneltest.Normal, n*dim), kerneltest.Floats(r, kerneltest.Normal, n*dim)
	got := make([]float32, dim)
	ref.Attend(got, q, keys, values, scale, 0, 0)
	var total float64
	want := make([]float64, dim)
	for j := range n {
		var score float64
		for d := range q {
			score += float64(q[d]) * float64(keys[j*dim+d])
		}
		p := math.Exp(score * scale)
		total += p
		for d := range want {
			want[d] += p * float64(values[j*dim+d])
		}
	}
	for d, v := range got {
		if math.Abs(float64(v)-want[d]/total) > limitAttend {
			t.Errorf("element %d is %v, want %v", d, v, want[d]/total)
		}
	}
}

// Sums in float64 have four lanes, which are added from the left; the order shows where sums cancel.
func TestDot64(t *testing.T) {
	for want, pair := range map[float64][2][]float32{
		0:            {nil, nil},
		6:            {{1, 2}, {2, 2}},
		1:            {{1 << 30, 1, 0, 0, -1 << 30}, {1 << 30, 1, 0, 0, 1 << 30}}, // the first lane cancels before the second is added
		0x1p60 + 512: {{1 << 30, 1, 1, 1, 1 << 5}, {1 << 30, 1, 1, 1, 1 << 4}},    // each 1 is lost, one after the other
	} {
		if got := ref.Dot64(pair[0], pair[1]); got != want {
			t.Errorf("%v: %v, want %v", pair, got, want)
		}
	}
	r := kerneltest.Rand()
	for n := range 40 {
		a, b := kerneltest.Floats(r, kerneltest.Normal, n), kerneltest.Floats(r, kerneltest.Normal, n)
		var lane [4]float64
		for i := range a {
			lane[i%4] += float64(float64(a[i]) * float64(b[i]))
		}
		if got, want := ref.Dot64(a, b), lane[0]+lane[1]+lane[2]+lane[3]; got != want {
			t.Errorf("%d elements: %v, want %v", n, got, want)
		}
	}
}
