//go:build arm64 && !noasm

package neon

import "github.com/weft-run/weft/kernels/ref"

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
