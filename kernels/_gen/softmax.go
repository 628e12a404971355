package main

import (
	"math"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// exponential holds the constants of exact.Exp32, in registers as far as a loop leaves some, or in memory.
type exponential struct {
	magic, log2E, high, low Op
	c                       []Op
}

func newExponential(room int) *exponential {
	one := floats("one", 1)
	all := hold(room, []Mem{
		floats("expMagic", 0x1.8p+23), floats("expLog2E", 0x1.715476p+0), floats("expLn2Hi", 0x1.62e43p-1), floats("expLn2Lo", -0x1.05c61p-29), one,
		floats("expC2", 0x1.fffffcp-2), floats("expC3", 0x1.555492p-3), floats("expC4", 0x1.5558bp-5), floats("expC5", 0x1.12399cp-7),
	})
	return &exponential{
		magic: all[0], log2E: all[1], high: all[2], low: all[3],
		c: []Op{all[8], all[7], all[6], all[5], all[4], all[4]},
	}
}

// of replaces each lane of x by its exponential. Where none is above 0, a test is spared.
func (e *exponential) of(x VecVirtual, above bool) {
	t, n, r, p := YMM(), YMM(), YMM(), YMM()
	VMOVUPS(e.magic, t)
	VFMADD231PS(e.log2E, x, t)
	VSUBPS(e.magic, t, n)
	VMOVAPS(x, r)
	VFNMADD231PS(e.high, n, r)
	VFNMADD231PS(e.low, n, r)
	VMOVUPS(floats("expC6", 0x1.6a4eccp-10), p)
	for _, c := range e.c {
		VFMADD213PS(c, r, p)
	}
	VPSLLD(Imm(23), t, t)
	VPADDD(t, p, p)
	const less, greater, unordered = 1, 14, 3
	VCMPPS(Imm(less), floats("expLow", -0x1.5d589ep+6), x, n)
	VANDNPS(p, n, p)
	if above {
		VCMPPS(Imm(greater), floats("expHigh", 0x1.62e42ep+6), x, n)
		VBLENDVPS(n, floats("infinity", float32(math.Inf(1))), p, p)
	}
	VCMPPS(Imm(unordered), x, x, n)
	VBLENDVPS(n, x, p, x)
}

// weights writes ref.Weights, for tiles that are seen as a whole and for others.
func weights() {
	const doc = " turns the scores of n queries into softmax weights: ref.Weights"
	TEXT("weights", NOSPLIT, "func(p *float32, n int, states, corrections *float32)")
	Doc("weights" + doc + " of all positions.")
	Pragma("noescape")
	eachWeights(nil)

	TEXT("weightsSeen", NOSPLIT, "func(p *float32, n int, states, corrections *float32, first, last int)")
	Doc("weightsSeen" + doc + ".")
	Pragma("noescape")
	mask := AllocLocal(256)
	index, eight, from, to := YMM(), YMM(), YMM(), YMM()
	VMOVDQU(numbers(), index)
	VMOVDQU(words("eights32", 8), eight)
	VPBROADCASTD(address("first"), from)
	VPBROADCASTD(address("last"), to)
	for i := range 8 {
		before, seen := YMM(), YMM()
		VPCMPGTD(index, from, before)
		VPCMPGTD(index, to, seen)
		VPANDN(seen, before, seen)
		VMOVDQU(seen, at(mask, 32*i))
		VPADDD(eight, index, index)
	}
	eachWeights(&mask)
}

// eachWeights writes the two passes over the queries: largest scores, whose differences from those before wait in
// corrections until they become exponentials, eight at a time, and then the weights. mask says which positions are seen, all
// where it is nil.
func eachWeights(mask *Mem) {
	p, states, corrections, n := load("p"), load("states"), load("corrections"), load("n")
	loop(n, 1, func() {
		before, a, b := YMM(), YMM(), YMM()
		VBROADCASTSS(Mem{Base: states}, before)
		VMOVAPS(before, a)
		VMOVAPS(before, b)
		for i := range 8 {
			largest, score := []VecVirtual{a, b}[i%2], Mem{Base: p, Disp: 32 * i}
			v := YMM()
			if mask == nil {
				VMOVUPS(score, v)
			} else {
				seen := YMM()
				VMOVUPS(floats("negativeInfinity", float32(math.Inf(-1))), v)
				VMOVUPS(at(*mask, 32*i), seen)
				VBLENDVPS(seen, score, v, v)
			}
			VMAXPS(largest, v, largest) // a score that is NaN leaves largest as it is
		}
		VMAXPS(a, b, a)
		upper, x := XMM(), a.AsX()
		VEXTRACTF128(Imm(1), a, upper)
		VMAXPS(upper, x, x)
		for _, turn := range []uint64{0x4e, 0xb1} {
			VPERMILPS(Imm(turn), x, upper)
			VMAXPS(upper, x, x)
		}
		VMOVSS(x, Mem{Base: states})
		VSUBSS(x, before.AsX(), upper)
		VMOVSS(upper, Mem{Base: corrections})
		ADDQ(imm(256), p)
		ADDQ(imm(8), states)
		ADDQ(imm(4), corrections)
	})
	again := func() {
		Load(Param("states"), states)
		Load(Param("corrections"), corrections)
		Load(Param("n"), n)
	}
	again()
	e := newExponential(8)
	correct := func(lanes int, read, write func(v VecVirtual)) {
		loop(n, lanes, func() {
			v := YMM()
			read(v)
			e.of(v, false)
			write(v)
			ADDQ(imm(4*lanes), corrections)
		})
	}
	differences := Mem{Base: corrections}
	correct(8, func(v VecVirtual) { VMOVUPS(differences, v) }, func(v VecVirtual) { VMOVUPS(v, differences) })
	correct(1, func(v VecVirtual) { VBROADCASTSS(differences, v) }, func(v VecVirtual) { VMOVSS(v.AsX(), differences) })
	Load(Param("p"), p)
	again()
	loop(n, 1, func() {
		largest, low, high := YMM(), YMM(), YMM()
		VBROADCASTSS(Mem{Base: states}, largest)
		zero(low, high)
		for i := range 8 {
			v, acc := YMM(), []VecVirtual{low, high}[i%2]
			VMOVUPS(Mem{Base: p, Disp: 32 * i}, v)
			VSUBPS(largest, v, v)
			e.of(v, false)
			if mask != nil {
				VANDPS(at(*mask, 32*i), v, v)
			}
			VMOVUPS(v, Mem{Base: p, Disp: 32 * i})
			VADDPS(v, acc, acc)
		}
		sum, earlier := horizontal(low, high), XMM()
		VMOVSS(Mem{Base: states, Disp: 4}, earlier)
		VMULSS(Mem{Base: corrections}, earlier, earlier)
		VADDSS(sum, earlier, earlier)
		VMOVSS(earlier, Mem{Base: states, Disp: 4})
		ADDQ(imm(256), p)
		ADDQ(imm(8), states)
		ADDQ(imm(4), corrections)
	})
	ret()
}

// numbers returns the numbers from 0 to 7.
func numbers() Mem {
	m, ok := constants["numbers"]
	if !ok {
		m = GLOBL("numbers", RODATA|NOPTR)
		for i := range 8 {
			DATA(4*i, U32(i))
		}
		constants["numbers"] = m
	}
	return m
}
