package ref

import (
	"encoding/binary"
	"math"
	"unsafe"
)

// TileRows is the number of rows of activations that stand side by side in a tile of a panel product, NarrowTileRows in one
// of a product with few rows.
const (
	TileRows       = 12
	NarrowTileRows = 4
)

// tileWords is the number of 32-bit words of one row in a tile.
func tileWords(cols, blockLen int) int {
	if blockLen == 32 {
		return 11 * cols / 32
	}
	return 94 * cols / 256
}

// TilesLen is the length of Tiles for rows of activations: the last tile has a multiple of four rows.
func TilesLen(rows, cols, blockLen int) int {
	return (rows + 3) / 4 * 4 * tileWords(cols, blockLen)
}

// Pack writes rows first to last-1 to their tiles, of each kind that there is room for.
func (x *Quants) Pack(first, last int) {
	for t := first; t < last; t++ {
		if len(x.Tiles) > 0 {
			x.PackRow(t)
		}
		if len(x.Fours) > 0 {
			x.PackFours(t)
		}
	}
}

// TileOf returns the tile of row t from the row's first word on, and how many words lie from each of its words to the next.
func (x *Quants) TileOf(t int) (words []int32, apart int) {
	first := t / x.PerTile * x.PerTile
	rows := len(x.Q) / x.Cols
	return x.Tiles[first*tileWords(x.Cols, x.BlockLen)+t-first:], min(x.PerTile, (rows-first+3)/4*4)
}

// PackRow writes row t to its tile. What a panel product reads of n rows for one block lies together, so that it is read
// from one end to the other with a single pointer:
//
//	blocks of 32     n scales | n times -128 * sum of quants | n sums as float32 | 8 [n] words of four quants
//	super-blocks     n scales | 8 [n] pairs of sums of 16 quants | 4 [n] of sums of 32 | 8 [n] starts | 8 [n] second starts | n marks | 64 [n] words of four quants
//
// Starts and marks serve sums of products that share a word: pairStarts and pairMark.
// The words of rows that a last tile has beyond the last row mean nothing.
func (x *Quants) PackRow(t int) {
	blocks := x.Cols / x.BlockLen
	words := x.BlockLen / 4
	out, n := x.TileOf(t)
	q := bytesOf(x.Q[t*x.Cols : (t+1)*x.Cols])
	sums := x.Sums[t*x.Cols/16 : (t+1)*x.Cols/16]
	at := 0
	for b, scale := range x.Scale[t*blocks : (t+1)*blocks] {
		out[at] = int32(math.Float32bits(scale))
		at += n
		if x.BlockLen == 32 {
			sum := int32(sums[2*b]) + int32(sums[2*b+1])
			out[at] = -128 * sum
			out[at+n] = int32(math.Float32bits(float32(sum)))
			at += 2 * n
		} else {
			for i := 16 * b; i < 16*b+16; i += 2 {
				out[at] = pairOf(sums[i], sums[i+1])
				at += n
			}
			for i := 16 * b; i < 16*b+16; i += 4 {
				out[at] = pairOf(sums[i]+sums[i+1], sums[i+2]+sums[i+3])
				at += n
			}
			for i := 16 * b; i < 16*b+16; i += 2 {
				out[at], out[at+8*n] = pairStarts(sums[i], sums[i+1])
				at += n
			}
			at += 8 * n
			out[at] = pairMark(x.Q[t*x.Cols+256*b:][:256])
			at += n
		}
		for i := b * words; i < (b+1)*words; i++ {
			out[at] = int32(binary.LittleEndian.Uint32(q[4*i:]))
			at += n
		}
	}
}

// pairStarts is what the products of two runs of 16 quants with weights that have 128 added start with, first and second being the sums
// of the quants, if the products less the 128 fit 16 bits: those of the first are summed, the word is shifted left by 16 bits, the second
// start is added, then the second products. The upper half is the first sum then; the lower one is 0x8000 more than the second, so that
// it is never negative and takes nothing from the upper one.
func pairStarts(first, second int16) (int32, int32) {
	return -128 * int32(first), 0x8000 - 128*int32(second)
}

// Up to which sums of quants the sums of their products fit 16 bits.
const (
	quiet16 = 1023 // of the magnitudes of 16: times 32
	quiet32 = 1057 // of 32, those of one sign: times 31
	quiet4  = 2184 // of the same: times 15
)

// pairMark is what stands in the way of pairs in the 256 quants of a super-block: 1 if the magnitudes of some 16 come to more than
// quiet16, and 2 if those of one sign of some 32 come to more than quiet32, 4 if to more than quiet4.
func pairMark(q []int8) int32 {
	var mark int32
	for i := 0; i < len(q); i += 32 {
		var sums [2][2]int // of 16 quants: of positive and of negative ones
		for j, v := range q[i : i+32] {
			sums[j/16][0] += int(max(v, 0))
			sums[j/16][1] -= int(min(v, 0))
		}
		a, b := sums[0], sums[1]
		if max(a[0]+a[1], b[0]+b[1]) > quiet16 {
			mark |= 1
		}
		one := max(a[0]+b[0], a[1]+b[1])
		if one > quiet32 {
			mark |= 2
		}
		if one > quiet4 {
			mark |= 4
		}
	}
	return mark
}

// bytesOf returns quants as they lie in memory.
func bytesOf(q []int8) []byte {
	return unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(q))), len(q))
}
