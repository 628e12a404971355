//go:build amd64 && !noasm

package avx2

import (
	"github.com/weft-run/weft/kernels/quant"
	"github.com/weft-run/weft/kernels/ref"
)

// The way of most formats with many rows of activations: weights as unsigned bytes, met by VPMADDUBSW.

type (
	unpackKernel func(panel *uint8, pairs, mins *int16, d, m *float32, w *byte, blocks int)
	mulKernel    func(dst *float32, dstStride int, panel *uint8, pairs, mins *int16, d, m *float32, blocks int, tiles *int32, count int)
)

// byteKernels are the kernels of the formats that have them.
var byteKernels = map[quant.Type]struct {
	unpack unpackKernel
	mul    mulKernel
}{
	quant.Q4_0:  {unpackBytesQ4_0, mulBytes},
	quant.Q4_1:  {unpackBytesQ4_1, mulBytesMinima4},
	quant.Q5_0:  {unpackBytesQ5_0, mulBytes},
	quant.Q5_1:  {unpackBytesQ5_1, mulBytesMinima5},
	quant.MXFP4: {unpackBytesMXFP4, mulBytes},
	quant.Q2_K:  {unpackBytesQ2_K, mulSupersMinima2},
	quant.Q3_K:  {unpackBytesQ3_K, mulSupers},
	quant.Q4_K:  {unpackBytesQ4_K, mulSupersMinima4},
	quant.Q5_K:  {unpackBytesQ5_K, mulSupersMinima5},
	quant.Q6_K:  {unpackBytesQ6_K, mulSupers},

	// VPMADDUBSW saturates with these.
	quant.Q8_0:   {unpackBytesQ8_0, nil},
	quant.IQ4_NL: {unpackBytesIQ4_NL, nil},
	quant.IQ4_XS: {unpackBytesIQ4_XS, nil},
}

// HasBytes says whether MulBytes takes a type.
func HasBytes(t quant.Type) bool { return byteKernels[t].mul != nil }

// UnpackBytes sets p to rows rows of weights as bytes. They have an offset of 16 in blocks of 32 and of 32 in
// super-blocks, of 128 in the types that fill a signed byte, none where there are minima; Pairs has a line for each scale
// of the format.
func UnpackBytes(t quant.Type, p *ref.Panel, w []byte, rows, cols int) {
	info, half := t.Info(), 8*t.RowBytes(cols)
	reads(w)
	w = p.Whole(w[:rows*t.RowBytes(cols)], 2*half)
	writes(p.Bytes[:cols*ref.PanelRows])
	unpack := byteKernels[t].unpack
	unpack(&p.Bytes[0], &p.Pairs[0], &p.Mins[0], &p.D[0], &p.M[0], &w[0], cols/info.BlockLen)
	unpack(&p.Bytes[32], &p.Pairs[16], &p.Mins[16], &p.D[8], &p.M[8], &w[half], cols/info.BlockLen)
}

// MulBytes is ref.MulBytes for a panel of UnpackBytes. x must have Fours.
func MulBytes(t quant.Type, dst []float32, stride int, p *ref.Panel, x *ref.Quants) {
	blocks := x.Cols / x.BlockLen
	count := len(x.Scale) / blocks
	if count == 0 {
		return
	}
	markPanel(dst, stride, count)
	reads(p.Bytes[:x.Cols*ref.PanelRows])
	tiles := x.Fours[:ref.FoursLen(count, x.Cols, x.BlockLen)]
	reads(tiles)
	byteKernels[t].mul(&dst[0], 4*stride, &p.Bytes[0], &p.Pairs[0], &p.Mins[0], &p.D[0], &p.M[0], blocks, &tiles[0], count)
}
