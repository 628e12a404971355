package kerneltest

import (
	"fmt"
	"math"
	"testing"

	"github.com/weft-run/weft/kernels/ref"
)

// queryCounts are numbers of queries that leave every rest of the blocks that levels take.
var queryCounts = []int{1, 2, 3, 4, 5, 6, 7, 8, 11, 12, 13}

// TestScores holds a level's Scores against ref.Scores.
func TestScores(t *testing.T, f func(dst, q, keys []float32, dim int, scale float32)) {
	r := Rand()
	for _, k := range Kinds() {
		for _, dim := range []int{1, 2, 7, 8, 64, 80, 128} {
			for _, n := range queryCounts {
				q, keys := Floats(r, k, n*dim), Floats(r, k, dim*ref.Tile)
				want := make([]float32, n*ref.Tile)
				ref.Scores(want, q, keys, dim, 0.125)
				got, check := Guarded(n*ref.Tile, dim%9, mark)
				f(got, shift(q, dim%5), shift(keys, dim%3), dim, 0.125)
				what := fmt.Sprintf("%d heads of %d, %s values", n, dim, k)
				Equal(t, what, got, want)
				check(t, what)
			}
		}
	}
}

// TestWeights holds a level's Weights against ref.Weights.
func TestWeights(t *testing.T, f func(p []float32, first, last int, states []ref.Softmax, corrections []float32)) {
	r := Rand()
	previous := []ref.Softmax{ref.Empty, {Max: -3, Sum: 0.7}, {Max: 0.5, Sum: 3}, {Max: 1000, Sum: 65}}
	for _, k := range Kinds() {
		for last := 1; last <= ref.Tile; last++ {
			for _, first := range []int{0, last / 2, last - 1} {
				n := queryCounts[(last+first)%len(queryCounts)]
				want, states := Floats(r, k, n*ref.Tile), make([]ref.Softmax, n)
				if k == Broken { // no score that is greater than none
					for j := range ref.Tile {
						want[j] = float32(math.Inf(-1))
					}
				}
				for i := range states {
					states[i] = previous[i%len(previous)]
				}
				got, check := Guarded(n*ref.Tile, last%9, mark)
				copy(got, want)
				gotStates := append([]ref.Softmax(nil), states...)
				corrections, gotCorrections := make([]float32, n), make([]float32, n)
				ref.Weights(want, first, last, states, corrections)
				f(got, first, last, gotStates, gotCorrections)
				what := fmt.Sprintf("%d times %d to %d of %s values", n, first, last, k)
				Equal(t, what, got, want)
				check(t, what)
				Equal(t, what+": corrections", gotCorrections, corrections)
				for i, s := range gotStates {
					if s.Max != states[i].Max || !Same(s.Sum, states[i].Sum) { // zeros of either sign are the same maximum
						t.Fatalf("%s: state %d is %v, want %v", what, i, s, states[i])
					}
				}
			}
		}
	}
}

// TestMix holds a level's Mix against ref.Mix.
func TestMix(t *testing.T, f func(acc, p, values []float32, dim, first, last int, corrections []float32)) {
	r := Rand()
	for _, k := range Kinds() {
		for _, dim := range []int{1, 7, 8, 16, 64, 72, 80, 128, 256} {
			for at, seen := range [][2]int{{0, 1}, {0, 2}, {1, 15}, {63, 64}, {17, 64}, {0, 64}} {
				first, last := seen[0], seen[1]
				n := queryCounts[(at+dim/8)%len(queryCounts)]
				p, corrections := Floats(r, Normal, n*ref.Tile), Floats(r, Normal, n)
				acc, values := Floats(r, k, n*dim), Floats(r, k, last*dim)
				got, check := Guarded(n*dim, dim%9, mark)
				copy(got, acc)
				ref.Mix(acc, p, values, dim, first, last, corrections)
				f(got, p, shift(values, dim%5), dim, first, last, corrections)
				what := fmt.Sprintf("%d heads of %d, %d to %d of %s values", n, dim, first, last, k)
				Equal(t, what, got, acc)
				check(t, what)
			}
		}
	}
}

// TestMerge holds a level's Merge against ref.Merge.
func TestMerge(t *testing.T, f func(acc []float32, total *ref.Softmax, later []float32, state *ref.Softmax)) {
	r, nan := Rand(), float32(math.NaN())
	states := []ref.Softmax{
		ref.Empty, {Max: -3, Sum: 0.7}, {Max: 0.5, Sum: 3}, {Max: 87, Sum: 1e30}, {Max: 1000, Sum: 65}, {Max: nan, Sum: nan}, {Max: 1, Sum: float32(math.Inf(1))},
	}
	for _, k := range Kinds() {
		for _, dim := range []int{1, 7, 8, 64, 80, 128} {
			for i, total := range states {
				for _, state := range states {
					want, later := Floats(r, k, dim), Floats(r, k, dim)
					got, check := Guarded(dim, dim%9, mark)
					copy(got, want)
					gotTotal := total
					after := ref.Merge(want, total, later, state)
					f(got, &gotTotal, shift(later, dim%5), &state)
					what := fmt.Sprintf("%d elements of %s values, %v and %v", dim, k, states[i], state)
					Equal(t, what, got, want)
					Equal(t, what, []float32{gotTotal.Max, gotTotal.Sum}, []float32{after.Max, after.Sum})
					check(t, what)
				}
			}
		}
	}
}
