package kerneltest

import (
	"fmt"
	"testing"

	"github.com/weft-run/weft/kernels/quant"
	"github.com/weft-run/weft/kernels/ref"
)

// Quants returns the quantized form of rows rows of x, its wide copy and its tiles too.
func Quants(x []float32, rows, blockLen int) ref.Quants {
	return quantsInTiles(x, rows, blockLen, ref.TileRows)
}

// NarrowQuants is Quants with narrow tiles.
func NarrowQuants(x []float32, rows, blockLen int) ref.Quants {
	return quantsInTiles(x, rows, blockLen, ref.NarrowTileRows)
}

func quantsInTiles(x []float32, rows, blockLen, perTile int) ref.Quants {
	cols := len(x) / rows
	q := ref.Quants{
		Cols: cols, BlockLen: blockLen, PerTile: perTile,
		Q: make([]int8, len(x)), Wide: make([]int16, len(x)),
		Scale: make([]float32, len(x)/blockLen), Sums: make([]int16, len(x)/16),
	}
	ref.Quantize(q.Q, q.Scale, q.Sums, x, blockLen)
	ref.Widen(q.Wide, q.Q)
	q.Tiles = make([]int32, ref.TilesLen(rows, cols, blockLen))
	for i := range q.Tiles {
		q.Tiles[i] = -1 // a NaN where it is a scale
	}
	q.Fours = make([]int32, ref.FoursLen(rows, cols, blockLen))
	for i := range q.Fours {
		q.Fours[i] = -1
	}
	if cols > 0 {
		q.Pack(0, rows)
	}
	return q
}

// columns returns the row lengths to try for blocks of n: one and two blocks, and some long rows.
func columns(n int) []int {
	if n == 1 {
		var c []int
		for i := 1; i <= 67; i++ {
			c = append(c, i)
		}
		return append(c, 172, 576)
	}
	if testing.Short() {
		return []int{n, 2 * n, 3 * n}
	}
	return []int{n, 2 * n, 3 * n, 5 * n, 18 * 32 / n * n}
}

// TestQuantize holds a level's Quantize against ref.Quantize.
func TestQuantize(t *testing.T, f func(q []int8, scale []float32, sums []int16, x []float32, blockLen int)) {
	r := Rand()
	for _, k := range Kinds() {
		for _, blockLen := range []int{32, 256} {
			for blocks := range 6 {
				for offset := range 9 {
					n := blocks * blockLen
					x := shift(Floats(r, k, n), offset)
					if k == Normal && n > 0 {
						for i := range 16 { // halfway cases: the scale is 1
							x[i] = float32(i) - 7.5
						}
						x[16] = 127
					}
					want := Quants(x, 1, blockLen)
					q, checkQ := Guarded[int8](n, offset, 77)
					scale, checkScale := Guarded(blocks, offset, mark)
					sums, checkSums := Guarded[int16](n/16, offset, 7777)
					f(q, scale, sums, x, blockLen)
					what := fmt.Sprintf("%s values, %d blocks of %d", k, blocks, blockLen)
					equal(t, what+": quants", q, want.Q)
					Equal(t, what+": scales", scale, want.Scale)
					equal(t, what+": sums", sums, want.Sums)
					checkQ(t, what)
					checkScale(t, what)
					checkSums(t, what)
				}
			}
		}
	}
}

// TestWiden holds a level's Widen against ref.Widen.
func TestWiden(t *testing.T, f func(dst []int16, q []int8)) {
	r := Rand()
	for n := range 70 {
		q := make([]int8, n)
		for i := range q {
			q[i] = int8(r.Uint32())
		}
		want := make([]int16, n)
		ref.Widen(want, q)
		got, check := Guarded[int16](n, n%16, 7777)
		f(got, shift(q, n%7))
		equal(t, "quants", got, want)
		check(t, "quants")
	}
}

// TestPack holds a level's Pack against ref.Quants.Pack: any rows of any number, in tiles of each width.
func TestPack(t *testing.T, f func(x *ref.Quants, first, last int)) {
	r := Rand()
	for _, blockLen := range []int{32, 256} {
		for _, perTile := range []int{ref.TileRows, ref.NarrowTileRows} {
			for rows := 1; rows <= 29; rows++ {
				cols := (1 + r.IntN(4)) * blockLen
				for _, room := range []bool{false, true} {
					testPack(t, Floats(r, Normal, rows*cols), rows, blockLen, perTile, room, f)
				}
			}
			var values []float32
			rows := 0
			for _, row := range extremeValues(2 * blockLen) {
				values = append(values, row...)
				rows++
			}
			testPack(t, values, rows, blockLen, perTile, false, f)
		}
	}
}

