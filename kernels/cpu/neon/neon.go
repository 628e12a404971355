//go:build arm64 && !noasm

// Package neon owns the kernels for arm64 processors: those that every one of them can run, those for the dot product
// of bytes (FEAT_DotProd) and those for matrices of bytes (FEAT_I8MM). It holds the assembly that kernels/_gen/neon
// writes and the Go functions around it. It defines no result (each function gives the bits of the one of kernels/ref
// that it names) and decides nothing about threads, tiles or dispatch.
//
// Lengths follow from the slices, as in kernels/ref. The functions around the assembly cut off what whole vectors do not
// cover and leave it to kernels/ref, and tell the race detector what assembly touches. Everything is safe for concurrent
// use as long as destinations do not overlap.
package neon

import (
	"unsafe"

	"github.com/weft-run/weft/kernels/quant"
	"github.com/weft-run/weft/kernels/ref"
)

// Built says whether this binary contains the assembly. It says nothing about the processor.
const Built = true

// RowsF32 is ref.RowsFloat for F32.
func RowsF32(dst []float32, w []byte, x []float32) {
	switch {
	case len(dst) == 0:
	case len(x)%ref.Lanes == 0:
		rowsFloat(rowsF32, dst, w, x)
	default:
		f := unsafe.Slice((*float32)(unsafe.Pointer(&w[0])), len(dst)*len(x))
		markFloatRows(dst, w, x)
		for r := range dst {
			dst[r] = dot(f[r*len(x):(r+1)*len(x)], x)
		}
	}
}

// dot is ref.Dot.
func dot(a, b []float32) float32 {
	var tailA, tailB [ref.Lanes]float32
	n := len(a) &^ (ref.Lanes - 1)
	if n == len(a) {
		var d float32
		rowsF32(&d, (*byte)(unsafe.Pointer(&a[0])), 1, n, &b[0])
		return d
	}
	copy(tailA[:], a[n:])
	copy(tailB[:], b[n:])
	return dotTail(&a[0], &b[0], n, &tailA[0], &tailB[0])
}

// RowsF16 is ref.RowsFloat for F16.
func RowsF16(dst []float32, w []byte, x []float32) {
	if len(dst) == 0 || len(x)%ref.Lanes != 0 {
		ref.RowsFloat(quant.F16, dst, w, x)
		return
	}
	rowsFloat(rowsF16, dst, w, x)
}

// RowsBF16 is ref.RowsFloat for BF16.
func RowsBF16(dst []float32, w []byte, x []float32) {
	if len(dst) == 0 || len(x)%ref.Lanes != 0 {
		ref.RowsFloat(quant.BF16, dst, w, x)
		return
	}
	rowsFloat(rowsBF16, dst, w, x)
}

func rowsFloat(kernel func(dst *float32, w *byte, rows, cols int, x *float32), dst []float32, w []byte, x []float32) {
	markFloatRows(dst, w, x)
	kernel(&dst[0], &w[0], len(dst), len(x), &x[0])
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
		t := 0
		for ; t+3 <= count; t += 3 {
			mulFloats3(&dst[t*stride], 4*stride, &w[0], even, &x[t*cols], cols)
		}
		for ; t < count; t++ {
			mulFloats1(&dst[t*stride], 4*stride, &w[0], even, &x[t*cols], cols)
		}
	}
	if even < rows {
		ref.MulFloats(dst[even:], stride, w[even*cols:], x, cols)
	}
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
