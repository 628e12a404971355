package kerneltest

import (
	"fmt"
	"testing"

	"github.com/weft-run/weft/kernels/ref"
)

// halfTile returns a tile of halves whose quarters lie in pages of tokens positions, not one behind the other.
func halfTile(values []float32, dim, tokens int) *ref.HalfTile {
	memory := make([]uint16, len(values))
	ref.FloatsToHalves(memory, values)
	t := &ref.HalfTile{Stride: tokens}
	for i := range t.Keys {
		page := memory[(i^1)*ref.Quarter*dim:]
		t.Values[i], t.Keys[i] = page[:ref.Quarter*dim], page[:ref.Quarter*dim]
		if tokens > ref.Quarter { // keys of a page lie between each other
			t.Keys[i] = memory[i*ref.Quarter%tokens:]
			t.Keys[i] = t.Keys[i][i*ref.Quarter/tokens*tokens*dim:][:(dim-1)*tokens+ref.Quarter]
		}
	}
	return t
}

// TestScoresHalves holds a level's ScoresHalves against ref.ScoresHalves.
func TestScoresHalves(t *testing.T, f func(dst, q []float32, tile, next *ref.HalfTile, dim int, scale float32)) {
	r := Rand()
	for _, k := range Kinds() {
		for _, dim := range []int{1, 2, 8, 64, 80, 128} {
			for i, n := range queryCounts {
				tokens := []int{16, 32, 64}[i%3]
				q, tile := Floats(r, k, n*dim), halfTile(Floats(r, k, dim*ref.Tile), dim, tokens)
				want := make([]float32, n*ref.Tile)
				ref.ScoresHalves(want, q, tile, dim, 0.125)
				got, check := Guarded(n*ref.Tile, dim%9, mark)
				f(got, shift(q, dim%5), tile, tile, dim, 0.125)
				what := fmt.Sprintf("%d heads of %d, pages of %d, %s values", n, dim, tokens, k)
				Equal(t, what, got, want)
				check(t, what)
			}
		}
	}
}

// TestMixHalves holds a level's MixHalves against ref.MixHalves.
func TestMixHalves(t *testing.T, f func(acc, p []float32, tile, next *ref.HalfTile, dim, first, last int, corrections []float32)) {
	r := Rand()
	for _, k := range Kinds() {
		for _, dim := range []int{1, 8, 16, 64, 80, 112, 128, 256} {
			for at, seen := range [][2]int{{0, 1}, {1, 15}, {15, 17}, {63, 64}, {17, 48}, {0, 64}} {
				for rest := range 2 {
					first, last := seen[0], seen[1]
					n := queryCounts[(2*at+rest+dim/8)%len(queryCounts)]
					p, corrections := Floats(r, Normal, n*ref.Tile), Floats(r, Normal, n)
					acc, tile := Floats(r, k, n*dim), halfTile(Floats(r, k, ref.Tile*dim), dim, ref.Quarter)
					got, check := Guarded(n*dim, dim%9, mark)
					copy(got, acc)
					ref.MixHalves(acc, p, tile, dim, first, last, corrections)
					f(got, p, tile, tile, dim, first, last, corrections)
					what := fmt.Sprintf("%d heads of %d, %d to %d of %s values", n, dim, first, last, k)
					Equal(t, what, got, acc)
					check(t, what)
				}
			}
		}
	}
}
