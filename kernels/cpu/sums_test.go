package cpu

import (
	"bytes"
	"slices"
	"testing"

	"github.com/weft-run/weft/kernels/kerneltest"
	"github.com/weft-run/weft/kernels/quant"
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

// TestHalves holds a device's conversions against quant's, over the bounds of calls too.
func TestHalves(t *testing.T) {
	r := kerneltest.Rand()
	devices(t, func(t *testing.T, d *Device) {
		for _, n := range []int{0, 1, 7, 8, 100, mostValues, mostValues + 3} {
			if d.Threads() > 1 && n > 100 {
				continue
			}
			from := kerneltest.Floats(r, kerneltest.Normal, n)
			got, want := make([]byte, 2*n), make([]byte, 2*n)
			d.PutF16(got, from)
			quant.Encode(quant.F16, want, from)
			if !bytes.Equal(got, want) {
				t.Errorf("%d values are not the same halves", n)
			}
			odd := make([]byte, 2*n+1)[1:]
			if d.PutF16(odd, from); !bytes.Equal(odd, want) {
				t.Errorf("%d values are not the same halves at an odd address", n)
			}
			for _, typ := range []quant.Type{quant.F32, quant.F16, quant.BF16} {
				src := make([]byte, typ.RowBytes(n))
				quant.Encode(typ, src, from)
				gotF, wantF := make([]float32, n), make([]float32, n)
				d.Decode(typ, gotF, src)
				quant.Decode(typ, wantF, src)
				if !slices.Equal(gotF, wantF) {
					t.Errorf("%d values of %s are decoded otherwise", n, typ)
				}
			}
		}
	})
}
