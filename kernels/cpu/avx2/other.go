//go:build !amd64 || noasm

// Package avx2 owns the kernels for x86-64 processors with AVX2, FMA and F16C; in this build it holds none and leaves
// everything to kernels/ref. It defines no result and decides nothing about threads, tiles or dispatch.
package avx2

import (
	"github.com/weft-run/weft/kernels/quant"
	"github.com/weft-run/weft/kernels/ref"
)

// Built says whether this binary contains the assembly.
const Built = false

// RowsQuant is ref.RowsQuant.
func RowsQuant(t quant.Type, dst []float32, w []byte, x *ref.Quants) { ref.RowsQuant(t, dst, w, x) }

// RowsF32 is ref.RowsFloat for F32.
func RowsF32(dst []float32, w []byte, x []float32) { ref.RowsFloat(quant.F32, dst, w, x) }

// RowsF16 is ref.RowsFloat for F16.
func RowsF16(dst []float32, w []byte, x []float32) { ref.RowsFloat(quant.F16, dst, w, x) }

// RowsBF16 is ref.RowsFloat for BF16.
func RowsBF16(dst []float32, w []byte, x []float32) { ref.RowsFloat(quant.BF16, dst, w, x) }

// DecodeF16 is quant.Decode for F16.
func DecodeF16(dst []float32, w []byte) { quant.Decode(quant.F16, dst, w) }

// DecodeBF16 is quant.Decode for BF16.
func DecodeBF16(dst []float32, w []byte) { quant.Decode(quant.BF16, dst, w) }

// FewRows sets element r of row t of dst, rows being stride elements apart, to what ref.RowsQuant makes of row r of the
// weights and row t of x.
func FewRows(t quant.Type, dst []float32, stride int, w []byte, rows int, x *ref.Quants, _ [][2]uintptr) {
	for i := range len(x.Scale) / (x.Cols / x.BlockLen) {
		one := x.Rows(i, 1)
		ref.RowsQuant(t, dst[i*stride:i*stride+rows], w, &one)
	}
}

// HasBytes says whether MulBytes takes a type.
func HasBytes(quant.Type) bool { return true }

// UnpackBytes is ref.UnpackBytes.
func UnpackBytes(t quant.Type, p *ref.Panel, w []byte, rows, cols int) {
	ref.UnpackBytes(t, p, w, rows, cols)
}

// MulBytes is ref.MulBytes.
func MulBytes(t quant.Type, dst []float32, stride int, p *ref.Panel, x *ref.Quants) {
	ref.MulBytes(dst, stride, p, x, t.HasMinima())
}

// UnpackPanel is ref.UnpackPanel.
func UnpackPanel(t quant.Type, p *ref.Panel, w []byte, rows, cols int) {
	ref.UnpackPanel(t, p, w, rows, cols)
}

// MulPanel is ref.MulPanel.
func MulPanel(dst []float32, stride int, p *ref.Panel, x *ref.Quants) {
	ref.MulPanel(dst, stride, p, x, false)
}

// Shrink is ref.Shrink.
func Shrink(t []float32, a []byte, x []float32, scale float32, _ []byte) { ref.Shrink(t, a, x, scale) }

// Expand is ref.Expand.
func Expand(dst []float32, stride int, b []byte, t []float32, rank, outs int) {
	ref.Expand(dst, stride, b, t, rank, outs)
}

// MulFloats is ref.MulFloats.
func MulFloats(dst []float32, stride int, w, x []float32, cols int) {
	ref.MulFloats(dst, stride, w, x, cols)
}

// MulFloats64 is ref.MulFloats64.
func MulFloats64(dst []float64, stride int, w, x []float32, cols int) {
	ref.MulFloats64(dst, stride, w, x, cols)
}

// Quantize is ref.Quantize.
func Quantize(q []int8, scale []float32, sums []int16, x []float32, blockLen int) {
	ref.Quantize(q, scale, sums, x, blockLen)
}

