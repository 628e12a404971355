//go:build arm64 && !noasm

package neon

import (
	"math"

	"github.com/weft-run/weft/kernels/ref"
)

// RMSNorm is ref.RMSNorm.
func RMSNorm(dst, x, weight []float32, eps float32) {
	if len(x) == 0 {
		return
	}
	n := len(x) &^ 3
	reads(x)
	reads(weight[:len(x)])
	writes(dst[:len(x)])
	r := 1 / float32(math.Sqrt(float64(dot(x, x)/float32(len(x))+eps)))
	if n > 0 {
		scaleMul(&dst[0], &x[0], &weight[0], r, n)
	}
	for i := n; i < len(x); i++ {
		dst[i] = float32(x[i]*r) * weight[i]
	}
}

// SiluMul is ref.SiluMul.
func SiluMul(dst, gate, up []float32) {
	n := len(gate) &^ 3
	if n > 0 {
		writes(dst[:n])
		reads(gate[:n])
		reads(up[:n])
		siluMul(&dst[0], &gate[0], &up[0], n)
	}
	ref.SiluMul(dst[n:], gate[n:], up[n:])
}

// Add is ref.Add.
func Add(dst, x []float32) {
	n := len(x) &^ 3
	if n > 0 {
		writes(dst[:n])
		reads(x[:n])
		add(&dst[0], &x[0], n)
	}
	ref.Add(dst[n:], x[n:])
}

// RotateAdjacent is ref.RotateAdjacent.
func RotateAdjacent(x, cos, sin []float32) {
	n := len(cos) &^ 3
	if n > 0 {
		writes(x[:2*n])
		reads(cos)
		reads(sin)
		rotateAdjacent(&x[0], &cos[0], &sin[0], n)
	}
	ref.RotateAdjacent(x[2*n:], cos[n:], sin[n:])
}

// RotateHalves is ref.RotateHalves.
func RotateHalves(x, cos, sin []float32) {
	if len(cos) == 0 || len(cos)%4 != 0 {
		ref.RotateHalves(x, cos, sin)
		return
	}
	writes(x[:2*len(cos)])
	reads(cos)
	reads(sin)
	rotateHalves(&x[0], &cos[0], &sin[0], len(cos))
}

// Scores is ref.Scores.
func Scores(dst *[ref.Tile]float32, q, keys []float32, scale float32) {
	writes(dst[:])
	reads(q)
	reads(keys[:len(q)*ref.Tile])
	scores(&dst[0], &q[0], &keys[0], len(q), scale)
}

// Weights is ref.Weights.
func Weights(p *[ref.Tile]float32, valid int, previous float32) (m, correction, sum float32) {
	writes(p[:])
	return weights(&p[0], valid, previous)
}

// Mix is ref.Mix.
func Mix(acc []float32, p *[ref.Tile]float32, values []float32, valid int, correction float32) {
	if len(acc)%4 != 0 {
		ref.Mix(acc, p, values, valid, correction)
		return
	}
	writes(acc)
	reads(p[:])
	reads(values[:valid*len(acc)])
	mix(&acc[0], &p[0], &values[0], len(acc), valid, correction)
}

// HalvesToFloats is ref.HalvesToFloats.
func HalvesToFloats(dst []float32, stride int, src []uint16, cols int) {
	rows := len(src) / cols
	if cols%8 != 0 || rows == 0 {
		ref.HalvesToFloats(dst, stride, src, cols)
		return
	}
	reads(src)
	for r := range rows {
		writes(dst[r*stride : r*stride+cols])
	}
	halvesToFloats(&dst[0], 4*stride, &src[0], rows, cols)
}

// FloatsToHalves is ref.FloatsToHalves.
func FloatsToHalves(dst []uint16, src []float32) {
	n := len(src) &^ 7
	if n > 0 {
		writes(dst[:n])
		reads(src[:n])
		floatsToHalves(&dst[0], &src[0], n)
	}
	ref.FloatsToHalves(dst[n:], src[n:])
}

// Prefetch asks for the cache lines of a piece of memory.
func Prefetch(p []byte) {
	if len(p) > 0 {
		prefetch(&p[0], len(p))
	}
}
