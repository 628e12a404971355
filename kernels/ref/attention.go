package ref

import (
	"math"

	"github.com/weft-run/weft/kernels/exact"
	"github.com/weft-run/weft/kernels/quant"
)

// Tile is the number of positions that attention takes in one step. Tiles are aligned to absolute position.
const Tile = 64

// Stretch is the number of positions whose softmax has a running state of its own: long contexts are cut into stretches,
// aligned to absolute position, whose states are merged in order. So many goroutines can share a long context.
const Stretch = 512

// Softmax is the running state of one query: the largest score yet and the sum of the weights.
type Softmax struct {
	Max, Sum float32
}

// Empty is the state before the first tile of a stretch.
var Empty = Softmax{Max: float32(math.Inf(-1))}

// Attend sets dst to the attention of one query head at the last of n positions: keys [n, len(q)] and values
// [n, len(dst)] have already been rounded to the cache's type. It sees the last window positions, or all when window is 0.
// Scores are bent by SoftCap when softCap is not 0. It is the definition in its plainest form; Scores, Weights and Mix are
// its steps on one tile, in which backends compute it.
func Attend(dst, q, keys, values []float32, scale float32, window int, softCap float32) {
	n := len(keys) / len(q)
	from := 0
	if window > 0 {
		from = max(0, n-window)
	}
	var total Softmax
	acc := make([]float32, len(dst))
	seen := from / Stretch * Stretch // a stretch of which nothing is seen takes no part
	for first := seen; first < n; first += Stretch {
		last := min(first+Stretch, n)
		state := attendStretch(acc, q, keys[first*len(q):last*len(q)], values[first*len(dst):last*len(dst)], from-first, scale, softCap)
		if first == seen {
			copy(dst, acc)
			total = state
		} else {
			total = Merge(dst, total, acc, state)
		}
	}
	Divide(dst, dst, total.Sum)
}

// attendStretch sets acc to the weighted sum of the values of one stretch, from position from of it on, and returns the
// state of its softmax.
func attendStretch(acc, q, keys, values []float32, from int, scale, softCap float32) Softmax {
	n := len(keys) / len(q)
	state, correction := []Softmax{Empty}, []float32{0}
	clear(acc)
	across := make([]float32, len(q)*Tile)
	p := make([]float32, Tile)
	for at := max(from, 0) / Tile * Tile; at < n; at += Tile {
		first, last := max(from-at, 0), min(Tile, n-at)
		for j := range last {
			for d := range q {
				across[d*Tile+j] = keys[(at+j)*len(q)+d]
			}
		}
		Scores(p, q, across, len(q), scale)
		if softCap != 0 {
			SoftCap(p[first:last], softCap)
		}
		Weights(p, first, last, state, correction)
		Mix(acc, p, values[at*len(acc):], len(acc), first, last, correction)
	}
	return state[0]
}

// Merge adds a later stretch to a sum: both shrink by the exponential of their largest score less the larger of both.
func Merge(acc []float32, total Softmax, later []float32, state Softmax) Softmax {
	m := total.Max
	if state.Max > m {
		m = state.Max
	}
	a, b := exact.Exp32(total.Max-m), exact.Exp32(state.Max-m)
	for d, v := range later {
		acc[d] = float32(acc[d]*a) + float32(v*b)
	}
	return Softmax{Max: m, Sum: float32(total.Sum*a) + float32(state.Sum*b)}
}

// Scores sets dst [n, Tile] to scale times the products of n queries q [n, dim] with the keys of a tile, which lie across:
// keys[d*Tile+j]. Each product is one chain of FMA over d, ascending, from zero; lane = key.
func Scores(dst, q, keys []float32, dim int, scale float32) {
	for ; len(q) > 0; q, dst = q[dim:], dst[Tile:] {
		var sum [Tile]float32
		for d, v := range q[:dim] {
			row := keys[d*Tile : (d+1)*Tile]
			for j := range sum {
				sum[j] = exact.FMA32(v, row[j], sum[j])
			}
		}
		for j := range sum {
			dst[j] = sum[j] * scale
		}
	}
}

// SoftCap replaces scores s by limit * tanh(s / limit), each step rounded (Gemma 2).
func SoftCap(s []float32, limit float32) {
	for i, v := range s {
		s[i] = limit * exact.Tanh32(v/limit)
	}
}

// Weights turns the scores p [n, Tile] of n queries, which see positions first to last-1 of the tile, into their weights.
// Of each query they become exp(score - m), where m is the largest of what states had as Max and the scores; those of
// positions that it does not see become 0. corrections gets the factor exp(before - m) by which all earlier sums shrink,
// and the state m and its sum times that, rounded, plus the sum of the weights: lane j mod 16 adds its elements ascending,
// then the lanes are added.
func Weights(p []float32, first, last int, states []Softmax, corrections []float32) {
	for i := range states {
		states[i], corrections[i] = weights(p[i*Tile:(i+1)*Tile], first, last, states[i])
	}
}

// weights is Weights for one query.
func weights(p []float32, first, last int, state Softmax) (after Softmax, correction float32) {
	m := state.Max
	for _, s := range p[first:last] {
		if s > m {
			m = s
		}
	}
	clear(p[:first])
	for j, s := range p[first:last] {
		p[first+j] = exact.Exp32(s - m)
	}
	clear(p[last:])
	lane := [Lanes]float32(p[:Lanes])
	for at := Lanes; at < Tile; at += Lanes {
		for i := range lane {
			lane[i] += p[at+i]
		}
	}
	correction = exact.Exp32(state.Max - m)
	return Softmax{Max: m, Sum: float32(state.Sum*correction) + sumLanes(&lane)}, correction
}

// Mix sets the sums acc [n, dim] of n queries to acc[d]*correction, rounded, and then adds p[j]*values[j*dim+d] by one FMA
// for each j from first to last-1, ascending. p is [n, Tile], corrections has one for each query.
func Mix(acc, p, values []float32, dim, first, last int, corrections []float32) {
	for i, correction := range corrections {
		sum := acc[i*dim : (i+1)*dim]
		for d := range sum {
			sum[d] *= correction
		}
		for j := first; j < last; j++ {
			weight := p[i*Tile+j]
			for d, v := range values[j*dim : (j+1)*dim] {
				sum[d] = exact.FMA32(weight, v, sum[d])
			}
		}
	}
}

// HalvesToFloats sets rows of dst, which begin stride elements apart, to the values of src, cols to a row.
func HalvesToFloats(dst []float32, stride int, src []uint16, cols int) {
	for r := range len(src) / cols {
		row := dst[r*stride : r*stride+cols]
		for i, h := range src[r*cols : (r+1)*cols] {
			row[i] = quant.F16ToF32(h)
		}
	}
}

// FloatsToHalves sets dst to src, each rounded to the nearest half, ties to even.
func FloatsToHalves(dst []uint16, src []float32) {
	for i, v := range src {
		dst[i] = quant.F32ToF16(v)
	}
}
