package ref

import (
	"encoding/binary"
	"math"
)

// FourRows is the number of rows of activations that stand side by side in a tile of PackFours.
const FourRows = 4

// fourWords is the number of 32-bit words of one row in a tile of PackFours.
func fourWords(cols, blockLen int) int {
	if blockLen == 32 {
		return 11 * cols / 32
	}
	return 93 * cols / 256
}

// FoursLen is the length of Fours for rows of activations: the last tile has four rows too.
func FoursLen(rows, cols, blockLen int) int {
	return (rows + FourRows - 1) / FourRows * FourRows * fourWords(cols, blockLen)
}

// FourOf returns the tile of row t in the order of PackFours, from the row's first word on.
func (x *Quants) FourOf(t int) []int32 {
	return x.Fours[t/FourRows*FourRows*fourWords(x.Cols, x.BlockLen)+t%FourRows:]
}

// PackFours writes row t to its tile of four rows. Of each block lie together, every word beside those of the three others:
//
//	blocks of 32     scale | pair of sums | sum as float32 | 8 words of four quants
//	super-blocks     scale | 8 pairs of sums of 16 quants | 16 pairs of sums, one for each 16 | 64 words of four quants |
//	                 4 pairs of sums of 32 quants
//
// A pair of sums that has no range named is of quants 0, 1, 4, 5, 8, ... and of quants 2, 3, 6, 7, 10, ...: what the
// halves of a lane add up when they meet words of four. The words of rows that a last tile has beyond the last row mean
// nothing.
func (x *Quants) PackFours(t int) {
	blocks, words := x.Cols/x.BlockLen, x.BlockLen/4
	out := x.FourOf(t)
	q := x.Q[t*x.Cols : (t+1)*x.Cols]
	sums := x.Sums[t*x.Cols/16 : (t+1)*x.Cols/16]
	for b, scale := range x.Scale[t*blocks : (t+1)*blocks] {
		out[0] = int32(math.Float32bits(scale))
		var quants []int32
		block := q[b*x.BlockLen : (b+1)*x.BlockLen]
		if x.BlockLen == 32 {
			out[4] = pairOf(pairSums(block))
			out[8] = int32(math.Float32bits(float32(int32(sums[2*b]) + int32(sums[2*b+1]))))
			quants = out[12:]
		} else {
			for i := range 8 {
				out[4+4*i] = pairOf(sums[16*b+2*i], sums[16*b+2*i+1])
			}
			for i := range 16 {
				out[36+4*i] = pairOf(pairSums(block[16*i : 16*i+16]))
			}
			quants = out[100:]
			for i := range 4 {
				s := sums[16*b+4*i:]
				out[356+4*i] = pairOf(s[0]+s[1], s[2]+s[3])
			}
		}
		for i := range words {
			quants[4*i] = int32(binary.LittleEndian.Uint32(bytesOf(block[4*i:])))
		}
		if b+1 < blocks {
			out = out[FourRows*fourWords(x.BlockLen, x.BlockLen):]
		}
	}
}

// pairSums returns the sums of the even and of the odd pairs of quants.
func pairSums(q []int8) (even, odd int16) {
	for ; len(q) >= 4; q = q[4:] {
		even += int16(q[0]) + int16(q[1])
		odd += int16(q[2]) + int16(q[3])
	}
	return even, odd
}

// pairOf returns two numbers of 16 bits as one word.
func pairOf(low, high int16) int32 {
	return int32(uint32(uint16(low)) | uint32(uint16(high))<<16)
}
