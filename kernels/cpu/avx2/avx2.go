//go:build amd64 && !noasm

// Package avx2 owns the kernels for x86-64 processors with AVX2, FMA and F16C: the assembly that kernels/_gen writes and
// the Go functions around it. It defines no result (each function gives the bits of the one of kernels/ref that it
// names) and decides nothing about threads, tiles or dispatch.
//
// Lengths follow from the slices, as in kernels/ref. The functions around the assembly cut off what whole vectors do not
// cover and leave it to kernels/ref, and tell the race detector what assembly touches. Everything is safe for concurrent
// use as long as destinations do not overlap.
package avx2

import (
	"unsafe"

	"github.com/weft-run/weft/kernels/quant"
	"github.com/weft-run/weft/kernels/ref"
)

// Built says whether this binary contains the assembly. It says nothing about the processor.
const Built = true

// rowsKernel is the assembly of a quantized format for one row of activations.
type rowsKernel func(dst *float32, w *byte, groups, blocks int, q *int8, scale *float32, sums *int16)

// rowsKernels take four rows of super-blocks or eight of other blocks at a time.
var rowsKernels = [...]rowsKernel{
	quant.Q4_0: rowsQ4_0, quant.Q4_1: rowsQ4_1, quant.Q5_0: rowsQ5_0, quant.Q5_1: rowsQ5_1, quant.Q8_0: rowsQ8_0,
	quant.IQ4_NL: rowsIQ4_NL, quant.MXFP4: rowsMXFP4,
	quant.Q2_K: rowsQ2_K, quant.Q3_K: rowsQ3_K, quant.Q4_K: rowsQ4_K, quant.Q5_K: rowsQ5_K, quant.Q6_K: rowsQ6_K,
	quant.IQ4_XS: rowsIQ4_XS,
}

// RowsQuant is ref.RowsQuant.
func RowsQuant(t quant.Type, dst []float32, w []byte, x *ref.Quants) {
	group := 8
	if x.BlockLen == 256 {
		group = 4
	}
	if len(dst) < group {
		ref.RowsQuant(t, dst, w, x)
		return
	}
	size := len(w) / len(dst)
	markRows(dst, w, x)
	kernel := rowsKernels[t]
	call := func(first, groups int) {
		kernel(&dst[first], &w[first*size], groups, len(x.Scale), &x.Q[0], &x.Scale[0], &x.Sums[0])
	}
	call(0, len(dst)/group)
	if len(dst)%group > 0 {
		call(len(dst)-group, 1) // some rows twice, with the same bits
	}
}

func markRows(dst []float32, w []byte, x *ref.Quants) {
	writes(dst)
	reads(w)
	reads(x.Q)
	reads(x.Scale)
	reads(x.Sums)
}

// RowsF32 is ref.RowsFloat for F32.
func RowsF32(dst []float32, w []byte, x []float32) {
	if len(dst) == 0 {
		return
	}
	markFloatRows(dst, w, x)
	rowsF32(&dst[0], &w[0], len(dst), len(x), &x[0], &masks[len(x)%ref.Lanes][0])
}

// RowsF16 is ref.RowsFloat for F16.
func RowsF16(dst []float32, w []byte, x []float32) {
	if len(dst) == 0 || len(x)%ref.Lanes != 0 {
		ref.RowsFloat(quant.F16, dst, w, x)
		return
	}
	markFloatRows(dst, w, x)
	rowsF16(&dst[0], &w[0], len(dst), len(x), &x[0], nil)
}

// RowsBF16 is ref.RowsFloat for BF16.
func RowsBF16(dst []float32, w []byte, x []float32) {
	if len(dst) == 0 || len(x)%ref.Lanes != 0 {
		ref.RowsFloat(quant.BF16, dst, w, x)
		return
	}
	markFloatRows(dst, w, x)
	rowsBF16(&dst[0], &w[0], len(dst), len(x), &x[0], nil)
}

func markFloatRows(dst []float32, w []byte, x []float32) {
	writes(dst)
	reads(w)
	reads(x)
}

// DecodeF16 is quant.Decode for F16.
func DecodeF16(dst []float32, w []byte) {
	n := len(dst) &^ 7
	if n > 0 {
		reads(w)
		writes(dst)
		halvesToFloats(&dst[0], 0, (*uint16)(unsafe.Pointer(&w[:2*n][0])), 1, n)
	}
	quant.Decode(quant.F16, dst[n:], w[2*n:])
}

// DecodeBF16 is quant.Decode for BF16.
func DecodeBF16(dst []float32, w []byte) {
	n := len(dst) &^ 7
	if n > 0 {
		reads(w)
		writes(dst)
		bfloatsToFloats(&dst[0], (*uint16)(unsafe.Pointer(&w[:2*n][0])), n)
	}
	quant.Decode(quant.BF16, dst[n:], w[2*n:])
}

// masks[n] selects the first n of sixteen lanes.
var masks = func() (m [ref.Lanes][ref.Lanes]int32) {
	for n := range m {
		for i := range n {
			m[n][i] = -1
		}
	}
	return m
}()

// markPanel also panics when dst is too short for what the assembly writes.
func markPanel(dst []float32, stride, count int) {
	for t := range count {
		writes(dst[t*stride : t*stride+ref.PanelRows])
	}
}

// MulFloats is ref.MulFloats.
func MulFloats(dst []float32, stride int, w, x []float32, cols int) {
	rows, count := len(w)/cols, len(x)/cols
	even := rows &^ 1
	if cols%ref.Lanes != 0 || count == 0 {
		ref.MulFloats(dst, stride, w, x, cols)
		return
	}
	reads(w)
	reads(x)
	for t := range count {
		writes(dst[t*stride : t*stride+rows])
	}
	if even > 0 {
		mulFloats(&dst[0], 4*stride, &w[0], even, &x[0], cols, count)
	}
	if even < rows {
		ref.MulFloats(dst[even:], stride, w[even*cols:], x, cols)
	}
}

// MulFloats64 is ref.MulFloats64.
func MulFloats64(dst []float64, stride int, w, x []float32, cols int) {
	rows, count := len(w)/cols, len(x)/cols
	if cols%4 != 0 {
		ref.MulFloats64(dst, stride, w, x, cols)
		return
	}
	if rows == 0 || count == 0 {
		return
	}
	reads(w)
	reads(x)
	for t := range count {
		writes(dst[t*stride : t*stride+rows])
	}
	mulFloats64(&dst[0], 8*stride, &w[0], rows, &x[0], cols, count)
}

// Quantize is ref.Quantize.
func Quantize(q []int8, scale []float32, sums []int16, x []float32, blockLen int) {
	if len(scale) == 0 {
		return
	}
	n := len(scale) * blockLen
	writes(q[:n])
	writes(scale)
	writes(sums[:n/16])
	reads(x[:n])
	quantize(&q[0], &scale[0], &sums[0], &x[0], len(scale), blockLen)
}

// Widen is ref.Widen.
func Widen(dst []int16, q []int8) {
	n := len(q) &^ 15
	if n > 0 {
		writes(dst[:n])
		reads(q[:n])
		widen(&dst[0], &q[0], n)
	}
	ref.Widen(dst[n:], q[n:])
}
