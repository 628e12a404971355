package exact

import "math"

// Log returns the natural logarithm of x with an error under 0.51 ULP.
func Log(x float64) float64 {
	switch {
	case x != x || x > math.MaxFloat64:
		return x
	case x < 0:
		return math.NaN()
	case x == 0:
		return math.Inf(-1)
	}
	return log(x).hi
}

// log returns the natural logarithm of a positive finite x with a relative error of some 2^-64.
//
// With x = m * 2^k, m between sqrt(1/2) and sqrt(2), and s = (m-1)/(m+1), log m is 2s (1 + s^2/3 + s^4/5 + ...). The
// quotient and the first two terms are doubles; the others are at most 2^-12 of the sum.
func log(x float64) double {
	m, k := math.Frexp(x)
	if m < math.Sqrt2/2 {
		m *= 2
		k--
	}
	f := m - 1
	g := twoSum(m, 1)
	s := double{hi: f / g.hi}
	p := twoProduct(s.hi, g.hi)
	s.lo = (((f - p.hi) - p.lo) - float64(s.hi*g.lo)) / g.hi
	t := s.times(s)
	u := t.times(double{1.0 / 3, 0x1.5555555555555p-56})
	u.lo += float64(float64(t.hi*t.hi) * horner(t.hi, logSeries[:]))
	v := s.times(u)
	half := fastTwoSum(s.hi, v.hi)
	half.lo += s.lo + v.lo

	n := float64(k)
	sum := twoSum(float64(n*ln2Hi), 2*half.hi)
	return fastTwoSum(sum.hi, sum.lo+(2*half.lo+float64(n*ln2Lo)))
}

// logSeries are the coefficients 1/(2k+1) from 1/23 down to 1/5.
var logSeries = [...]float64{1.0 / 23, 1.0 / 21, 1.0 / 19, 1.0 / 17, 1.0 / 15, 1.0 / 13, 1.0 / 11, 1.0 / 9, 1.0 / 7, 1.0 / 5}

// Pow returns x^y with an error under 1 ULP. Zeros, infinities, NaN and negative x are treated as IEEE 754 says of pow.
func Pow(x, y float64) float64 {
	switch {
	case y == 0 || x == 1:
		return 1
	case x != x || y != y:
		return math.NaN()
	case math.IsInf(y, 0):
		return powInfinite(math.Abs(x), y)
	}
	sign := 1.0
	if math.Signbit(x) {
		whole, odd := integer(y)
		if !whole && x != 0 && !math.IsInf(x, 0) {
			return math.NaN()
		}
		if odd {
			sign = -1
		}
		x = -x
	}
	switch {
	case x == 0 && y < 0, math.IsInf(x, 1) && y > 0:
		return sign * math.Inf(1)
	case x == 0, math.IsInf(x, 1):
		return sign * 0
	}
	l := log(x)
	// Far outside the range of exp the sign decides alone; inside it the exact product below cannot overflow.
	if estimate := float64(y * l.hi); estimate > 800 {
		return sign * math.Inf(1)
	} else if estimate < -800 {
		return sign * 0
	}
	return sign * exp(l.times(double{y, 0}))
}

// powInfinite returns x to an infinite power, for x not negative.
func powInfinite(x, y float64) float64 {
	switch {
	case x == 1:
		return 1
	case (x > 1) == (y > 0):
		return math.Inf(1)
	default:
		return 0
	}
}

// integer says whether a finite y is a whole number, and whether it is an odd one.
func integer(y float64) (whole, odd bool) {
	if math.Trunc(y) != y {
		return false, false
	}
	// From 2^53 on every float64 is even.
	return true, math.Abs(y) < 1<<53 && int64(y)&1 == 1
}
