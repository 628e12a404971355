package exact

import (
	"math"
	"math/bits"
)

const (
	halfPiHi = 0x1.921fb54442d18p+0
	halfPiLo = 0x1.1a62633145c07p-54
)

// Sin returns the sine of x, in radians, with an error under 1 ULP for every float64. Infinities give NaN.
func Sin(x float64) float64 {
	if x-x != 0 {
		return math.NaN()
	}
	quadrant, r := reduce(math.Abs(x))
	if math.Signbit(x) {
		return -sinCos(quadrant, r)
	}
	return sinCos(quadrant, r)
}

// Cos returns the cosine of x, in radians, with an error under 1 ULP for every float64. Infinities give NaN.
func Cos(x float64) float64 {
	if x-x != 0 {
		return math.NaN()
	}
	quadrant, r := reduce(math.Abs(x))
	return sinCos(quadrant+1, r)
}

// sinCos returns the sine of r plus quadrant right angles, for |r| up to pi/4.
func sinCos(quadrant uint, r double) float64 {
	var v float64
	z := float64(r.hi * r.hi)
	if quadrant&1 == 0 {
		// r + r^3 * (-1/3! + ...) + r.lo * cos r
		v = r.hi + (float64(float64(r.hi*z)*horner(z, sinSeries[:])) + (r.lo - float64(float64(z/2)*r.lo)))
	} else {
		// 1 - z/2 with the rounding error of that difference, + z^2 * (1/4! - ...) - r.lo * sin r
		half := z / 2
		w := 1 - half
		v = w + (((1 - w) - half) + (float64(float64(z*z)*horner(z, cosSeries[:])) - float64(r.hi*r.lo)))
	}
	if quadrant&2 != 0 {
		return -v
	}
	return v
}

// sinSeries are the coefficients of r^17 down to r^3 in the sine, cosSeries those of r^18 down to r^4 in the cosine. The
// next terms are under 2^-63.
var (
	sinSeries = [...]float64{
		1.0 / 355687428096000, -1.0 / 1307674368000, 1.0 / 6227020800, -1.0 / 39916800, 1.0 / 362880, -1.0 / 5040,
		1.0 / 120, -1.0 / 6,
	}
	cosSeries = [...]float64{
		-1.0 / 6402373705728000, 1.0 / 20922789888000, -1.0 / 87178291200, 1.0 / 479001600, -1.0 / 3628800,
		1.0 / 40320, -1.0 / 720, 1.0 / 24,
	}
)

// reduce returns x as a whole number of right angles, modulo 4, plus r with |r| up to pi/4. x is finite and not negative.
//
// All sizes go the same way (Payne and Hanek, 1983): x is an integer m times 2^e, and of the bits of 2/pi only 192 matter,
// those before them giving whole turns and those behind them less than 2^-137 of a right angle. Integers do the work.
func reduce(x float64) (quadrant uint, r double) {
	if x < math.Pi/4 {
		return 0, double{x, 0}
	}
	b := math.Float64bits(x)
	m := b&(1<<52-1) | 1<<52
	e := int(b>>52) - 1075
	// The first bit that matters is worth 2^(2-e); the table begins with 64 zeros, so that the index is not negative.
	index := uint(e - 2 + 64)
	word, shift := index/64, index%64
	w := func(i uint) uint64 {
		return twoOverPi[word+i]<<shift | twoOverPi[word+i+1]>>(64-shift)
	}
	// p is m times those bits modulo 2^192: right angles modulo 4, in units of 2^-190.
	hi2, p2 := bits.Mul64(m, w(2))
	hi1, p1 := bits.Mul64(m, w(1))
	p0 := m * w(0)
	p1, carry := bits.Add64(p1, hi2, 0)
	p0, _ = bits.Add64(p0, hi1, carry)

	quadrant = uint(p0 >> 62)
	f0, f1, f2 := p0<<2|p1>>62, p1<<2|p2>>62, p2<<2
	negative := f0>>63 != 0
	if negative { // nearer to the next right angle
		quadrant++
		var borrow uint64
		f2, borrow = bits.Sub64(0, f2, 0)
		f1, borrow = bits.Sub64(0, f1, borrow)
		f0, _ = bits.Sub64(0, f0, borrow)
	}
	// The 106 bits from the first one on, as two float64. A fraction of fewer bits than 2^-64 does not occur.
	zeros := bits.LeadingZeros64(f0)
	f0, f1 = f0<<zeros|f1>>(64-zeros), f1<<zeros|f2>>(64-zeros)
	a := math.Ldexp(float64(f0>>11), -53-zeros)
	c := math.Ldexp(float64(f0&0x7ff<<42|f1>>22), -106-zeros)
	r = double{a, c}.times(double{halfPiHi, halfPiLo})
	if negative {
		r.hi, r.lo = -r.hi, -r.lo
	}
	return quadrant, r
}

// twoOverPi holds 64 zeros and the first 1280 bits of 2/pi, enough for the largest float64.
var twoOverPi = [...]uint64{
	0,
	0xa2f9836e4e441529, 0xfc2757d1f534ddc0, 0xdb6295993c439041, 0xfe5163abdebbc561, 0xb7246e3a424dd2e0,
	0x06492eea09d1921c, 0xfe1deb1cb129a73e, 0xe88235f52ebb4484, 0xe99c7026b45f7e41, 0x3991d639835339f4,
	0x9c845f8bbdf9283b, 0x1ff897ffde05980f, 0xef2f118b5a0a6d1f, 0x6d367ecf27cb09b7, 0x4f463f669e5fea2d,
	0x7527bac7ebe5f17b, 0x3d0739f78a5292ea, 0x6bfb5fb11f8d5d08, 0x56033046fc7b6bab, 0xf0cfbc209af4361d,
}
