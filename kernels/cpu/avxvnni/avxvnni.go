//go:build amd64 && !noasm

// Package avxvnni owns the kernels for x86-64 processors with AVX-VNNI, the VEX form of what AVX-512 calls VNNI: products
// of panels of bytes. It lies on top of kernels/cpu/avx2, whose panels it multiplies, and has only what is faster so.
// It defines no result (each function gives the bits of the one of kernels/ref that it names) and decides nothing about
// threads, tiles or dispatch.
//
// Built with the tag evex, the same kernels are encoded for processors with AVX-512 and its VNNI, to be tested there.
package avxvnni

import (
	"github.com/weft-run/weft/kernels/quant"
	"github.com/weft-run/weft/kernels/ref"
)

// Built says whether this binary contains the assembly.
const Built = true

type mulKernel func(dst *float32, dstStride int, panel *uint8, pairs, mins *int16, d, m *float32, blocks int, tiles *int32, count int)

var kernels = map[quant.Type]mulKernel{
	quant.Q4_0: mulBytes, quant.Q5_0: mulBytes, quant.MXFP4: mulBytes,
	quant.Q4_1: mulBytesMinima, quant.Q5_1: mulBytesMinima,
	quant.Q8_0: mulBytes128, quant.IQ4_NL: mulBytes128,
	quant.Q2_K: mulSupersMinima, quant.Q4_K: mulSupersMinima32, quant.Q5_K: mulSupersMinima32,
	quant.Q3_K: mulSupers, quant.Q6_K: mulSupers,
	quant.IQ4_XS: mulSupers128,
}

// MulBytes is ref.MulBytes for a panel of avx2.UnpackBytes. x must have Fours.
func MulBytes(t quant.Type, dst []float32, stride int, p *ref.Panel, x *ref.Quants) {
	blocks := x.Cols / x.BlockLen
	count := len(x.Scale) / blocks
	if count == 0 {
		return
	}
	for i := range count { // panics when dst is too short for what the assembly writes
		writes(dst[i*stride : i*stride+ref.PanelRows])
	}
	reads(p.Bytes[:x.Cols*ref.PanelRows])
	tiles := x.Fours[:ref.FoursLen(count, x.Cols, x.BlockLen)]
	reads(tiles)
	kernels[t](&dst[0], 4*stride, &p.Bytes[0], &p.Pairs[0], &p.Mins[0], &p.D[0], &p.M[0], blocks, &tiles[0], count)
}
