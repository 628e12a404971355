package kerneltest

import (
	"fmt"
	"math"
	"testing"

	"github.com/weft-run/weft/kernels/quant"
	"github.com/weft-run/weft/kernels/ref"
)

// TestShrink holds a level's shrinking of a row against ref.Shrink, whatever it is told to ask for.
func TestShrink(t *testing.T, f func(t []float32, a []byte, x []float32, scale float32, next []byte)) {
	r := Rand()
	for _, k := range Kinds() {
		for _, cols := range []int{1, 16, 48, 100, 256} {
			for _, ranks := range []int{0, 1, 3, 4, 7, 8, 16, 21} {
				a, x := shift(Weights(r, quant.F16, k, ranks, cols), cols%9), shift(Floats(r, k, cols), ranks)
				want := make([]float32, ranks)
				ref.Shrink(want, a, x, 0.3)
				for _, next := range [][]byte{nil, a, make([]byte, 1)} {
					got, check := Guarded(ranks, cols, mark)
					f(got, a, x, 0.3, next)
					what := fmt.Sprintf("[%d, %d], %d bytes next, %s values", ranks, cols, len(next), k)
					Equal(t, what, got, want)
					check(t, what)
				}
			}
		}
	}
}

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

// TestMulFloats64 holds a level's product of float32 rows in float64 against ref.MulFloats64.
func TestMulFloats64(t *testing.T, f func(dst []float64, stride int, w, x []float32, cols int)) {
	r := Rand()
	for _, k := range Kinds() {
		for _, cols := range []int{1, 4, 5, 8, 32, 44, 176} {
			for rows := range 6 {
				for count := range 10 {
					w, x := shift(Floats(r, k, rows*cols), rows), shift(Floats(r, k, count*cols), count)
					stride := rows + count%3
					want, _ := Guarded(max(0, (count-1)*stride+rows), 0, float64(mark))
					ref.MulFloats64(want, stride, w, x, cols)
					got, check := Guarded(len(want), rows, float64(mark))
					f(got, stride, w, x, cols)
					what := fmt.Sprintf("[%d, %d] with %d rows, %s values", rows, cols, count, k)
					for i, v := range want {
						if math.Float64bits(got[i]) != math.Float64bits(v) && (v == v || got[i] == got[i]) {
							t.Fatalf("%s: element %d is %v, want %v", what, i, got[i], v)
						}
					}
					check(t, what)
				}
			}
		}
	}
}
