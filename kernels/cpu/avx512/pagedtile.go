//go:build amd64 && !noasm

package avx512

import (
	"github.com/weft-run/weft/kernels/quant"
	"github.com/weft-run/weft/kernels/ref"
)

// Bytes of a block of the quantized types.
const (
	bytesQ8_0 = 34
	bytesQ4_0 = 18
)

// ScoresHalves is ref.ScoresPaged for F16.
func ScoresHalves(dst, q []float32, t, next *ref.PagedTile, _ []float32, dim int, scale float32) {
	if dim%2 != 0 {
		ref.ScoresPaged(quant.F16, dst, q, t, dim, scale)
		return
	}
	n := markScores(dst, q, t, dim, 2*dim)
	at, ahead := t.KeyHalves(), next.KeyHalves()
	scoresHalves(&dst[0], &q[0], &at[0], &ahead[0], n, dim, t.Tokens, scale)
}

// MixHalves is ref.MixPaged for F16.
func MixHalves(acc, p []float32, t, next *ref.PagedTile, _ []float32, dim, first, last int, corrections []float32) {
	if dim%16 != 0 {
		ref.MixPaged(quant.F16, acc, p, t, dim, first, last, corrections)
		return
	}
	at, ahead := markMix(acc, p, t, next, dim, len(corrections), 2*dim)
	mixHalves(&acc[0], &p[0], &at[0], &ahead[0], len(corrections), dim, first, last, &corrections[0])
}

// ScoresQ8_0 is ref.ScoresPaged for Q8_0.
func ScoresQ8_0(dst, q []float32, t, next *ref.PagedTile, _ []float32, dim int, scale float32) {
	n := markScores(dst, q, t, dim, dim/blockLen*bytesQ8_0)
	at, ahead := t.KeyQuants(), next.KeyQuants()
	scoresQ8_0(&dst[0], &q[0], &at[0][0], &ahead[0][0], n, dim, t.Tokens, scale)
}

// MixQ8_0 is ref.MixPaged for Q8_0.
func MixQ8_0(acc, p []float32, t, next *ref.PagedTile, _ []float32, dim, first, last int, corrections []float32) {
	at, ahead := markMix(acc, p, t, next, dim, len(corrections), dim/blockLen*bytesQ8_0)
	mixQ8_0(&acc[0], &p[0], &at[0], &ahead[0], len(corrections), dim, first, last, &corrections[0])
}

// ScoresQ4_0 is ref.ScoresPaged for Q4_0.
func ScoresQ4_0(dst, q []float32, t, next *ref.PagedTile, _ []float32, dim int, scale float32) {
	n := markScores(dst, q, t, dim, dim/blockLen*bytesQ4_0)
	at, ahead := t.KeyQuants(), next.KeyQuants()
	scoresQ4_0(&dst[0], &q[0], &at[0][0], &ahead[0][0], n, dim, t.Tokens, scale)
}

// MixQ4_0 is ref.MixPaged for Q4_0.
func MixQ4_0(acc, p []float32, t, next *ref.PagedTile, _ []float32, dim, first, last int, corrections []float32) {
	at, ahead := markMix(acc, p, t, next, dim, len(corrections), dim/blockLen*bytesQ4_0)
	mixQ4_0(&acc[0], &p[0], &at[0], &ahead[0], len(corrections), dim, first, last, &corrections[0])
}

// markScores returns the number of queries. A key of a head takes size bytes. It panics when a slice is too short for what the
// assembly reads or writes.
func markScores(dst, q []float32, t *ref.PagedTile, dim, size int) int {
	n := len(q) / dim
	writes(dst[:n*ref.Tile])
	reads(q)
	for _, keys := range t.Keys {
		reads(keys[:t.Tokens*size])
	}
	return n
}

// markMix returns where the values of each quarter begin, and those of the next tile. A value of a head takes size bytes.
func markMix(acc, p []float32, t, next *ref.PagedTile, dim, n, size int) (at, ahead ref.Places) {
	writes(acc[:n*dim])
	reads(p[:n*ref.Tile])
	for i, values := range t.Values {
		reads(values[t.At[i]*size:][:ref.Quarter*size])
	}
	return t.ValuePlaces(size), next.ValuePlaces(size)
}
