package exact

import "math"

// The constants of Exp32, exported because kernels/cpu repeats its steps lane by lane.
const (
	Exp32Log2E = 0x1.715476p+0  // 1/ln 2
	Exp32Magic = 0x1.8p+23      // adding it rounds to an integer, which is then in the low bits of the sum
	Exp32Ln2Hi = 0x1.62e43p-1   // ln 2 rounded to float32
	Exp32Ln2Lo = -0x1.05c61p-29 // ln 2 - Exp32Ln2Hi
	Exp32Low   = -0x1.5d589ep+6 // below it the result is 0: it would be under 2^-126
	Exp32High  = 0x1.62e42ep+6  // above it the result is +Inf
	Exp32C6    = 0x1.6a4eccp-10 // minimax for (e^r - 1 - r) / r^2 on |r| <= ln 2 / 2, relative error of e^r 2^-28.2
	Exp32C5    = 0x1.12399cp-7
	Exp32C4    = 0x1.5558bp-5
	Exp32C3    = 0x1.555492p-3
	Exp32C2    = 0x1.fffffcp-2
)

// Exp32 returns e^x with an error under 1 ULP. Results that would be subnormal are 0.
//
// Each step is one instruction on vectors: two FMA reduce x by a whole number of ln 2, six more are Horner's rule, the
// power of two is added to the exponent bits, and the clamps are comparisons and blends.
func Exp32(x float32) float32 {
	switch {
	case x != x:
		return x
	case x < Exp32Low:
		return 0
	case x > Exp32High:
		return float32(math.Inf(1))
	}
	t := FMA32(x, Exp32Log2E, Exp32Magic)
	n := t - Exp32Magic
	r := FMA32(-n, Exp32Ln2Hi, x)
	r = FMA32(-n, Exp32Ln2Lo, r)
	p := FMA32(Exp32C6, r, Exp32C5)
	p = FMA32(p, r, Exp32C4)
	p = FMA32(p, r, Exp32C3)
	p = FMA32(p, r, Exp32C2)
	p = FMA32(p, r, 1)
	p = FMA32(p, r, 1)
	// The low bits of t hold n plus those of the magic number, which the shift drops.
	return math.Float32frombits(math.Float32bits(p) + math.Float32bits(t)<<23)
}
