package ref

import "math"

// Quants is rows of activations as int8, one row behind the other. Of Cols columns, each BlockLen share a scale, and each
// 16 have their sum kept beside them for the minima and offsets of weight formats. Where Q, Scale and Sums have the capacity for whole fours
// of rows, Pack may read what lies there as rows that mean nothing.
type Quants struct {
	Cols     int
	BlockLen int       // 32 or 256
	Q        []int8    // [rows, Cols]
	Wide     []int16   // Q once more as int16, where a panel product reads it; empty otherwise
	Scale    []float32 // [rows, Cols/BlockLen]
	Sums     []int16   // [rows, Cols/16]
	Tiles    []int32   // all of it once more in the order of PackRow, where a product reads that; empty otherwise
	PerTile  int       // rows in a tile: TileRows or NarrowTileRows
	Fours    []int32   // likewise in the order of PackFours
}

// Rows returns the view of rows first to first+count-1. It has tiles when it is made of whole tiles.
func (x *Quants) Rows(first, count int) Quants {
	blocks, sums := x.Cols/x.BlockLen, x.Cols/16
	v := Quants{
		Cols: x.Cols, BlockLen: x.BlockLen, PerTile: x.PerTile,
		Q:     x.Q[first*x.Cols : (first+count)*x.Cols],
		Scale: x.Scale[first*blocks : (first+count)*blocks],
		Sums:  x.Sums[first*sums : (first+count)*sums],
	}
	if len(x.Wide) > 0 {
		v.Wide = x.Wide[first*x.Cols : (first+count)*x.Cols]
	}
	if len(x.Tiles) > 0 && first%x.PerTile == 0 {
		v.Tiles = x.Tiles[first*tileWords(x.Cols, x.BlockLen):]
	}
	if len(x.Fours) > 0 && first%FourRows == 0 {
		v.Fours = x.Fours[first*fourWords(x.Cols, x.BlockLen):]
	}
	return v
}

// Quantize sets q, scale and sums to the int8 form of x, whose length is whole blocks of blockLen.
//
// With amax the largest magnitude of a block: scale = amax/127 and q = x * (127/amax) rounded half to even, each step
// rounded to float32. A block so small that 127/amax is infinite, zeros included, has scale 0 and quants 0; a block with
// a NaN or an infinity has scale NaN and quants 0, so that the result of its product is NaN.
func Quantize(q []int8, scale []float32, sums []int16, x []float32, blockLen int) {
	for b := range scale {
		block := x[b*blockLen : (b+1)*blockLen]
		out := q[b*blockLen : (b+1)*blockLen]
		var largest uint32 // the bits of magnitudes order as the magnitudes do, infinities and NaN above all others
		for _, v := range block {
			largest = max(largest, math.Float32bits(v)&0x7fffffff)
		}
		amax := math.Float32frombits(largest)
		inverse := 127 / amax
		switch {
		case largest >= 0x7f800000:
			scale[b], inverse = float32(math.NaN()), 0
		case math.IsInf(float64(inverse), 0):
			scale[b], inverse = 0, 0
		default:
			scale[b] = amax / 127
		}
		if inverse == 0 {
			clear(out)
		} else {
			for i, v := range block {
				out[i] = int8(math.RoundToEven(float64(v * inverse)))
			}
		}
		sum16(sums[b*blockLen/16:(b+1)*blockLen/16], out)
	}
}

// sum16 sets each entry of sums to the sum of 16 quants.
func sum16(sums []int16, q []int8) {
	for i := range sums {
		var sum int16
		for _, v := range q[16*i : 16*i+16] {
			sum += int16(v)
		}
		sums[i] = sum
	}
}

// Widen sets dst to q.
func Widen(dst []int16, q []int8) {
	for i, v := range q {
		dst[i] = int16(v)
	}
}
