//go:build amd64 && !noasm

// Package avx512 owns the kernels for x86-64 processors with AVX-512 (F, BW, VL, DQ) and its VNNI: the assembly that
// kernels/_gen writes and the Go functions around it. It defines no result (each function gives the bits of the one of
// kernels/ref that it names), decides nothing about threads, tiles or dispatch, and has only what is faster so than in
// kernels/cpu/avx2.
//
// Weights meet activations as unsigned bytes, four products a lane: VPDPBUSD neither saturates nor rounds. Everything is
// safe for concurrent use as long as destinations do not overlap.
package avx512

import (
	"github.com/weft-run/weft/kernels/quant"
	"github.com/weft-run/weft/kernels/ref"
)

// Built says whether this binary contains the assembly. It says nothing about the processor.
const Built = true

type (
	rowsKernel   func(dst *float32, w *byte, groups, blocks int, q *int8, scale *float32, sums *int16)
	fewKernel    func(dst *float32, dstStride int, w *byte, groups, blocks int, tiles *int32, tileBytes, count int, spans *[2]uintptr)
	unpackKernel func(panel *uint8, scales *int8, mins *int16, d, m *float32, w *byte, blocks int)
	mulKernel    func(dst *float32, dstStride int, panel *uint8, scales *int8, mins *int16, d, m *float32, blocks int, tiles *int32, count int)
)

// kernel is the assembly of a format. few has kernels for up to four, eight, twelve and sixteen rows of activations. rows is nil where
// avx2's is as fast.
type kernel struct {
	rows   rowsKernel
	few    [4]fewKernel
	unpack unpackKernel
}

var kernels = [...]kernel{
	quant.Q4_0:   {few: [4]fewKernel{fewQ4_0, fewQ4_0x8, fewQ4_0x12, fewQ4_0x16}, unpack: unpackQ4_0},
	quant.Q4_1:   {few: [4]fewKernel{fewQ4_1, fewQ4_1x8, fewQ4_1x12, fewQ4_1x16}, unpack: unpackQ4_1},
	quant.Q5_0:   {few: [4]fewKernel{fewQ5_0, fewQ5_0x8, fewQ5_0x12, fewQ5_0x16}, unpack: unpackQ5_0},
	quant.Q5_1:   {few: [4]fewKernel{fewQ5_1, fewQ5_1x8, fewQ5_1x12, fewQ5_1x16}, unpack: unpackQ5_1},
	quant.Q8_0:   {few: [4]fewKernel{fewQ8_0, fewQ8_0x8, fewQ8_0x12, fewQ8_0x16}, unpack: unpackQ8_0},
	quant.IQ4_NL: {few: [4]fewKernel{fewIQ4_NL, fewIQ4_NLx8, fewIQ4_NLx12, fewIQ4_NLx16}, unpack: unpackIQ4_NL},
	quant.MXFP4:  {few: [4]fewKernel{fewMXFP4, fewMXFP4x8, fewMXFP4x12, fewMXFP4x16}, unpack: unpackMXFP4},
	quant.Q2_K:   {rows: rowsQ2_K, few: [4]fewKernel{fewQ2_K, fewQ2_Kx8, fewQ2_Kx12, fewQ2_Kx16}, unpack: unpackQ2_K},
	quant.Q3_K:   {rows: rowsQ3_K, few: [4]fewKernel{fewQ3_K, fewQ3_Kx8, fewQ3_Kx12, fewQ3_Kx16}, unpack: unpackQ3_K},
	quant.Q4_K:   {rows: rowsQ4_K, few: [4]fewKernel{fewQ4_K, fewQ4_Kx8, fewQ4_Kx12, fewQ4_Kx16}, unpack: unpackQ4_K},
	quant.Q5_K:   {rows: rowsQ5_K, few: [4]fewKernel{fewQ5_K, fewQ5_Kx8, fewQ5_Kx12, fewQ5_Kx16}, unpack: unpackQ5_K},
	quant.Q6_K:   {rows: rowsQ6_K, few: [4]fewKernel{fewQ6_K, fewQ6_Kx8, fewQ6_Kx12, fewQ6_Kx16}, unpack: unpackQ6_K},
	quant.IQ4_XS: {rows: rowsIQ4_XS, few: [4]fewKernel{fewIQ4_XS, fewIQ4_XSx8, fewIQ4_XSx12, fewIQ4_XSx16}, unpack: unpackIQ4_XS},
}

