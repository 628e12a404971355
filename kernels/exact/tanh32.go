package exact

import "math"

// The constants of Tanh32.
const (
	tanh32Low  = 0x1p-12 // below it the next term of the series, x^3/3, is under a sixth of an ULP
	tanh32High = 9.5     // above it the result rounds to 1
)

// Tanh32 returns the hyperbolic tangent of x with an error under 1 ULP: that of Tanh, in float64, rounded to float32.
func Tanh32(x float32) float32 {
	switch a := math.Abs(float64(x)); {
	case a < tanh32Low:
		return x
	case a > tanh32High:
		return float32(math.Copysign(1, float64(x)))
	}
	return float32(Tanh(float64(x)))
}
