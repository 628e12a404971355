package kerneltest

import (
	"fmt"
	"iter"
	"slices"
	"testing"

	"github.com/weft-run/weft/kernels/quant"
	"github.com/weft-run/weft/kernels/ref"
)

// extremes multiplies the largest weights with the largest activations: no intermediate may saturate.
func extremes(t *testing.T, typ quant.Type, f func(dst []float32, w []byte, x *ref.Quants)) {
	eachExtreme(typ, 8, func(what string, w []byte, values []float32) {
		want, got := make([]float32, 8), make([]float32, 8)
		x := Quants(values, 1, typ.Info().BlockLen)
		ref.RowsQuant(typ, want, w, &x)
		f(got, w, &x)
		Equal(t, what, got, want)
	})
}

// eachExtreme calls f with rows rows of two blocks of the same byte, but for their scales, and with each row of extremeValues.
func eachExtreme(typ quant.Type, rows int, f func(what string, w []byte, values []float32)) {
	info := typ.Info()
	for _, code := range []byte{0xff, 0x00, 0x80, 0x7f, 0x88, 0x77} {
		for kind, values := range extremeValues(2 * info.BlockLen) {
			w := Weights(Rand(), typ, Normal, rows, len(values))
			for b := 0; b < len(w); b += info.BlockBytes {
				block := w[b : b+info.BlockBytes]
				kept := append([]byte(nil), block...)
				for i := range block {
					block[i] = code
				}
				for _, at := range halvesIn(typ) {
					copy(block[at:at+2], kept[at:at+2])
				}
			}
			f(fmt.Sprintf("%s of bytes %#02x times %s", typ, code, kind), w, values)
		}
	}
}

// extremeValues yields activations of the largest magnitude, all of one sign or signs that change with each pair or each weight; then
// quants of one sign whose sums, of 16 or of 32, are the last with which the level avx512 lets two sums of products share a word
// (ref.Quants.PackRow), and the first with which it does not.
func extremeValues(n int) iter.Seq2[string, []float32] {
	return func(yield func(string, []float32) bool) {
		values := make([]float32, n)
		for _, sign := range []float32{1, -1} {
			for period := range 3 {
				for i := range values {
					values[i] = sign
					if period > 0 && i/period%2 == 1 {
						values[i] = -sign
					}
				}
				if !yield(fmt.Sprintf("%g, period %d", sign, period), values) {
					return
				}
			}
			for _, sums := range [][2]int{{16, 1023}, {16, 1024}, {32, 1057}, {32, 1058}, {32, 2184}, {32, 2185}} {
				count, rest := sums[0], sums[1]
				for i := range values {
					left := count - i%count
					if left == count { // the scale is 1
						rest = sums[1] - 127
						values[i] = sign * 127
						continue
					}
					values[i] = sign * float32(rest/left)
					rest -= rest / left
				}
				if !yield(fmt.Sprintf("sums of %d of %g", count, sign*float32(sums[1])), values) {
					return
				}
			}
		}
	}
}

// panelExtremes is extremes for panels.
func panelExtremes(t *testing.T, typ quant.Type, unpack func(p *ref.Panel, w []byte, rows, cols int),
	mul func(dst []float32, stride int, p *ref.Panel, x *ref.Quants),
) {
	p := newPanel(2 * typ.Info().BlockLen)
	const count = 4 // a whole tile: what other rows of it leave there counts too
	eachExtreme(typ, ref.PanelRows, func(what string, w []byte, values []float32) {
		x := Quants(slices.Repeat(values, count), count, typ.Info().BlockLen)
		want, got := make([]float32, ref.PanelRows), make([]float32, count*ref.PanelRows)
		one := x.Rows(0, 1)
		ref.RowsQuant(typ, want, w, &one)
		unpack(p, w, ref.PanelRows, x.Cols)
		mul(got, ref.PanelRows, p, &x)
		Equal(t, what, got, slices.Repeat(want, count))
	})
}

// fewExtremes is extremes for a few rows: all of them extreme, then one alone beside rows of zeros.
func fewExtremes(t *testing.T, typ quant.Type, few func(dst []float32, stride int, w []byte, rows int, x *ref.Quants)) {
	const rows, all = ref.PanelRows, -1
	eachExtreme(typ, rows, func(what string, w []byte, values []float32) {
		one := Quants(values, 1, typ.Info().BlockLen)
		extreme := make([]float32, rows)
		ref.RowsQuant(typ, extreme, w, &one)
		for _, count := range []int{3, 8, 16} {
			for alone := all; alone < count; alone += 3 { // one in each tile of four
				input, want := make([]float32, count*len(values)), make([]float32, count*rows)
				for i := range count {
					if alone == all || alone == i {
						copy(input[i*len(values):], values)
						copy(want[i*rows:], extreme)
					}
				}
				x, got := NarrowQuants(input, count, typ.Info().BlockLen), make([]float32, count*rows)
				few(got, rows, w, rows, &x)
				Equal(t, fmt.Sprintf("%s, %d rows, row %d alone", what, count, alone), got, want)
			}
		}
	})
}
