package kerneltest

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/weft-run/weft/kernels/quant"
	"github.com/weft-run/weft/kernels/ref"
)

// pagedTile returns a tile of random keys and values of a type, in pages of tokens that do not begin at aligned places.
func pagedTile(r *rand.Rand, typ quant.Type, k Kind, dim, tokens int) *ref.PagedTile {
	t := &ref.PagedTile{Tokens: tokens}
	for i := range t.Keys {
		t.At[i] = i * ref.Quarter % tokens
		if t.At[i] > 0 { // the page goes on
			t.Keys[i], t.Values[i] = t.Keys[i-1], t.Values[i-1]
			continue
		}
		keys, size := Weights(r, typ, k, tokens, dim), typ.RowBytes(dim)
		across := make([]byte, len(keys))
		for j := range tokens {
			if typ != quant.F16 {
				ref.StoreKeyQuants(typ, across, tokens, j, keys[j*size:(j+1)*size])
				continue
			}
			for d := range dim {
				binary.LittleEndian.PutUint16(across[2*(d*tokens+j):], binary.LittleEndian.Uint16(keys[2*(j*dim+d):]))
			}
		}
		t.Keys[i], t.Values[i] = shift(across, 2*(dim%7)), shift(Weights(r, typ, k, tokens, dim), 2*(dim%5))
	}
	return t
}

// pagedDims are sizes of heads that leave every rest of the columns that levels take.
func pagedDims(typ quant.Type) (dims []int) {
	for _, dim := range []int{1, 2, 8, 16, 32, 64, 80, 96, 112, 128, 160, 256} {
		if dim%typ.Info().BlockLen == 0 {
			dims = append(dims, dim)
		}
	}
	return dims
}

// TestScoresPaged holds a level's scores on the cache of a type against ref.ScoresPaged.
func TestScoresPaged(t *testing.T, typ quant.Type, f func(dst, q []float32, tile, next *ref.PagedTile, room []float32, dim int, scale float32)) {
	r := Rand()
	for _, k := range Kinds() {
		for _, dim := range pagedDims(typ) {
			for i, n := range queryCounts {
				tokens := []int{16, 32, 64}[(i+dim/32)%3]
				q, tile := Floats(r, k, n*dim), pagedTile(r, typ, k, dim, tokens)
				want := make([]float32, n*ref.Tile)
				ref.ScoresPaged(typ, want, q, tile, dim, 0.125)
				got, check := Guarded(n*ref.Tile, dim%9, mark)
				room, checkRoom := Guarded(dim*ref.Tile, dim%7, mark)
				f(got, shift(q, dim%5), tile, tile, room, dim, 0.125)
				what := fmt.Sprintf("%d heads of %d, pages of %d, %s values", n, dim, tokens, k)
				Equal(t, what, got, want)
				check(t, what)
				checkRoom(t, what)
			}
		}
	}
}

// TestMixPaged holds a level's mix on the cache of a type against ref.MixPaged.
func TestMixPaged(t *testing.T, typ quant.Type, f func(acc, p []float32, tile, next *ref.PagedTile, room []float32, dim, first, last int, corrections []float32)) {
	r := Rand()
	for _, k := range Kinds() {
		for _, dim := range pagedDims(typ) {
			for at, seen := range [][2]int{{0, 1}, {1, 15}, {15, 17}, {63, 64}, {17, 48}, {0, 64}} {
				for rest := range 2 {
					first, last := seen[0], seen[1]
					n := queryCounts[(2*at+rest+dim/8)%len(queryCounts)]
					p, corrections := Floats(r, Normal, n*ref.Tile), Floats(r, Normal, n)
					acc, tile := Floats(r, k, n*dim), pagedTile(r, typ, k, dim, []int{16, 32, 64}[(at+rest)%3])
					got, check := Guarded(n*dim, dim%9, mark)
					room, checkRoom := Guarded(dim*ref.Tile, dim%7, mark)
					copy(got, acc)
					ref.MixPaged(typ, acc, p, tile, dim, first, last, corrections)
					f(got, p, tile, tile, room, dim, first, last, corrections)
					what := fmt.Sprintf("%d heads of %d, %d to %d of %s values", n, dim, first, last, k)
					Equal(t, what, got, acc)
					check(t, what)
					checkRoom(t, what)
				}
			}
		}
	}
}