// RowsQuant is ref.RowsQuant, for formats of super-blocks.
func RowsQuant(t quant.Type, dst []float32, w []byte, x *ref.Quants) {
	const group = 4 // rows that the assembly takes at a time
	if len(dst) < group {
		ref.RowsQuant(t, dst, w, x)
		return
	}
	size := len(w) / len(dst)
	writes(dst)
	reads(w)
	reads(x.Q)
	reads(x.Scale)
	reads(x.Sums)
	rows := kernels[t].rows
	rows(&dst[0], &w[0], len(dst)/group, len(x.Scale), &x.Q[0], &x.Scale[0], &x.Sums[0])
	if len(dst)%group > 0 {
		first := len(dst) - group // some rows twice, with the same bits
		rows(&dst[first], &w[first*size], 1, len(x.Scale), &x.Q[0], &x.Scale[0], &x.Sums[0])
	}
}

// fewWork is how many multiply-adds a call computes at most, because Go cannot preempt it, unless sixteen rows are more.
const fewWork = 4 << 20

// nothing is what FewRows asks for if it is told nothing.
var nothing [1][2]uintptr

// FewRows sets element r of row t of dst, rows being stride elements apart, to what ref.RowsQuant makes of row r of the
// weights and row t of x, which must have narrow tiles. rows is the number of rows of weights. Meanwhile it asks for the memory of ahead:
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
	tiles := x.Tiles[:ref.TilesLen(count, x.Cols, x.BlockLen)]
	reads(tiles)
	tileLen := ref.TilesLen(ref.NarrowTileRows, x.Cols, x.BlockLen)
	if len(ahead) == 0 {
		ahead = nothing[:]
	}
	for i := 0; i < count; {
		most := min(16, count-i)
		kernel := kernels[t].few[(most-1)/ref.NarrowTileRows]
		per := max(1, fewWork/(ref.PanelRows*x.Cols*most))
		for n := 0; n < rows; {
			n = min(n, rows-ref.PanelRows) // the last rows perhaps twice, with the same bits
			groups := min(per, (rows-n)/ref.PanelRows)
			for ahead[0][0] != 0 && ahead[0][0] >= ahead[0][1] {
				ahead = ahead[1:]
			}
			kernel(&dst[i*stride+n], 4*stride, &w[n*size], groups, blocks, &tiles[i/ref.NarrowTileRows*tileLen], 4*tileLen, most, &ahead[0])
			n += groups * ref.PanelRows
		}
		i += most
	}
}

// MulFloats is ref.MulFloats.
func MulFloats(dst []float32, stride int, w, x []float32, cols int) {
	rows, count := len(w)/cols, len(x)/cols
	fours := rows &^ 3
	if cols%ref.Lanes != 0 || count == 0 {
		ref.MulFloats(dst, stride, w, x, cols)
		return
	}
	reads(w)
	reads(x)
	for t := range count {
		writes(dst[t*stride : t*stride+rows])
	}
	if fours > 0 {
		mulFloats(&dst[0], 4*stride, &w[0], fours, &x[0], cols, count)
	}
	if fours < rows {
		ref.MulFloats(dst[fours:], stride, w[fours*cols:], x, cols)
	}
}

// UnpackBytes is ref.UnpackBytes, except that formats of blocks of 32 get neither Scales nor Mins, and Q4_K and Q5_K each of
// their minima once, for the sum of 32 quants.
func UnpackBytes(t quant.Type, p *ref.Panel, w []byte, rows, cols int) {
	info, size := t.Info(), t.RowBytes(cols)
	blocks := cols / info.BlockLen
	reads(w[:rows*size])
	w = p.Whole(w[:rows*size], ref.PanelRows*size)
	writes(p.Bytes[:cols*ref.PanelRows])
	kernels[t].unpack(&p.Bytes[0], &p.Scales[0], &p.Mins[0], &p.D[0], &p.M[0], &w[0], blocks)
}

// MulBytes is ref.MulBytes for a panel of UnpackBytes. x must have tiles.
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
	tiles := x.Tiles[:ref.TilesLen(count, x.Cols, x.BlockLen)]
	reads(tiles)
	mulOf(t)(&dst[0], 4*stride, &p.Bytes[0], &p.Scales[0], &p.Mins[0], &p.D[0], &p.M[0], blocks, &tiles[0], count)
}

func mulOf(t quant.Type) mulKernel {
	switch {
	case t == quant.Q4_K:
		return mulSupersMinimaQ4
	case t == quant.Q5_K:
		return mulSupersMinimaQ5
	case t == quant.Q2_K:
		return mulSupersMinima
	case t == quant.Q3_K || t == quant.Q6_K:
		return mulSupersQuiet
	case ref.FormOf(t) == ref.Supers:
		return mulSupers
	case t.HasMinima():
		return mulBytesMinima
	}
	return mulBytes
}
