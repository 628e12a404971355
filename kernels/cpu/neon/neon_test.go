package neon

import (
	"testing"

	"golang.org/x/sys/cpu"

	"github.com/weft-run/weft/kernels/kerneltest"
	"github.com/weft-run/weft/kernels/quant"
	"github.com/weft-run/weft/kernels/ref"
)

// need skips a test on processors that the assembly does not run on. That CI has one is a test of kernels/cpu.
func need(t *testing.T, feature bool) {
	t.Helper()
	t.Parallel()
	if Built && !feature {
		t.Skip("LOUD: skipped: this processor lacks the feature")
	}
}

var (
	always    = true
	hasDot    = cpu.ARM64.HasASIMDDP
	hasMatrix = cpu.ARM64.HasASIMDDP && cpu.ARM64.HasI8MM
)

func TestRowsQuant(t *testing.T) {
	type rows map[quant.Type]func(dst []float32, w []byte, x *ref.Quants)
	for _, level := range []struct {
		name    string
		feature bool
		rows    rows
	}{
		{"neon", always, rows{quant.Q4_0: RowsQ4_0, quant.Q4_1: RowsQ4_1, quant.Q8_0: RowsQ8_0}},
		{"neondot", hasDot, rows{quant.Q4_0: RowsQ4_0Dot, quant.Q4_1: RowsQ4_1Dot, quant.Q8_0: RowsQ8_0Dot}},
	} {
		for typ, f := range level.rows {
			t.Run(level.name+"/"+typ.String(), func(t *testing.T) {
				need(t, level.feature)
				kerneltest.TestRowsQuant(t, typ, f)
			})
		}
	}
}

func TestRowsFloat(t *testing.T) {
	for typ, f := range map[quant.Type]func(dst []float32, w []byte, x []float32){
		quant.F32: RowsF32, quant.F16: RowsF16, quant.BF16: RowsBF16,
	} {
		t.Run(typ.String(), func(t *testing.T) {
			need(t, always)
			kerneltest.TestRowsFloat(t, typ, f)
		})
	}
}

func TestDecode(t *testing.T) {
	for typ, f := range map[quant.Type]func(dst []float32, w []byte){quant.F16: DecodeF16, quant.BF16: DecodeBF16} {
		t.Run(typ.String(), func(t *testing.T) {
			need(t, always)
			kerneltest.TestDecode(t, typ, f)
		})
	}
}

func TestBytePanels(t *testing.T) {
	type mul func(t quant.Type, dst []float32, stride int, p *ref.Panel, x *ref.Quants)
	for _, level := range []struct {
		name    string
		feature bool
		mul     mul
	}{{"neon", always, MulNibbles}, {"neondot", hasDot, MulDot}, {"neoni8mm", hasMatrix, MulMatrix}} {
		for _, typ := range []quant.Type{quant.Q4_0, quant.Q4_1, quant.Q8_0} {
			if typ == quant.Q8_0 && level.name == "neon" {
				continue // it goes by 16 bits
			}
			t.Run(level.name+"/"+typ.String(), func(t *testing.T) {
				need(t, level.feature)
				unpack := func(p *ref.Panel, w []byte, rows, cols int) { UnpackBytes(typ, p, w, rows, cols) }
				kerneltest.TestPanel(t, typ, unpack, func(dst []float32, stride int, p *ref.Panel, x *ref.Quants) {
					level.mul(typ, dst, stride, p, x)
				})
			})
		}
	}
}

// TestWide covers every format, those with kernels of their own too.
func TestWide(t *testing.T) {
	for _, typ := range quant.Computable() {
		if ref.FormOf(typ) == ref.Float {
			continue
		}
		t.Run(typ.String(), func(t *testing.T) {
			need(t, always)
			kerneltest.TestRowsQuant(t, typ, func(dst []float32, w []byte, x *ref.Quants) { RowsWide(typ, dst, w, x) })
			unpack := func(p *ref.Panel, w []byte, rows, cols int) { UnpackPanel(typ, p, w, rows, cols) }
			kerneltest.TestPanel(t, typ, unpack, func(dst []float32, stride int, p *ref.Panel, x *ref.Quants) {
				MulPanel(dst, stride, p, x, typ.HasMinima())
			})
		})
	}
}

func TestOthers(t *testing.T) {
	for name, f := range map[string]func(t *testing.T){
		"expand":         func(t *testing.T) { kerneltest.TestExpand(t, Expand) },
		"mulFloats":      func(t *testing.T) { kerneltest.TestMulFloats(t, MulFloats) },
		"quantize":       func(t *testing.T) { kerneltest.TestQuantize(t, Quantize) },
		"widen":          func(t *testing.T) { kerneltest.TestWiden(t, Widen) },
		"rmsNorm":        func(t *testing.T) { kerneltest.TestRMSNorm(t, RMSNorm) },
		"siluMul":        func(t *testing.T) { kerneltest.TestSiluMul(t, SiluMul) },
		"add":            func(t *testing.T) { kerneltest.TestAdd(t, Add) },
		"rotateAdjacent": func(t *testing.T) { kerneltest.TestRotate(t, RotateAdjacent, ref.RotateAdjacent) },
		"rotateHalves":   func(t *testing.T) { kerneltest.TestRotate(t, RotateHalves, ref.RotateHalves) },
		"scores":         func(t *testing.T) { kerneltest.TestScores(t, Scores) },
		"weights":        func(t *testing.T) { kerneltest.TestWeights(t, Weights) },
		"mix":            func(t *testing.T) { kerneltest.TestMix(t, Mix) },
		"halvesToFloats": func(t *testing.T) { kerneltest.TestHalvesToFloats(t, HalvesToFloats) },
		"floatsToHalves": func(t *testing.T) { kerneltest.TestFloatsToHalves(t, FloatsToHalves) },
	} {
		t.Run(name, func(t *testing.T) {
			need(t, always)
			f(t)
		})
	}
}
