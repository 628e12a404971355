package avxvnni

import (
	"testing"

	"golang.org/x/sys/cpu"

	"github.com/weft-run/weft/kernels/cpu/avx2"
	"github.com/weft-run/weft/kernels/kerneltest"
	"github.com/weft-run/weft/kernels/quant"
	"github.com/weft-run/weft/kernels/ref"
)

// usable says whether this processor runs the assembly of this build.
func usable() bool {
	x := &cpu.X86
	if EVEX {
		return x.HasAVX512VL && x.HasAVX512VNNI
	}
	return x.HasAVX2 && x.HasAVXVNNI
}

func TestPanels(t *testing.T) {
	for _, typ := range quant.Computable() {
		if ref.FormOf(typ) == ref.Float {
			continue
		}
		t.Run(typ.String(), func(t *testing.T) {
			t.Parallel()
			if Built && !usable() {
				t.Skip("LOUD: skipped: this processor lacks AVX-VNNI (with AVX-512, -tags evex tests the arithmetic)")
			}
			unpack := func(p *ref.Panel, w []byte, rows, cols int) { avx2.UnpackBytes(typ, p, w, rows, cols) }
			kerneltest.TestPanel(t, typ, unpack, func(dst []float32, stride int, p *ref.Panel, x *ref.Quants) {
				MulBytes(typ, dst, stride, p, x)
			})
		})
	}
}

// BenchmarkPanels multiplies a panel with a batch.
func BenchmarkPanels(b *testing.B) {
	const cols, count = 1024, 64
	if !Built || !usable() {
		b.Skip("this processor lacks AVX-VNNI")
	}
	x := kerneltest.Floats(kerneltest.Rand(), kerneltest.Normal, count*cols)
	dst := make([]float32, count*ref.PanelRows)
	p := &ref.Panel{
		Bytes: make([]uint8, cols*ref.PanelRows), Pairs: make([]int16, 2*cols), Mins: make([]int16, cols),
		D: make([]float32, cols/2), M: make([]float32, cols/2),
	}
	for _, typ := range quant.Computable() {
		if ref.FormOf(typ) == ref.Float {
			continue
		}
		w := kerneltest.Weights(kerneltest.Rand(), typ, kerneltest.Normal, ref.PanelRows, cols)
		q := kerneltest.Quants(x, count, ref.FormOf(typ).BlockLen())
		avx2.UnpackBytes(typ, p, w, ref.PanelRows, cols)
		b.Run(typ.String()+"/mul", func(b *testing.B) {
			for b.Loop() {
				MulBytes(typ, dst, ref.PanelRows, p, &q)
			}
			b.ReportMetric(float64(b.N)*count*ref.PanelRows*cols/b.Elapsed().Seconds()/1e9, "GMAC/s")
		})
	}
}
