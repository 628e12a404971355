package kerneltest

import (
	"fmt"
	"testing"

	"github.com/weft-run/weft/kernels/quant"
	"github.com/weft-run/weft/kernels/ref"
)

// TestFewRows holds a level's product of weights with a few rows of activations against ref.RowsQuant. few writes rows
// elements of each row of dst, which are stride apart; x has narrow tiles.
func TestFewRows(t *testing.T, typ quant.Type, few func(dst []float32, stride int, w []byte, rows int, x *ref.Quants)) {
	r := Rand()
	blockLen := typ.Info().BlockLen
	for _, k := range Kinds() {
		for _, cols := range columns(blockLen) {
			for _, rows := range []int{1, 15, 16, 17, 31, 48} {
				w := Weights(r, typ, k, rows, cols)
				for _, count := range counts() {
					x := NarrowQuants(Floats(r, k, count*cols), count, blockLen)
					stride := rows + count%3
					got, check := Guarded((count-1)*stride+rows, count, mark)
					few(got, stride, shift(w, rows%7), rows, &x)
					what := fmt.Sprintf("%s [%d, %d] with %d rows, %s values", typ, rows, cols, count, k)
					check(t, what)
					want := make([]float32, rows)
					for i := range count {
						one := x.Rows(i, 1)
						ref.RowsQuant(typ, want, w, &one)
						Equal(t, what, got[i*stride:i*stride+rows], want)
						for _, v := range got[i*stride+rows : min((i+1)*stride, len(got))] {
							if v != mark {
								t.Fatalf("%s: written between rows", what)
							}
						}
					}
				}
			}
		}
	}
	fewExtremes(t, typ, few)
}

// TestFewRowsAsks wants such a product to ask for all of each span, or as much as it has time for, and for nothing behind the last one.
func TestFewRowsAsks(t *testing.T, few func(typ quant.Type, dst []float32, stride int, w []byte, rows int, x *ref.Quants, ahead [][2]uintptr)) {
	const rows, cols, begin = 64, 512, 1 << 20
	r := Rand()
	for _, typ := range []quant.Type{quant.Q4_K, quant.Q4_0} {
		for _, count := range []int{4, 6, 11, 14} {
			x := NarrowQuants(Floats(r, Normal, count*cols), count, typ.Info().BlockLen)
			spans := [][2]uintptr{{begin, begin + 512}, {2 * begin, 2*begin + 64}, {3 * begin, 4 * begin}, {}, {5 * begin, 6 * begin}}
			few(typ, make([]float32, count*rows), rows, Weights(r, typ, Normal, rows, cols), rows, &x, spans)
			for i, whole := range []bool{true, true, false} {
				if s := spans[i]; s[0] < s[1] == whole {
					t.Errorf("%s with %d rows: span %d is %x to %x", typ, count, i, s[0], s[1])
				}
			}
			if spans[2][0] == 3*begin || spans[3] != [2]uintptr{} || spans[4][0] != 5*begin {
				t.Errorf("%s with %d rows: spans are %x", typ, count, spans)
			}
		}
	}
}
