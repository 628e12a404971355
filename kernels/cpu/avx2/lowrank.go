//go:build amd64 && !noasm

package avx2

import (
	"unsafe"

	"github.com/weft-run/weft/kernels/ref"
)

// Shrink is ref.Shrink. next is the memory that will be read after a: it is asked for meanwhile. It may be empty.
func Shrink(t []float32, a []byte, x []float32, scale float32, next []byte) {
	if len(t) == 0 || len(x) == 0 || len(x)%ref.Lanes != 0 {
		ref.Shrink(t, a, x, scale)
		return
	}
	markFloatRows(t, a[:2*len(t)*len(x)], x)
	if len(next) == 0 {
		next = a // in the cache by then
	}
	shrink(&t[0], &a[0], len(t), len(x), &x[0], unsafe.SliceData(next))
	ref.Scale(t, scale)
}

// Expand is ref.Expand.
func Expand(dst []float32, stride int, b []byte, t []float32, rank, outs int) {
	rows, whole := len(t)/rank, outs&^(ref.PanelRows-1)
	if whole > 0 && rows > 0 {
		reads(b[:2*rank*whole])
		reads(t)
		for r := range rows {
			writes(dst[r*stride : r*stride+whole])
		}
		expand(&dst[0], 4*stride, &b[0], whole/ref.PanelRows, &t[0], rank, rows)
	}
	if whole < outs {
		ref.Expand(dst[whole:], stride, b[2*rank*whole:], t, rank, outs-whole)
	}
}
