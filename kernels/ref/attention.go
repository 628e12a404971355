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

// Attend sets dst to the attention of one query head over n positions: keys [n, len(q)] and values [n, len(dst)] have
// already been rounded to the cache's type. It is the definition in its plainest form; Scores, Weights and Mix are its
// steps on one tile, in which backends compute it.
func Attend(dst, q, keys, values []float32, scale float32) {
	n := len(keys) / len(q)
	var total Softmax
	acc := make([]float32, len(dst))
	for first := 0; first < n; first += Stretch {
		last := min(first+Stretch, n)
		state := attendStretch(acc, q, keys[first*len(q):last*len(q)], values[first*len(dst):last*len(dst)], scale)
		if first == 0 {
			copy(dst, acc)
			total = state
		} else {
			total = Merge(dst, total, acc, state)
		}
	}
	for d := range dst {
		dst[d] /= total.Sum
	}
}

// attendStretch sets acc to the weighted sum of the values of one stretch and returns the state of its softmax.
func attendStretch(acc, q, keys, values []float32, scale float32) Softmax {
	n := len(keys) / len(q)
	state := Empty
	clear(acc)
	across := make([]float32, len(q)*Tile)
	var p [Tile]float32
	for first := 0; first < n; first += Tile {
		valid := min(Tile, n-first)
		for j := range valid {
			for d := range q {
				across[d*Tile+j] = keys[(first+j)*len(q)+d]
			}
		}
		Scores(&p, q, across, scale)
		m, correction, sum := Weights(&p, valid, state.Max)
		state = Softmax{Max: m, Sum: float32(state.Sum*correction) + sum}
		Mix(acc, &p, values[first*len(acc):], valid, correction)
	}
	return state
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

// Scores sets dst[j] to scale times the product of q with key j of a tile, which lies across: keys[d*Tile+j]. The product
// is one chain of FMA over d, ascending, from zero; lane = key.
func Scores(dst *[Tile]float32, q, keys []float32, scale float32) {
	*dst = [Tile]float32{}
	for d, v := range q {
		row := keys[d*Tile : (d+1)*Tile]
		for j := range dst {
			dst[j] = exact.FMA32(v, row[j], dst[j])
		}
	}
	for j := range dst {
		dst[j] *= scale
	}
}

// Weights turns the scores of the valid positions of a tile into p[j] = exp(score - m), where m is the largest of
// previous and the scores, and the others into zero. It returns m, the factor exp(previous - m) by which all earlier
// sums shrink, and the sum of p: lane j mod 16 adds its elements ascending, then the lanes are added.
func Weights(p *[Tile]float32, valid int, previous float32) (m, correction, sum float32) {
	m = previous
	for _, s := range p[:valid] {
		if s > m {
			m = s
		}
	}
	for j, s := range p[:valid] {
		p[j] = exact.Exp32(s - m)
	}
	clear(p[valid:])
	lane := [Lanes]float32(p[:Lanes])
	for first := Lanes; first < Tile; first += Lanes {
		for i := range lane {
			lane[i] += p[first+i]
		}
	}
	return m, exact.Exp32(previous - m), sumLanes(&lane)
}

// Mix sets acc[d] = acc[d]*correction, rounded, and then adds p[j]*values[j*len(acc)+d] by one FMA for each valid j,
// ascending.
func Mix(acc []float32, p *[Tile]float32, values []float32, valid int, correction float32) {
	for d := range acc {
		acc[d] *= correction
	}
	for j, weight := range p[:valid] {
		row := values[j*len(acc) : (j+1)*len(acc)]
		for d, v := range row {
			acc[d] = exact.FMA32(weight, v, acc[d])
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
