package ref

import (
	"encoding/binary"

	"github.com/weft-run/weft/kernels/exact"
	"github.com/weft-run/weft/kernels/quant"
)

// Shrink sets t[k] to the float product of x with row k of a, which are halves, times scale, rounded.
func Shrink(t []float32, a []byte, x []float32, scale float32) {
	RowsFloat(quant.F16, t, a, x)
	Scale(t, scale)
}

// ShrinkID is Shrink for an input that is an id: a is the rank halves of that id.
func ShrinkID(t []float32, a []byte, scale float32) {
	for k := range t {
		t[k] = quant.F16ToF32(binary.LittleEndian.Uint16(a[2*k:])) * scale
	}
}

// Scale sets x = x * scale.
func Scale(x []float32, scale float32) {
	for i := range x {
		x[i] *= scale
	}
}

// Mul sets dst = dst * x.
func Mul(dst, x []float32) {
	for i, v := range x {
		dst[i] *= v
	}
}

// Expand adds to outs elements of each row of dst, which begin stride apart: the sum of t[k] times b, k ascending by FMA from zero, is
// added to output o. b is kernels.Factors.B from a panel on, t is [rows, rank].
func Expand(dst []float32, stride int, b []byte, t []float32, rank, outs int) {
	for r := range len(t) / rank {
		for o := range outs {
			var sum float32
			for k, v := range t[r*rank : (r+1)*rank] {
				w := b[2*((o/PanelRows*rank+k)*PanelRows+o%PanelRows):]
				sum = exact.FMA32(v, quant.F16ToF32(binary.LittleEndian.Uint16(w)), sum)
			}
			dst[r*stride+o] += sum
		}
	}
}
