// Package exact owns scalar mathematics that is defined to the bit: the same argument gives the same result on every
// architecture, whatever instructions its compiler fuses and whatever assembly its standard library has. It holds no
// loops over tensors (kernels/ref does) and allocates nothing.
//
// Every function is a stated sequence of IEEE 754 additions, multiplications, divisions and square roots, each rounded
// to nearest, ties to even. A product that feeds an addition is converted explicitly, `float64(x*y) + z`, because Go may
// fuse it otherwise. A NaN result is one class: its bits are not defined. Each function states its largest error in units
// in the last place (ULP); tests hold it. All functions are pure and safe for concurrent use.
package exact

import "math"

// FMA32 returns a*b + c, rounded once to float32, as vfmadd and FMLA do.
//
// The product of two float32 is exact in float64. Its sum with c is rounded to float64 to odd when it is not exact, so
// that the second rounding, to float32, decides as if it saw the exact sum (Boldo and Melquiond, 2008).
func FMA32(a, b, c float32) float32 {
	p := float64(a) * float64(b)
	s := float64(p) + float64(c)
	// A sum that is no midpoint between two normal float32 lies on the same side of every midpoint as the exact one.
	const below, midpoint = 1<<29 - 1, 1 << 28
	bits := math.Float64bits(s)
	if bits&below != midpoint && bits<<1 >= minNormal32<<1 {
		return float32(s)
	}
	return roundToOdd(p, float64(c), s)
}

// minNormal32 is the bits of 2^-126 as a float64.
const minNormal32 = (1023 - 126) << 52

// roundToOdd returns float32 of p + c, where s is that sum rounded to nearest float64.
func roundToOdd(p, c, s float64) float32 {
	// The error of s, exactly (Knuth's TwoSum). It is NaN when s is not finite.
	back := s - p
	e := (p - (s - back)) + (c - back)
	bits := math.Float64bits(s)
	if e != 0 && e == e && bits&1 == 0 {
		// s is the even neighbour of the exact sum: the odd one lies on the other side of it.
		if (e > 0) == (s > 0) {
			bits++
		} else {
			bits--
		}
	}
	return float32(math.Float64frombits(bits))
}
