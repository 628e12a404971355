//go:build amd64 && !noasm

package avx2

import "github.com/weft-run/weft/kernels/ref"

// packKernel puts four rows side by side: words of each for a block.
type packKernel struct {
	run   func(out *int32, apart int, q *int8, scale *float32, sums *int16, blocks, cols int)
	words int
}

// Pack is ref.Quants.Pack: fours of rows that begin at a multiple of four by the assembly, the last rows of x as if they were four where x has the room,
// and the others by it.
func Pack(x *ref.Quants, first, last int) {
	tile, four := packKernel{packTileBlocks, 11}, packKernel{packFourBlocks, 11}
	if x.BlockLen == 256 {
		tile, four = packKernel{packTileSupers, 94}, packKernel{packFourSupers, 93}
	}
	for t := first; t < last; {
		if t%ref.FourRows != 0 || t+ref.FourRows > last && !hasRoom(x, t, last) {
			x.Pack(t, t+1)
			t++
			continue
		}
		if len(x.Tiles) > 0 {
			out, apart := x.TileOf(t)
			tile.pack(x, t, out, apart)
		}
		if len(x.Fours) > 0 {
			four.pack(x, t, x.FourOf(t), ref.FourRows)
		}
		t += ref.FourRows
	}
}

// hasRoom says whether rows t to last-1 are the last of x and there is room behind them, up to four.
func hasRoom(x *ref.Quants, t, last int) bool {
	blocks, end := x.Cols/x.BlockLen, t+ref.FourRows
	return last == len(x.Scale)/blocks && end*x.Cols <= cap(x.Q) && end*blocks <= cap(x.Scale) && end*x.Cols/16 <= cap(x.Sums)
}

// pack packs four rows from t on. Their first words are at out, the next ones so many words apart: between them lie other rows'.
func (k packKernel) pack(x *ref.Quants, t int, out []int32, apart int) {
	blocks := x.Cols / x.BlockLen
	out = out[:(k.words*blocks-1)*apart+ref.FourRows]
	writesApart(out, ref.FourRows, apart)
	q, scale, sums := x.Q[t*x.Cols:][:4*x.Cols], x.Scale[t*blocks:][:4*blocks], x.Sums[t*x.Cols/16:][:x.Cols/4]
	reads(q)
	reads(scale)
	reads(sums)
	k.run(&out[0], 4*apart, &q[0], &scale[0], &sums[0], blocks, x.Cols)
}
