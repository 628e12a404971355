package cpu

import (
	"slices"
	"testing"

	"github.com/weft-run/weft/kernels/kerneltest"
	"github.com/weft-run/weft/kernels/ref"
)

// TestMulFloats64 holds a device's sums in float64 against ref.MulFloats64, also of rows so long that a call takes two of them.
func TestMulFloats64(t *testing.T) {
	r := kerneltest.Rand()
	devices(t, func(t *testing.T, d *Device) {
		for _, s := range []struct{ rows, count, cols int }{{0, 3, 8}, {1, 1, 5}, {16, 7, 64}, {5, 6, mostSums/8 + 4}} {
			if d.Threads() > 1 && s.cols > 64 {
				continue
			}
			w, x := kerneltest.Floats(r, kerneltest.Normal, s.rows*s.cols), kerneltest.Floats(r, kerneltest.Normal, s.count*s.cols)
			got, want := make([]float64, s.count*(s.rows+1)), make([]float64, s.count*(s.rows+1))
			d.MulFloats64(got, s.rows+1, w, x, s.cols)
			ref.MulFloats64(want, s.rows+1, w, x, s.cols)
			if !slices.Equal(got, want) {
				t.Errorf("%+v: %v, want %v", s, got, want)
			}
		}
	})
}
