package avx2

import (
	"testing"

	"golang.org/x/sys/cpu"

	"github.com/weft-run/weft/kernels/kerneltest"
	"github.com/weft-run/weft/kernels/quant"
	"github.com/weft-run/weft/kernels/ref"
)

// need skips a test on processors that the assembly does not run on. That CI has one is a test of kernels/cpu.
func need(t *testing.T) {
	t.Helper()
	t.Parallel()
	if Built && !(cpu.X86.HasAVX2 && cpu.X86.HasFMA && cpu.X86.HasF16C) {
		t.Skip("LOUD: skipped: this processor lacks AVX2, FMA or F16C")
	}
}

func TestRowsQuant(t *testing.T) {
	for _, typ := range quant.Computable() {
		if ref.FormOf(typ) == ref.Float {
			continue
		}
		t.Run(typ.String(), func(t *testing.T) {
			need(t)
			kerneltest.TestRowsQuant(t, typ, func(dst []float32, w []byte, x *ref.Quants) { RowsQuant(typ, dst, w, x) })
		})
	}
}

func TestRowsFloat(t *testing.T) {
	for typ, f := range map[quant.Type]func(dst []float32, w []byte, x []float32){
		quant.F32: RowsF32, quant.F16: RowsF16, quant.BF16: RowsBF16,
	} {
		t.Run(typ.String(), func(t *testing.T) {
			need(t)
			kerneltest.TestRowsFloat(t, typ, f)
		})
	}
}

func TestDecode(t *testing.T) {
	for typ, f := range map[quant.Type]func(dst []float32, w []byte){quant.F16: DecodeF16, quant.BF16: DecodeBF16} {
		t.Run(typ.String(), func(t *testing.T) {
			need(t)
			kerneltest.TestDecode(t, typ, f)
		})
	}
}

func TestPanels(t *testing.T) {
	for _, typ := range quant.Computable() {
		if ref.FormOf(typ) == ref.Float {
			continue
		}
		t.Run(typ.String(), func(t *testing.T) {
			need(t)
			if !HasBytes(typ) {
				unpack := func(p *ref.Panel, w []byte, rows, cols int) { UnpackPanel(typ, p, w, rows, cols) }
				kerneltest.TestPanel(t, typ, unpack, MulPanel)
				return
			}
			unpack := func(p *ref.Panel, w []byte, rows, cols int) { UnpackBytes(typ, p, w, rows, cols) }
			kerneltest.TestPanel(t, typ, unpack, func(dst []float32, stride int, p *ref.Panel, x *ref.Quants) {
				MulBytes(typ, dst, stride, p, x)
			})
		})
	}
}

func TestFewRows(t *testing.T) {
	for _, typ := range quant.Computable() {
		if ref.FormOf(typ) == ref.Float {
			continue
		}
		t.Run(typ.String(), func(t *testing.T) {
			need(t)
			kerneltest.TestFewRows(t, typ, func(dst []float32, stride int, w []byte, rows int, x *ref.Quants) {
				FewRows(typ, dst, stride, w, rows, x, nil)
			})
		})
	}
}

func TestFewRowsAsks(t *testing.T) {
	need(t)
	if !Built {
		t.Skip("skipped: nothing is asked for without the assembly")
	}
	kerneltest.TestFewRowsAsks(t, FewRows)
}

func TestOthers(t *testing.T) {
	for name, f := range map[string]func(t *testing.T){
		"shrink":         func(t *testing.T) { kerneltest.TestShrink(t, Shrink) },
		"expand":         func(t *testing.T) { kerneltest.TestExpand(t, Expand) },
		"mulFloats":      func(t *testing.T) { kerneltest.TestMulFloats(t, MulFloats) },
		"mulFloats64":    func(t *testing.T) { kerneltest.TestMulFloats64(t, MulFloats64) },
		"quantize":       func(t *testing.T) { kerneltest.TestQuantize(t, Quantize) },
		"widen":          func(t *testing.T) { kerneltest.TestWiden(t, Widen) },
		"pack":           func(t *testing.T) { kerneltest.TestPack(t, Pack) },
		"rmsNorm":        func(t *testing.T) { kerneltest.TestRMSNorm(t, RMSNorm) },
		"siluMul":        func(t *testing.T) { kerneltest.TestSiluMul(t, SiluMul) },
		"divide":         func(t *testing.T) { kerneltest.TestDivide(t, Divide) },
		"add":            func(t *testing.T) { kerneltest.TestAdd(t, Add) },
		"rotateAdjacent": func(t *testing.T) { kerneltest.TestRotate(t, RotateAdjacent, ref.RotateAdjacent) },
		"rotateHalves":   func(t *testing.T) { kerneltest.TestRotate(t, RotateHalves, ref.RotateHalves) },
		"scores":         func(t *testing.T) { kerneltest.TestScores(t, Scores) },
		"weights":        func(t *testing.T) { kerneltest.TestWeights(t, Weights) },
		"mix":            func(t *testing.T) { kerneltest.TestMix(t, Mix) },
		"merge":          func(t *testing.T) { kerneltest.TestMerge(t, Merge) },
		"halvesToFloats": func(t *testing.T) { kerneltest.TestHalvesToFloats(t, HalvesToFloats) },
		"floatsToHalves": func(t *testing.T) { kerneltest.TestFloatsToHalves(t, FloatsToHalves) },
	} {
		t.Run(name, func(t *testing.T) {
			need(t)
			f(t)
		})
	}
}
