package ref

import (
	"math"

	"github.com/weft-run/weft/kernels/exact"
	"github.com/weft-run/weft/kernels/quant"
)

// Tile is the number of positions that attention takes in one step. Tiles are aligned to absolute position.
const Tile = 64

// Attend sets dst to the attention of one query head over n positions: keys [n, len(q)] and values [n, len(dst)] have
// already been rounded to the cache's type. It is the definition in its plainest form; Scores, Weights and Mix are its
// three steps on one tile, in which backends compute it.
func Attend(dst, q, keys, values []float32, scale float32) {
	n := len(keys) / len(q)
	m, l := float32(math.Inf(-1)), float32(0)
	clear(dst)
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
		var correction, sum float32
		m, correction, sum = Weights(&p, valid, m)
		l = float32(l*correction) + sum
		Mix(dst, &p, values[first*len(dst):], valid, correction)
	}
	for d := range dst {
		dst[d] /= l
	}
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
