package avx512

import (
	"fmt"
	"testing"

	"github.com/weft-run/weft/kernels/kerneltest"
	"github.com/weft-run/weft/kernels/quant"
	"github.com/weft-run/weft/kernels/ref"
)

// rate reports multiply-adds per second.
func rate(b *testing.B, perTurn int) {
	b.ReportMetric(float64(b.N)*float64(perTurn)/b.Elapsed().Seconds()/1e9, "GMAC/s")
}

// BenchmarkRows multiplies weights that lie in the cache: what the arithmetic allows when memory is not the limit.
func BenchmarkRows(b *testing.B) {
	const rows, cols = 64, 1024
	dst := make([]float32, 16*rows)
	for _, typ := range quant.Computable() {
		if ref.FormOf(typ) == ref.Float {
			continue
		}
		w := kerneltest.Weights(kerneltest.Rand(), typ, kerneltest.Normal, rows, cols)
		run := func(name string, count int, f func(x *ref.Quants)) {
			x := kerneltest.Floats(kerneltest.Rand(), kerneltest.Normal, count*cols)
			q := kerneltest.NarrowQuants(x, count, ref.FormOf(typ).BlockLen())
			b.Run(typ.String()+name, func(b *testing.B) {
				b.SetBytes(int64(len(w)))
				for b.Loop() {
					f(&q)
				}
				rate(b, count*rows*cols)
			})
		}
		if ref.FormOf(typ) == ref.Supers {
			run("", 1, func(x *ref.Quants) { RowsQuant(typ, dst[:rows], w, x) })
		}
		for _, count := range []int{2, 4, 8, 12, 16} {
			run(fmt.Sprintf("/few%d", count), count, func(x *ref.Quants) { FewRows(typ, dst, rows, w, rows, x, nil) })
		}
	}
}

// BenchmarkPanels multiplies a panel with a batch, and unpacks it.
func BenchmarkPanels(b *testing.B) {
	const cols, count = 1024, 60
	x := kerneltest.Floats(kerneltest.Rand(), kerneltest.Normal, count*cols)
	dst := make([]float32, count*ref.PanelRows)
	p := &ref.Panel{
		Bytes: make([]uint8, cols*ref.PanelRows), Scales: make([]int8, cols), Mins: make([]int16, cols),
		D: make([]float32, cols/2), M: make([]float32, cols/2),
	}
	for _, typ := range quant.Computable() {
		if ref.FormOf(typ) == ref.Float {
			continue
		}
		w := kerneltest.Weights(kerneltest.Rand(), typ, kerneltest.Normal, ref.PanelRows, cols)
		UnpackBytes(typ, p, w, ref.PanelRows, cols)
		b.Run(typ.String()+"/unpack", func(b *testing.B) {
			b.SetBytes(int64(len(w)))
			for b.Loop() {
				UnpackBytes(typ, p, w, ref.PanelRows, cols)
			}
		})
		for name, n := range map[string]int{"mul": count, "mul8": 8, "mul4": 4} {
			q := kerneltest.Quants(x[:n*cols], n, ref.FormOf(typ).BlockLen())
			b.Run(typ.String()+"/"+name, func(b *testing.B) {
				for b.Loop() {
					MulBytes(typ, dst, ref.PanelRows, p, &q)
				}
				rate(b, n*ref.PanelRows*cols)
			})
		}
	}
}

func BenchmarkMulFloats(b *testing.B) {
	const cols, count = 1024, 60
	w := kerneltest.Floats(kerneltest.Rand(), kerneltest.Normal, ref.PanelRows*cols)
	x := kerneltest.Floats(kerneltest.Rand(), kerneltest.Normal, count*cols)
	dst := make([]float32, count*ref.PanelRows)
	for b.Loop() {
		MulFloats(dst, ref.PanelRows, w, x, cols)
	}
	rate(b, count*ref.PanelRows*cols)
}
