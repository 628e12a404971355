package exact

import "math/big"

// References to some 200 bits, by the plainest series, for the tests.

const bigPrec = 240

func newBig(x float64) *big.Float { return new(big.Float).SetPrec(bigPrec).SetFloat64(x) }

func bigOf() *big.Float { return new(big.Float).SetPrec(bigPrec) }

// bigExp halves x until it is small, sums the series and squares back.
func bigExp(x *big.Float) *big.Float {
	const halvings = 24
	y := bigOf().SetMantExp(x, -halvings)
	sum, term := newBig(1), newBig(1)
	for k := 1; k < 40; k++ {
		term = bigOf().Quo(bigOf().Mul(term, y), newBig(float64(k)))
		sum = bigOf().Add(sum, term)
	}
	for range halvings {
		sum = bigOf().Mul(sum, sum)
	}
	return sum
}

// bigLog takes three steps of Newton's method from a float64 start.
func bigLog(x float64, start float64) *big.Float {
	y := newBig(start)
	for range 3 {
		// y += 2 (x - e^y) / (x + e^y)
		e := bigExp(y)
		num := bigOf().Sub(newBig(x), e)
		den := bigOf().Add(newBig(x), e)
		y = bigOf().Add(y, bigOf().Mul(newBig(2), bigOf().Quo(num, den)))
	}
	return y
}

// bigSinCos reduces x by a pi of enough bits and sums both series.
func bigSinCos(x float64) (sin, cos *big.Float) {
	const prec = 1500
	wide := func() *big.Float { return new(big.Float).SetPrec(prec) }
	twoPi := wide().Mul(wide().SetInt64(2), bigPi(prec))
	turns := wide().Quo(wide().SetFloat64(x), twoPi)
	whole, _ := turns.Int(nil)
	r := wide().Sub(wide().SetFloat64(x), wide().Mul(wide().SetInt(whole), twoPi))
	y := bigOf().Set(r)
	square := bigOf().Mul(y, y)
	sin, cos = newBig(0), newBig(0)
	s, c := bigOf().Set(y), newBig(1)
	for k := 1; k < 120; k += 2 {
		cos.Add(cos, c)
		sin.Add(sin, s)
		c = bigOf().Neg(bigOf().Quo(bigOf().Mul(c, square), newBig(float64(k*(k+1)))))
		s = bigOf().Neg(bigOf().Quo(bigOf().Mul(s, square), newBig(float64((k+1)*(k+2)))))
	}
	return sin, cos
}

// bigPi is Machin's formula.
func bigPi(prec uint) *big.Float {
	atanInverse := func(n int64) *big.Float {
		wide := func() *big.Float { return new(big.Float).SetPrec(prec + 20) }
		x := wide().Quo(wide().SetInt64(1), wide().SetInt64(n))
		sum, power := wide().Set(x), wide().Set(x)
		square := wide().SetInt64(n * n)
		for k := int64(3); power.MantExp(nil) > -int(prec)-20; k += 2 {
			power = wide().Neg(wide().Quo(power, square))
			sum = wide().Add(sum, wide().Quo(power, wide().SetInt64(k)))
		}
		return sum
	}
	wide := func() *big.Float { return new(big.Float).SetPrec(prec) }
	a := wide().Mul(wide().SetInt64(16), atanInverse(5))
	return wide().Sub(a, wide().Mul(wide().SetInt64(4), atanInverse(239)))
}
