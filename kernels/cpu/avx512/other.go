//go:build !amd64 || noasm

// Package avx512 owns the kernels for x86-64 processors with AVX-512 and its VNNI; in this build it holds none and
// leaves everything to kernels/ref. It defines no result and decides nothing about threads, tiles or dispatch.
package avx512

import (
	"github.com/weft-run/weft/kernels/quant"
	"github.com/weft-run/weft/kernels/ref"
)

// Built says whether this binary contains the assembly.
const Built = false

// RowsQuant is ref.RowsQuant.
func RowsQuant(t quant.Type, dst []float32, w []byte, x *ref.Quants) { ref.RowsQuant(t, dst, w, x) }

// FewRows is ref.RowsQuant for each row of x.
func FewRows(t quant.Type, dst []float32, stride int, w []byte, rows int, x *ref.Quants, _ [][2]uintptr) {
	for i := range len(x.Scale) / (x.Cols / x.BlockLen) {
		one := x.Rows(i, 1)
		ref.RowsQuant(t, dst[i*stride:i*stride+rows], w, &one)
	}
}

// MulFloats is ref.MulFloats.
func MulFloats(dst []float32, stride int, w, x []float32, cols int) {
	ref.MulFloats(dst, stride, w, x, cols)
}

// UnpackBytes is ref.UnpackBytes.
func UnpackBytes(t quant.Type, p *ref.Panel, w []byte, rows, cols int) {
	ref.UnpackBytes(t, p, w, rows, cols)
}

// MulBytes is ref.MulBytes.
func MulBytes(t quant.Type, dst []float32, stride int, p *ref.Panel, x *ref.Quants) {
	ref.MulBytes(dst, stride, p, x, t.HasMinima())
}

// Scores is ref.Scores.
func Scores(dst, q, keys []float32, dim int, scale float32) { ref.Scores(dst, q, keys, dim, scale) }

// Weights is ref.Weights.
func Weights(p []float32, first, last int, states []ref.Softmax, corrections []float32) {
	ref.Weights(p, first, last, states, corrections)
}

// Mix is ref.Mix.
func Mix(acc, p, values []float32, dim, first, last int, corrections []float32) {
	ref.Mix(acc, p, values, dim, first, last, corrections)
}
