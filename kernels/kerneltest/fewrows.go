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
