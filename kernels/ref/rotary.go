package ref

import "github.com/weft-run/weft/kernels/exact"

// Angles sets dst, of length 2*len(freqs), to the cosines, then the sines, of position*freqs[k], times scale. The
// angle, its functions and the product are float64, rounded to float32 once.
func Angles(dst []float32, position int32, freqs []float64, scale float32) {
	cos, sin := dst[:len(freqs)], dst[len(freqs):]
	for k, f := range freqs {
		angle := float64(position) * f
		cos[k] = float32(exact.Cos(angle) * float64(scale))
		sin[k] = float32(exact.Sin(angle) * float64(scale))
	}
}

// RotateAdjacent turns the pairs (0,1), (2,3), ... of one head by the angles whose cosines and sines are given.
func RotateAdjacent(x, cos, sin []float32) {
	for k, c := range cos {
		s := sin[k]
		x0, x1 := x[2*k], x[2*k+1]
		x[2*k] = float32(x0*c) - float32(x1*s)
		x[2*k+1] = float32(x0*s) + float32(x1*c)
	}
}

// RotateHalves turns the pairs (0,n), (1,n+1), ... of one head, where n = len(cos).
func RotateHalves(x, cos, sin []float32) {
	n := len(cos)
	for k, c := range cos {
		s := sin[k]
		x0, x1 := x[k], x[n+k]
		x[k] = float32(x0*c) - float32(x1*s)
		x[n+k] = float32(x0*s) + float32(x1*c)
	}
}
