package ref

import (
	"math"

	"github.com/weft-run/weft/kernels/exact"
)

// RMSNorm sets dst = x * (1 / sqrt(mean(x^2) + eps)) * weight: the sum of squares is Dot(x, x), each step is rounded. dst
// may be x.
func RMSNorm(dst, x, weight []float32, eps float32) {
	mean := Dot(x, x) / float32(len(x))
	r := 1 / sqrt32(mean+eps)
	for i, v := range x {
		dst[i] = float32(v*r) * weight[i]
	}
}

// sqrt32 is the IEEE square root: that of float64 rounded to float32 is correctly rounded.
func sqrt32(x float32) float32 {
	return float32(math.Sqrt(float64(x)))
}

// SiluMul sets dst = gate / (1 + exp(-gate)) * up. dst may be gate or up.
func SiluMul(dst, gate, up []float32) {
	for i, g := range gate {
		dst[i] = float32(g/(1+exact.Exp32(-g))) * up[i]
	}
}

// Add sets dst = dst + x.
func Add(dst, x []float32) {
	for i, v := range x {
		dst[i] += v
	}
}

// Divide sets dst = x / by. dst may be x.
func Divide(dst, x []float32, by float32) {
	for i, v := range x {
		dst[i] = v / by
	}
}