// testPack packs rows in some pieces; room says whether there is room behind them for whole fours.
func testPack(t *testing.T, values []float32, rows, blockLen, perTile int, room bool, f func(x *ref.Quants, first, last int)) {
	t.Helper()
	r, cols := Rand(), len(values)/rows
	want := quantsInTiles(values, rows, blockLen, perTile)
	got := want
	if room {
		got.Q, got.Scale, got.Sums = withRoom(got.Q, 3*cols, 99), withRoom(got.Scale, 3*cols/blockLen, 99), withRoom(got.Sums, 3*cols/16, 99)
	}
	tiles, checkTiles := Guarded[int32](len(want.Tiles), rows%16, -1) // without room, what lies beyond the last row stays -1
	fours, checkFours := Guarded[int32](len(want.Fours), rows%16, -1)
	got.Tiles, got.Fours = tiles, fours
	for first := 0; first < rows; {
		last := min(rows, first+1+r.IntN(14))
		f(&got, first, last)
		first = last
	}
	for t := rows; room && t%ref.FourRows != 0; t++ { // rows that mean nothing
		tile, apart := got.TileOf(t)
		fours := got.FourOf(t)
		for i := 0; i < len(tile); i += apart {
			tile[i] = -1
		}
		for i := 0; i < len(fours); i += ref.FourRows {
			fours[i] = -1
		}
	}
	what := fmt.Sprintf("blocks of %d, tiles of %d, %d rows of %d", blockLen, perTile, rows, cols)
	equal(t, what+": tiles", got.Tiles, want.Tiles)
	equal(t, what+": fours", got.Fours, want.Fours)
	checkTiles(t, what)
	checkFours(t, what)
}

// withRoom returns a copy of s with so many elements more in its capacity, which are v.
func withRoom[T any](s []T, more int, v T) []T {
	all := make([]T, len(s)+more)
	for i := copy(all, s); i < len(all); i++ {
		all[i] = v
	}
	return all[:len(s)]
}

// TestRowsQuant holds a level's product with a single row of activations against ref.RowsQuant.
func TestRowsQuant(t *testing.T, typ quant.Type, f func(dst []float32, w []byte, x *ref.Quants)) {
	r := Rand()
	blockLen := typ.Info().BlockLen
	for _, k := range Kinds() {
		for _, cols := range columns(blockLen) {
			for rows := range 35 {
				x := Quants(Floats(r, k, cols), 1, blockLen)
				w := Weights(r, typ, k, rows, cols)
				want := make([]float32, rows)
				ref.RowsQuant(typ, want, w, &x)
				got, check := Guarded(rows, rows%9, mark)
				x.Q, x.Wide = shift(x.Q, rows%33), shift(x.Wide, rows%7)
				x.Scale, x.Sums = shift(x.Scale, rows%5), shift(x.Sums, rows%3)
				f(got, shift(w, rows%64), &x)
				what := fmt.Sprintf("%s [%d, %d], %s values", typ, rows, cols, k)
				Equal(t, what, got, want)
				check(t, what)
			}
		}
	}
	extremes(t, typ, f)
}

