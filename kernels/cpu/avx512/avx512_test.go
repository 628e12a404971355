package avx512

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
	x := &cpu.X86
	if Built && !(x.HasAVX512F && x.HasAVX512BW && x.HasAVX512VL && x.HasAVX512DQ && x.HasAVX512VNNI) {
		t.Skip("LOUD: skipped: this processor lacks AVX-512 or its VNNI")
	}
}

func TestAttention(t *testing.T) {
	for name, f := range map[string]func(t *testing.T){
		"scores":  func(t *testing.T) { kerneltest.TestScores(t, Scores) },
		"weights": func(t *testing.T) { kerneltest.TestWeights(t, Weights) },
		"mix":     func(t *testing.T) { kerneltest.TestMix(t, Mix) },
	} {
		t.Run(name, func(t *testing.T) {
			need(t)
			f(t)
		})
	}
}

func TestQuantized(t *testing.T) {
	for _, typ := range quant.Computable() {
		if ref.FormOf(typ) == ref.Float {
			continue
		}
		t.Run(typ.String()+"/panel", func(t *testing.T) {
			need(t)
			unpack := func(p *ref.Panel, w []byte, rows, cols int) { UnpackBytes(typ, p, w, rows, cols) }
			kerneltest.TestPanel(t, typ, unpack, func(dst []float32, stride int, p *ref.Panel, x *ref.Quants) {
				MulBytes(typ, dst, stride, p, x)
			})
		})
		t.Run(typ.String()+"/few", func(t *testing.T) {
			need(t)
			kerneltest.TestFewRows(t, typ, func(dst []float32, stride int, w []byte, rows int, x *ref.Quants) {
				FewRows(typ, dst, stride, w, rows, x, nil)
			})
		})
		if ref.FormOf(typ) != ref.Supers {
			continue
		}
		t.Run(typ.String()+"/rows", func(t *testing.T) {
			need(t)
			kerneltest.TestRowsQuant(t, typ, func(dst []float32, w []byte, x *ref.Quants) { RowsQuant(typ, dst, w, x) })
		})
	}
}

// TestFewRowsCut takes more rows of weights than a call of the assembly computes, the last ones not a whole group.
func TestFewRowsCut(t *testing.T) {
	need(t)
	const rows, cols, count = 72, 8192, 16
	for _, typ := range []quant.Type{quant.Q4_0, quant.Q6_K} {
		r := kerneltest.Rand()
		w := kerneltest.Weights(r, typ, kerneltest.Normal, rows, cols)
		x := kerneltest.NarrowQuants(kerneltest.Floats(r, kerneltest.Normal, count*cols), count, ref.FormOf(typ).BlockLen())
		got, want := make([]float32, count*rows), make([]float32, rows)
		FewRows(typ, got, rows, w, rows, &x, nil)
		for i := range count {
			one := x.Rows(i, 1)
			ref.RowsQuant(typ, want, w, &one)
			kerneltest.Equal(t, typ.String(), got[i*rows:][:rows], want)
		}
	}
}

func TestFewRowsAsks(t *testing.T) {
	need(t)
	if !Built {
		t.Skip("skipped: nothing is asked for without the assembly")
	}
	kerneltest.TestFewRowsAsks(t, FewRows)
}

func TestMulFloats(t *testing.T) {
	need(t)
	kerneltest.TestMulFloats(t, MulFloats)
}
