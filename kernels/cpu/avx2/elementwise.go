//go:build amd64 && !noasm

package avx2

import (
	"math"
	"unsafe"

	"github.com/weft-run/weft/kernels/ref"
)

// RMSNorm is ref.RMSNorm.
func RMSNorm(dst, x, weight []float32, eps float32) {
	n := len(x) &^ 7
	if n == 0 {
		ref.RMSNorm(dst, x, weight, eps)
		return
	}
	reads(x)
	reads(weight[:len(x)])
	writes(dst[:len(x)])
	var squares float32
	rowsF32(&squares, (*byte)(unsafe.Pointer(&x[0])), 1, len(x), &x[0], &masks[len(x)%ref.Lanes][0])
	r := 1 / float32(math.Sqrt(float64(squares/float32(len(x))+eps)))
	scaleMul(&dst[0], &x[0], &weight[0], r, n)
	for i := n; i < len(x); i++ {
		dst[i] = float32(x[i]*r) * weight[i]
	}
}

// SiluMul is ref.SiluMul.
func SiluMul(dst, gate, up []float32) {
	n := len(gate) &^ 7
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
	n := len(x) &^ 7
	if n > 0 {
		writes(dst[:n])
		reads(x[:n])
		add(&dst[0], &x[0], n)
	}
	ref.Add(dst[n:], x[n:])
}

// Divide is ref.Divide.
func Divide(dst, x []float32, by float32) {
	n := len(x) &^ 7
	if n > 0 {
		writes(dst[:n])
		reads(x[:n])
		divide(&dst[0], &x[0], by, n)
	}
	ref.Divide(dst[n:], x[n:], by)
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
	if len(cos) == 0 || len(cos)%8 != 0 {
		ref.RotateHalves(x, cos, sin)
		return
	}
	writes(x[:2*len(cos)])
	reads(cos)
	reads(sin)
	rotateHalves(&x[0], &cos[0], &sin[0], len(cos))
}

// Scores is ref.Scores.
func Scores(dst, q, keys []float32, dim int, scale float32) {
	writes(dst[:len(q)/dim*ref.Tile])
	reads(q)
	reads(keys[:dim*ref.Tile])
	scores(&dst[0], &q[0], &keys[0], len(q)/dim, dim, scale)
}

// Weights is ref.Weights.
func Weights(p []float32, first, last int, states []ref.Softmax, corrections []float32) {
	if len(states) == 0 {
		return
	}
	writes(p[:len(states)*ref.Tile])
	writes(states)
	writes(corrections[:len(states)])
	if first == 0 && last == ref.Tile {
		weights(&p[0], len(states), &states[0].Max, &corrections[0])
		return
	}
	weightsSeen(&p[0], len(states), &states[0].Max, &corrections[0], first, last)
}

// Merge is ref.Merge; total becomes what that returns.
func Merge(acc []float32, total *ref.Softmax, later []float32, state *ref.Softmax) {
	writes(acc[:len(later)])
	reads(later)
	merge(&acc[0], &later[0], len(later), &total.Max, &state.Max)
}

// Mix is ref.Mix.
func Mix(acc, p, values []float32, dim, first, last int, corrections []float32) {
	if dim%8 != 0 {
		ref.Mix(acc, p, values, dim, first, last, corrections)
		return
	}
	n := len(corrections)
	writes(acc[:n*dim])
	reads(p[:n*ref.Tile])
	reads(values[first*dim : last*dim])
	mix(&acc[0], &p[first], &values[first*dim], n, dim, last-first, &corrections[0])
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