// TestPanel holds a level's product with many rows of activations against ref.RowsQuant.
func TestPanel(t *testing.T, typ quant.Type, unpack func(p *ref.Panel, w []byte, rows, cols int),
	mul func(dst []float32, stride int, p *ref.Panel, x *ref.Quants),
) {
	r := Rand()
	blockLen := typ.Info().BlockLen
	for _, k := range Kinds() {
		for _, cols := range columns(blockLen) {
			p := newPanel(cols)
			for _, rows := range []int{16, 1, 7, 8, 9, 15, 16} {
				w := Weights(r, typ, k, rows, cols)
				unpack(p, shift(w, rows), rows, cols)
				for _, count := range counts() {
					x := Quants(Floats(r, k, count*cols), count, blockLen)
					stride := ref.PanelRows + count%3
					got, check := Guarded((count-1)*stride+ref.PanelRows, count, mark)
					mul(got, stride, p, &x)
					what := fmt.Sprintf("%s [%d, %d] with %d rows, %s values", typ, rows, cols, count, k)
					check(t, what)
					want := make([]float32, rows)
					for i := range count {
						one := x.Rows(i, 1)
						ref.RowsQuant(typ, want, w, &one)
						Equal(t, what, got[i*stride:i*stride+rows], want)
						if i+1 < count {
							for _, v := range got[i*stride+ref.PanelRows : (i+1)*stride] {
								if v != mark {
									t.Fatalf("%s: written between rows", what)
								}
							}
						}
					}
				}
			}
		}
	}
	panelExtremes(t, typ, unpack, mul)
}

// counts are the numbers of rows of activations to try: each remainder of the tiles in use.
func counts() []int {
	if testing.Short() {
		return []int{1, 2, 3, 4, 5, 9, 14, 37}
	}
	return []int{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 17, 24, 37}
}

// newPanel returns a panel with what an earlier use may have left in it.
func newPanel(cols int) *ref.Panel {
	n := cols * ref.PanelRows
	p := &ref.Panel{
		Q: make([]int16, n), Bytes: make([]uint8, n), Mins: make([]int16, n/16), Scales: make([]int8, n/16), Pairs: make([]int16, n/8),
		D: make([]float32, n/32), M: make([]float32, n/32),
	}
	for i := range p.Q {
		p.Q[i], p.Bytes[i] = -1, 255
	}
	for i := range p.D {
		p.D[i], p.M[i] = mark, mark
	}
	return p
}

// TestRowsFloat holds a level's product of float weights with a single row of activations against ref.RowsFloat.
func TestRowsFloat(t *testing.T, typ quant.Type, f func(dst []float32, w []byte, x []float32)) {
	r := Rand()
	for _, k := range Kinds() {
		for _, cols := range columns(1) {
			for rows := range 11 {
				x := Floats(r, k, cols)
				w := Weights(r, typ, k, rows, cols)
				want := make([]float32, rows)
				ref.RowsFloat(typ, want, w, x)
				got, check := Guarded(rows, cols%9, mark)
				f(got, shift(w, rows), shift(x, cols%8))
				what := fmt.Sprintf("%s [%d, %d], %s values", typ, rows, cols, k)
				Equal(t, what, got, want)
				check(t, what)
			}
		}
	}
}

// TestMulFloats holds a level's product of float32 rows with many rows of activations against ref.MulFloats.
func TestMulFloats(t *testing.T, f func(dst []float32, stride int, w, x []float32, cols int)) {
	r := Rand()
	for _, k := range Kinds() {
		for _, cols := range []int{16, 32, 48, 176, 17} {
			for rows := range 9 {
				for count := range 8 {
					w, x := shift(Floats(r, k, rows*cols), rows), shift(Floats(r, k, count*cols), count)
					stride := rows + count%3
					want, _ := Guarded(max(0, (count-1)*stride+rows), 0, mark)
					ref.MulFloats(want, stride, w, x, cols)
					got, check := Guarded(len(want), rows, mark)
					f(got, stride, w, x, cols)
					what := fmt.Sprintf("[%d, %d] with %d rows, %s values", rows, cols, count, k)
					Equal(t, what, got, want)
					check(t, what)
				}
			}
		}
	}
}

// TestDecode holds a level's decoding of a float type of 16 bits against quant.Decode, for every code.
func TestDecode(t *testing.T, typ quant.Type, f func(dst []float32, w []byte)) {
	all := make([]byte, 2<<16)
	for i := range 1 << 16 {
		all[2*i], all[2*i+1] = byte(i), byte(i>>8)
	}
	decode := func(w []byte, offset int) {
		want := make([]float32, len(w)/2)
		quant.Decode(typ, want, w)
		got, check := Guarded(len(want), offset, mark)
		f(got, shift(w, offset))
		what := fmt.Sprintf("%d weights", len(want))
		Equal(t, what, got, want)
		check(t, what)
	}
	for n := range 40 {
		decode(all[0x7f00:0x7f00+2*n], n%9)
	}
	decode(all, 0)
}
