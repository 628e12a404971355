package exact

// A double is the unevaluated sum hi + lo of two float64 with |lo| at most half a unit in the last place of hi: about 106
// bits. Dekker (1971) and Knuth give the error-free sums and products that it is built of.
type double struct {
	hi, lo float64
}

// fastTwoSum returns a + b exactly, for |a| >= |b| or a == 0.
func fastTwoSum(a, b float64) double {
	s := a + b
	return double{s, b - (s - a)}
}

// twoSum returns a + b exactly.
func twoSum(a, b float64) double {
	s := a + b
	back := s - a
	return double{s, (a - (s - back)) + (b - back)}
}

// twoProduct returns a * b exactly, for magnitudes under 2^990 whose product is not near the subnormals.
func twoProduct(a, b float64) double {
	p := float64(a * b)
	a1, a2 := halves(a)
	b1, b2 := halves(b)
	// The four partial products and their sums, in this order, are exact.
	lo := float64(a1*b1) - p
	lo = float64(a1*b2) + lo
	lo = float64(a2*b1) + lo
	lo = float64(a2*b2) + lo
	return double{p, lo}
}

// halves cuts a into two parts of at most 26 bits, so that products of parts are exact (Veltkamp).
func halves(a float64) (float64, float64) {
	big := float64(a * (1<<27 + 1))
	hi := big - (big - a)
	return hi, a - hi
}

// times returns x * y with a relative error of some 2^-102.
func (x double) times(y double) double {
	p := twoProduct(x.hi, y.hi)
	return fastTwoSum(p.hi, p.lo+(float64(x.hi*y.lo)+float64(x.lo*y.hi)))
}