// Widen is ref.Widen.
func Widen(dst []int16, q []int8) { ref.Widen(dst, q) }

// Pack is ref.Quants.Pack.
func Pack(x *ref.Quants, first, last int) { x.Pack(first, last) }

// RMSNorm is ref.RMSNorm.
func RMSNorm(dst, x, weight []float32, eps float32) { ref.RMSNorm(dst, x, weight, eps) }

// SiluMul is ref.SiluMul.
func SiluMul(dst, gate, up []float32) { ref.SiluMul(dst, gate, up) }

// Add is ref.Add.
func Add(dst, x []float32) { ref.Add(dst, x) }

// Divide is ref.Divide.
func Divide(dst, x []float32, by float32) { ref.Divide(dst, x, by) }

// RotateAdjacent is ref.RotateAdjacent.
func RotateAdjacent(x, cos, sin []float32) { ref.RotateAdjacent(x, cos, sin) }

// RotateHalves is ref.RotateHalves.
func RotateHalves(x, cos, sin []float32) { ref.RotateHalves(x, cos, sin) }

// Scores is ref.Scores.
func Scores(dst, q, keys []float32, dim int, scale float32) { ref.Scores(dst, q, keys, dim, scale) }

// Weights is ref.Weights.
func Weights(p []float32, first, last int, states []ref.Softmax, corrections []float32) {
	ref.Weights(p, first, last, states, corrections)
}

// Merge is ref.Merge; total becomes what that returns.
func Merge(acc []float32, total *ref.Softmax, later []float32, state *ref.Softmax) {
	*total = ref.Merge(acc, *total, later, *state)
}

// Mix is ref.Mix.
func Mix(acc, p, values []float32, dim, first, last int, corrections []float32) {
	ref.Mix(acc, p, values, dim, first, last, corrections)
}

// ScoresHalves is ref.ScoresPaged for F16.
func ScoresHalves(dst, q []float32, t, _ *ref.PagedTile, _ []float32, dim int, scale float32) {
	ref.ScoresPaged(quant.F16, dst, q, t, dim, scale)
}

// MixHalves is ref.MixPaged for F16.
func MixHalves(acc, p []float32, t, _ *ref.PagedTile, _ []float32, dim, first, last int, corrections []float32) {
	ref.MixPaged(quant.F16, acc, p, t, dim, first, last, corrections)
}

// ScoresQ8_0 is ref.ScoresPaged for Q8_0.
func ScoresQ8_0(dst, q []float32, t, _ *ref.PagedTile, _ []float32, dim int, scale float32) {
	ref.ScoresPaged(quant.Q8_0, dst, q, t, dim, scale)
}

// MixQ8_0 is ref.MixPaged for Q8_0.
func MixQ8_0(acc, p []float32, t, _ *ref.PagedTile, _ []float32, dim, first, last int, corrections []float32) {
	ref.MixPaged(quant.Q8_0, acc, p, t, dim, first, last, corrections)
}

// ScoresQ4_0 is ref.ScoresPaged for Q4_0.
func ScoresQ4_0(dst, q []float32, t, _ *ref.PagedTile, _ []float32, dim int, scale float32) {
	ref.ScoresPaged(quant.Q4_0, dst, q, t, dim, scale)
}

// MixQ4_0 is ref.MixPaged for Q4_0.
func MixQ4_0(acc, p []float32, t, _ *ref.PagedTile, _ []float32, dim, first, last int, corrections []float32) {
	ref.MixPaged(quant.Q4_0, acc, p, t, dim, first, last, corrections)
}

// HalvesToFloats is ref.HalvesToFloats.
func HalvesToFloats(dst []float32, stride int, src []uint16, cols int) {
	ref.HalvesToFloats(dst, stride, src, cols)
}

// FloatsToHalves is ref.FloatsToHalves.
func FloatsToHalves(dst []uint16, src []float32) { ref.FloatsToHalves(dst, src) }

// Prefetch does nothing.
func Prefetch([]byte) {}
