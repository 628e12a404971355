package synthetic

import (
	"math"
	"math/rand/v2"
)

// Factors draws the two factors of a low-rank change: a is [rank, inputs], as training starts it, b [outputs, rank], so large that
// the change shows in the result without drowning it.
func Factors(seed uint64, rank, outputs, inputs int) (a, b []float32) {
	r := rand.New(rand.NewPCG(seed, 7))
	draw := func(n int, bound float64) []float32 {
		values := make([]float32, n)
		for i := range values {
			values[i] = float32((2*r.Float64() - 1) * bound)
		}
		return values
	}
	return draw(rank*inputs, 1/math.Sqrt(float64(inputs))), draw(outputs*rank, 0.5/math.Sqrt(float64(rank)))
}
