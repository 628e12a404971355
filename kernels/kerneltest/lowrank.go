package kerneltest

import (
	"fmt"
	"testing"

	"github.com/weft-run/weft/kernels/quant"
	"github.com/weft-run/weft/kernels/ref"
)

// TestExpand holds a level's expansion of low-rank changes against ref.Expand.
func TestExpand(t *testing.T, f func(dst []float32, stride int, b []byte, t []float32, rank, outs int)) {
	r := Rand()
	for _, k := range Kinds() {
		for _, rank := range []int{1, 2, 7, 16, 33} {
			for _, outs := range []int{1, 15, 16, 17, 32, 48, 63, 80} {
				panels := (outs + ref.PanelRows - 1) / ref.PanelRows
				b := shift(Weights(r, quant.F16, k, panels*ref.PanelRows, rank), outs%9)
				for rows := 1; rows < 10; rows++ {
					small := shift(Floats(r, k, rows*rank), rows)
					stride := outs + rows%3
					before := Floats(r, Normal, (rows-1)*stride+outs)
					want := append([]float32(nil), before...)
					ref.Expand(want, stride, b, small, rank, outs)
					got, check := Guarded(len(want), rows, mark)
					copy(got, before)
					f(got, stride, b, small, rank, outs)
					what := fmt.Sprintf("%d outputs of %d rows, rank %d, %s values", outs, rows, rank, k)
					Equal(t, what, got, want)
					check(t, what)
				}
			}
		}
	}
}
