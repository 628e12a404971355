package avx2

import (
	"fmt"
	"testing"

	"github.com/weft-run/weft/kernels/kerneltest"
	"github.com/weft-run/weft/kernels/quant"
	"github.com/weft-run/weft/kernels/ref"
)

// BenchmarkRows multiplies weights that lie in the cache: what the arithmetic allows when memory is not the limit.
func BenchmarkRows(b *testing.B) {
	const rows, cols = 64, 1024
	x := kerneltest.Floats(kerneltest.Rand(), kerneltest.Normal, cols)
	dst := make([]float32, rows)
	for _, typ := range quant.Computable() {
		if ref.FormOf(typ) == ref.Float {
			continue
		}
		b.Run(typ.String(), func(b *testing.B) {
			w := kerneltest.Weights(kerneltest.Rand(), typ, kerneltest.Normal, rows, cols)
			q := kerneltest.Quants(x, 1, ref.FormOf(typ).BlockLen())
			b.SetBytes(int64(len(w)))
			for b.Loop() {
				RowsQuant(typ, dst, w, &q)
			}
			rate(b, rows*cols)
		})
	}
	for typ, f := range map[quant.Type]func(dst []float32, w []byte, x []float32){quant.F32: RowsF32, quant.F16: RowsF16} {
		b.Run(typ.String(), func(b *testing.B) {
			w := kerneltest.Weights(kerneltest.Rand(), typ, kerneltest.Normal, rows, cols)
			b.SetBytes(int64(len(w)))
			for b.Loop() {
				f(dst, w, x)
			}
			rate(b, rows*cols)
		})
	}
}

// BenchmarkFewRows multiplies weights that lie in the cache with a few rows of activations.
func BenchmarkFewRows(b *testing.B) {
	const rows, cols = 64, 1024
	for _, typ := range quant.Computable() {
		if ref.FormOf(typ) == ref.Float {
			continue
		}
		w := kerneltest.Weights(kerneltest.Rand(), typ, kerneltest.Normal, rows, cols)
		for _, count := range []int{2, 4, 8, 16} {
			q := kerneltest.Quants(kerneltest.Floats(kerneltest.Rand(), kerneltest.Normal, count*cols), count, ref.FormOf(typ).BlockLen())
			dst := make([]float32, count*rows)
			b.Run(fmt.Sprintf("%s/%d", typ, count), func(b *testing.B) {
				b.SetBytes(int64(len(w)))
				for b.Loop() {
					FewRows(typ, dst, rows, w, rows, &q, nil)
				}
				rate(b, rows*cols*count)
			})
		}
	}
}

// rate reports multiply-adds per second.
func rate(b *testing.B, perTurn int) {
	b.ReportMetric(float64(b.N)*float64(perTurn)/b.Elapsed().Seconds()/1e9, "GMAC/s")
}

// BenchmarkPanels multiplies a panel with a batch, and unpacks it.
func BenchmarkPanels(b *testing.B) {
	const cols, count = 1024, 64
	x := kerneltest.Floats(kerneltest.Rand(), kerneltest.Normal, count*cols)
	dst := make([]float32, count*ref.PanelRows)
	p := &ref.Panel{
		Q: make([]int16, cols*ref.PanelRows), Bytes: make([]uint8, cols*ref.PanelRows), Mins: make([]int16, cols),
		Pairs: make([]int16, 2*cols),
		D:     make([]float32, cols/2), M: make([]float32, cols/2),
	}
	for _, typ := range quant.Computable() {
		if ref.FormOf(typ) == ref.Float {
			continue
		}
		w := kerneltest.Weights(kerneltest.Rand(), typ, kerneltest.Normal, ref.PanelRows, cols)
		q := kerneltest.Quants(x, count, ref.FormOf(typ).BlockLen())
		unpack := func() { UnpackPanel(typ, p, w, ref.PanelRows, cols) }
		mul := func() { MulPanel(dst, ref.PanelRows, p, &q) }
		if HasBytes(typ) {
			unpack = func() { UnpackBytes(typ, p, w, ref.PanelRows, cols) }
			mul = func() { MulBytes(typ, dst, ref.PanelRows, p, &q) }
		}
		unpack()
		b.Run(typ.String()+"/unpack", func(b *testing.B) {
			b.SetBytes(int64(len(w)))
			for b.Loop() {
				unpack()
			}
		})
		b.Run(typ.String()+"/mul", func(b *testing.B) {
			for b.Loop() {
				mul()
			}
			rate(b, count*ref.PanelRows*cols)
		})
	}
	b.Run("F32/mul", func(b *testing.B) {
		w := x[:ref.PanelRows*cols]
		for b.Loop() {
			MulFloats(dst, ref.PanelRows, w, x, cols)
		}
		rate(b, count*ref.PanelRows*cols)
	})
}

// BenchmarkPack packs activations, by the assembly and by the reference.
func BenchmarkPack(b *testing.B) {
	const rows, cols = 512, 2048
	x := kerneltest.Floats(kerneltest.Rand(), kerneltest.Normal, rows*cols)
	for _, blockLen := range []int{32, 256} {
		for name, fours := range map[string]bool{"tiles": false, "fours": true} {
			q := kerneltest.Quants(x, rows, blockLen)
			if fours {
				q.Tiles = nil
			} else {
				q.Fours = nil
			}
			for by, pack := range map[string]func(x *ref.Quants, first, last int){"avx2": Pack, "ref": (*ref.Quants).Pack} {
				b.Run(fmt.Sprintf("%s of %d/%s", name, blockLen, by), func(b *testing.B) {
					b.SetBytes(rows * cols)
					for b.Loop() {
						pack(&q, 0, rows)
					}
				})
			}
		}
	}
}
