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
	return 77 * cols / 256
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
//	super-blocks     n scales | 8 [n] pairs of sums of 16 quants | 4 [n] of sums of 32 | 64 [n] words of four quants
//
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
		}
		for i := b * words; i < (b+1)*words; i++ {
			out[at] = int32(binary.LittleEndian.Uint32(q[4*i:]))
			at += n
		}
	}
}

// bytesOf returns quants as they lie in memory.
func bytesOf(q []int8) []byte {
	return unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(q))), len(q))
}
