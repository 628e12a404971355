//go:build amd64 && !noasm

package avx512

import "github.com/weft-run/weft/kernels/ref"

// Scores is ref.Scores.
func Scores(dst, q, keys []float32, dim int, scale float32) {
	n := len(q) / dim
	writes(dst[:n*ref.Tile])
	reads(q[:n*dim])
	reads(keys[:dim*ref.Tile])
	scores(&dst[0], &q[0], &keys[0], n, dim, scale)
}

// Weights is ref.Weights.
func Weights(p []float32, first, last int, states []ref.Softmax, corrections []float32) {
	writes(p[:len(states)*ref.Tile])
	writes(states)
	writes(corrections[:len(states)])
	mask := ^uint64(0) >> (ref.Tile - (last - first)) << first
	weights(&p[0], len(states), mask, &states[0].Max, &corrections[0])
}

// Mix is ref.Mix.
func Mix(acc, p, values []float32, dim, first, last int, corrections []float32) {
	if dim%16 != 0 {
		ref.Mix(acc, p, values, dim, first, last, corrections)
		return
	}
	n := len(corrections)
	writes(acc[:n*dim])
	reads(p[:n*ref.Tile])
	reads(values[first*dim : last*dim])
	mix(&acc[0], &p[first], &values[first*dim], n, dim, last-first, &corrections[0])
}
