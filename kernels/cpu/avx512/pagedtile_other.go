//go:build !amd64 || noasm

package avx512

import (
	"github.com/weft-run/weft/kernels/quant"
	"github.com/weft-run/weft/kernels/ref"
)

// ScoresHalves is ref.ScoresPaged for F16.
func ScoresHalves(dst, q []float32, t, _ *ref.PagedTile, _ []float32, dim int, scale float32) {
	ref.ScoresPaged(quant.F16, dst, q, t, dim, scale)
}

// MixHalves is ref.MixPaged for F16.
func MixHalves(acc, p []float32, t, _ *ref.PagedTile, _ []float32, dim, first, last int, corrections []float32) {
	ref.MixPaged(quant.F16, acc, p, t, dim, first, last, corrections)
}

// ScoresQ8_0 is ref.ScoresPaged for Q8_0.
func ScoresQ8_0(dst, q []float32, t, _ *ref.PagedTile, _ []float32, dim int, scale float32) {
	ref.ScoresPaged(quant.Q8_0, dst, q, t, dim, scale)
}

// MixQ8_0 is ref.MixPaged for Q8_0.
func MixQ8_0(acc, p []float32, t, _ *ref.PagedTile, _ []float32, dim, first, last int, corrections []float32) {
	ref.MixPaged(quant.Q8_0, acc, p, t, dim, first, last, corrections)
}

// ScoresQ4_0 is ref.ScoresPaged for Q4_0.
func ScoresQ4_0(dst, q []float32, t, _ *ref.PagedTile, _ []float32, dim int, scale float32) {
	ref.ScoresPaged(quant.Q4_0, dst, q, t, dim, scale)
}

// MixQ4_0 is ref.MixPaged for Q4_0.
func MixQ4_0(acc, p []float32, t, _ *ref.PagedTile, _ []float32, dim, first, last int, corrections []float32) {
	ref.MixPaged(quant.Q4_0, acc, p, t, dim, first, last, corrections)
}
