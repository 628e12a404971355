//go:build amd64 && !noasm

package avx2

import (
	"github.com/weft-run/weft/kernels/quant"
	"github.com/weft-run/weft/kernels/ref"
)

// A kernel takes at most fewMost rows of activations and, because Go cannot preempt it, at most fewWork multiply-adds.
const (
	fewMost = 32
	fewWork = 4 << 20
)

// nothing is what FewRows asks for if it is told nothing.
var nothing [1][2]uintptr

var fewKernels = [...]func(dst *float32, dstStride int, w *byte, blocks int, tiles *int32, tileBytes, count int, spans *[2]uintptr){
	quant.Q4_0: fewQ4_0, quant.Q4_1: fewQ4_1, quant.Q5_0: fewQ5_0, quant.Q5_1: fewQ5_1, quant.Q8_0: fewQ8_0,
	quant.IQ4_NL: fewIQ4_NL, quant.MXFP4: fewMXFP4,
	quant.Q2_K: fewQ2_K, quant.Q3_K: fewQ3_K, quant.Q4_K: fewQ4_K, quant.Q5_K: fewQ5_K, quant.Q6_K: fewQ6_K,
	quant.IQ4_XS: fewIQ4_XS,
}

// FewRows sets element r of row t of dst, rows being stride elements apart, to what ref.RowsQuant makes of row r of the
// weights and row t of x, which must have Fours. rows is the number of rows of weights. Meanwhile it asks for the memory of ahead:
// spans from an address to another, which it shortens, and behind them one of zeros. It may be empty.
func FewRows(t quant.Type, dst []float32, stride int, w []byte, rows int, x *ref.Quants, ahead [][2]uintptr) {
	size, blocks := t.RowBytes(x.Cols), x.Cols/x.BlockLen
	count := len(x.Scale) / blocks
	if rows < ref.PanelRows {
		for i := range count {
			one := x.Rows(i, 1)
			ref.RowsQuant(t, dst[i*stride:i*stride+rows], w, &one)
		}
		return
	}
	for i := range count { // panics when dst is too short for what the assembly writes
		writes(dst[i*stride : i*stride+rows])
	}
	reads(w[:rows*size])
	tiles := x.Fours[:ref.FoursLen(count, x.Cols, x.BlockLen)]
	reads(tiles)
	tileLen := ref.FoursLen(ref.FourRows, x.Cols, x.BlockLen)
	if len(ahead) == 0 {
		ahead = nothing[:]
	}
	most := max(ref.FourRows, min(fewMost, fewWork/(ref.PanelRows*x.Cols)/ref.FourRows*ref.FourRows))
	for n := 0; n < rows; n += ref.PanelRows {
		n = min(n, rows-ref.PanelRows) // the last rows perhaps twice, with the same bits
		for i := 0; i < count; i += most {
			for ahead[0][0] != 0 && ahead[0][0] >= ahead[0][1] {
				ahead = ahead[1:]
			}
			fewKernels[t](&dst[i*stride+n], 4*stride, &w[n*size], blocks, &tiles[i/ref.FourRows*tileLen], 4*tileLen, min(most, count-i), &ahead[0])
		}
	}
}
