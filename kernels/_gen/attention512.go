package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// attention512 writes the three steps of a tile of 64 positions for several queries at a time, on registers of sixteen lanes.
func attention512() {
	wide512.scores()
	weights512()
	wide512.mix()
}

// exponential512 holds the constants of exact.Exp32 for arguments up to 0.
type exponential512 struct {
	log2E, magic, high, low, least, one VecVirtual
	c                                   []VecVirtual
}

func newExponential512() *exponential512 {
	constant := func(name string, v float32) VecVirtual {
		r := ZMM()
		VBROADCASTSS(floats(name, v), r)
		return r
	}
	return &exponential512{
		log2E: constant("expLog2E", 0x1.715476p+0), magic: constant("expMagic", 0x1.8p+23),
		high: constant("expLn2Hi", 0x1.62e43p-1), low: constant("expLn2Lo", -0x1.05c61p-29),
		least: constant("expLow", -0x1.5d589ep+6), one: constant("one", 1),
		c: []VecVirtual{
			constant("expC6", 0x1.6a4eccp-10), constant("expC5", 0x1.12399cp-7), constant("expC4", 0x1.5558bp-5),
			constant("expC3", 0x1.555492p-3), constant("expC2", 0x1.fffffcp-2),
		},
	}
}

// of replaces each lane of x, at most 0 or a NaN, by its exponential, and lanes outside of mask by 0. VSCALEFPS does what
// exact.Exp32 does by adding to the exponent's bits, and keeps a NaN.
func (e *exponential512) of(x VecVirtual, mask Register) {
	n, p, r, seen := ZMM(), ZMM(), ZMM(), K()
	const notLess = 5 // true for a NaN
	VCMPPS(Imm(notLess), e.least, x, mask, seen)
	VMOVAPS(e.magic, n)
	VFMADD231PS(e.log2E, x, n)
	VSUBPS(e.magic, n, n)
	VMOVAPS(x, r)
	VFNMADD231PS(e.high, n, r)
	VFNMADD231PS(e.low, n, r)
	VMOVAPS(e.c[0], p)
	for _, c := range append(e.c[1:len(e.c):len(e.c)], e.one, e.one) {
		VFMADD213PS(c, r, p)
	}
	VSCALEFPS_Z(n, p, seen, x)
}

func weights512() {
	TEXT("weights", NOSPLIT, "func(p *float32, n int, mask uint64, states, corrections *float32)")
	Doc("weights turns the scores of n queries into softmax weights: ref.Weights. mask has a bit for each position that they see.")
	Pragma("noescape")
	p, n, bits, states, corrections := load("p"), load("n"), load("mask"), load("states"), load("corrections")
	masks := make([]Register, 4)
	for i := range masks {
		masks[i] = K()
		KMOVW(bits.As32(), masks[i])
		SHRQ(Imm(16), bits)
	}
	first := K()
	one := GP32()
	MOVL(U32(1), one)
	KMOVW(one, first)
	e := newExponential512()
	loop(n, 1, func() {
		v, largest, before, upper := zmms(4), ZMM(), ZMM(), ZMM()
		VBROADCASTSS(Mem{Base: states}, before)
		VMOVAPS(before, largest)
		for i := range v {
			VMOVUPS(Mem{Base: p, Disp: 64 * i}, v[i])
			VMAXPS(largest, v[i], masks[i], largest) // a score that is NaN leaves largest as it is
		}
		for _, turn := range []uint64{0x4e, 0xb1} { // halves, then quarters change places
			VSHUFF32X4(Imm(turn), largest, largest, upper)
			VMAXPS(upper, largest, largest)
		}
		for _, turn := range []uint64{0x4e, 0xb1} {
			VPERMILPS(Imm(turn), largest, upper)
			VMAXPS(upper, largest, largest)
		}
		for i := range v {
			VSUBPS(largest, v[i], v[i])
			e.of(v[i], masks[i])
			VMOVUPS(v[i], Mem{Base: p, Disp: 64 * i})
		}
		VSUBPS(largest, before, before)
		e.of(before, first)
		for _, more := range v[1:] {
			VADDPS(more, v[0], v[0])
		}
		low, high := v[0].AsY(), YMM()
		VEXTRACTF64X4(Imm(1), v[0], high)
		VADDPS(high, low, low) // i and i+8
		x, half := v[0].AsX(), XMM()
		VEXTRACTF128(Imm(1), low, half)
		VADDPS(half, x, x) // i and i+4
		VMOVHLPS(x, x, half)
		VADDPS(half, x, x) // i and i+2
		VMOVSHDUP(x, half)
		VADDSS(half, x, x) // i and i+1
		sum := XMM()
		VMULSS(Mem{Base: states, Disp: 4}, before.AsX(), sum)
		VADDSS(x, sum, sum)
		VMOVSS(largest.AsX(), Mem{Base: states})
		VMOVSS(sum, Mem{Base: states, Disp: 4})
		VMOVSS(before.AsX(), Mem{Base: corrections})
		ADDQ(imm(256), p)
		ADDQ(imm(8), states)
		ADDQ(imm(4), corrections)
	})
	ret()
}
