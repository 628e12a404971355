package exact

import "math"

const (
	log2E = 0x1.71547652b82fep+0 // 1/ln 2
	ln2Hi = 0x1.62e42feep-1      // the first 32 bits of ln 2: its product with an exponent is exact
	ln2Lo = 0x1.a39ef35793c76p-33
	magic = 0x1.8p+52 // adding and subtracting it rounds to an integer
)

// Exp returns e^x with an error under 1 ULP.
func Exp(x float64) float64 {
	return exp(double{x, 0})
}

// exp returns e^(x.hi + x.lo).
func exp(x double) float64 {
	switch {
	case x.hi != x.hi:
		return x.hi
	case x.hi > 709.79:
		return math.Inf(1)
	case x.hi < -745.14:
		return 0
	}
	n := float64(float64(x.hi*log2E)+magic) - magic
	// What is left of x after n times ln 2, as r.hi + r.lo with |r.hi| at most ln 2 / 2.
	r := fastTwoSum(x.hi-float64(n*ln2Hi), -float64(n*ln2Lo))
	r = fastTwoSum(r.hi, r.lo+x.lo)
	h := r.hi
	// The Taylor series from h^2/2 to h^13/13!; the next term is under 2^-57.
	q := horner(h, expSeries[:])
	tail := float64(float64(h*h)*q) + (r.lo + float64(r.lo*h))
	y, k := 1+(h+tail), int(n)
	if -1021 <= k && k < 1023 { // the result is normal: the product with a power of two is exact, and faster than Ldexp
		return y * math.Float64frombits(uint64(k+1023)<<52)
	}
	return math.Ldexp(y, k)
}

// expSeries are the coefficients 1/k! from 1/13! down to 1/2!.
var expSeries = [...]float64{
	1.0 / 6227020800, 1.0 / 479001600, 1.0 / 39916800, 1.0 / 3628800, 1.0 / 362880, 1.0 / 40320, 1.0 / 5040,
	1.0 / 720, 1.0 / 120, 1.0 / 24, 1.0 / 6, 1.0 / 2,
}

// horner returns the polynomial in x whose coefficients are given highest first.
func horner(x float64, coefficients []float64) float64 {
	sum := coefficients[0]
	for _, c := range coefficients[1:] {
		sum = float64(sum*x) + c
	}
	return sum
}

// Tanh returns the hyperbolic tangent of x with an error under 2.5 ULP.
func Tanh(x float64) float64 {
	a := math.Abs(x)
	var t float64
	switch {
	case a < 0x1p-28:
		return x // the next term is x^3/3; NaN fails every comparison and comes out below
	case a < 0.5:
		// e^(2a) - 1 by its series without the one: y + y^2/2 + ... + y^19/19!
		y := 2 * a
		e := y + float64(float64(y*y)*horner(y, expm1Series[:]))
		t = e / (e + 2)
	case a < 22:
		t = 1 - 2/(Exp(2*a)+1)
	case a >= 22:
		t = 1
	default:
		return x
	}
	return math.Copysign(t, x)
}

// expm1Series are the coefficients 1/k! from 1/19! down to 1/2!.
var expm1Series = [...]float64{
	1.0 / 121645100408832000, 1.0 / 6402373705728000, 1.0 / 355687428096000, 1.0 / 20922789888000, 1.0 / 1307674368000,
	1.0 / 87178291200, 1.0 / 6227020800, 1.0 / 479001600, 1.0 / 39916800, 1.0 / 3628800, 1.0 / 362880, 1.0 / 40320,
	1.0 / 5040, 1.0 / 720, 1.0 / 120, 1.0 / 24, 1.0 / 6, 1.0 / 2,
}
