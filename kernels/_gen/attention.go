package main

import (
	"math"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// attention writes the three steps of a tile of 64 positions, and the conversions of the cache.
func attention() {
	wide256.scores()
	weights()
	wide256.mix()
	wide256.attentionPaged()
	halves()
	prefetch()
}

func weights() {
	TEXT("weights", NOSPLIT, "func(p *float32, valid int, previous float32) (m, correction, sum float32)")
	Doc("weights turns scores into softmax weights: ref.Weights.")
	Pragma("noescape")
	p, at, count := load("p"), GP64(), GP64()
	valid, index, eight, largest := YMM(), YMM(), YMM(), YMM()
	VPBROADCASTD(address("valid"), valid)
	numbers := GLOBL("numbers", RODATA|NOPTR)
	for i := range 8 {
		DATA(4*i, U32(i))
	}
	VMOVDQU(numbers, index)
	VMOVDQU(words("eights32", 8), eight)
	VBROADCASTSS(address("previous"), largest)
	lowest := YMM()
	VMOVUPS(floats("negativeInfinity", float32(math.Inf(-1))), lowest)
	MOVQ(p, at)
	MOVQ(U32(8), count)
	loop(count, 1, func() {
		mask, v := YMM(), YMM()
		VPCMPGTD(index, valid, mask)
		VMOVUPS(lowest, v)
		VBLENDVPS(mask, Mem{Base: at}, v, v)
		VMAXPS(largest, v, largest) // a score that is NaN leaves largest as it is
		VPADDD(eight, index, index)
		ADDQ(imm(32), at)
	})
	upper := XMM()
	VEXTRACTF128(Imm(1), largest, upper)
	x := largest.AsX()
	VMAXPS(upper, x, x)
	VPERMILPS(Imm(0x4e), x, upper)
	VMAXPS(upper, x, x)
	VPERMILPS(Imm(0xb1), x, upper)
	VMAXPS(upper, x, x)
	Store(x, Return("m"))
	VBROADCASTSS(x, largest)
	VMOVDQU(numbers, index)
	low, high := YMM(), YMM()
	zero(low, high)
	MOVQ(p, at)
	MOVQ(U32(4), count)
	loop(count, 1, func() {
		for half, acc := range []Op{low, high} {
			v, mask := YMM(), YMM()
			VMOVUPS(Mem{Base: at, Disp: 32 * half}, v)
			VSUBPS(largest, v, v)
			exp(v)
			VPCMPGTD(index, valid, mask)
			VANDPS(mask, v, v)
			VPADDD(eight, index, index)
			VMOVUPS(v, Mem{Base: at, Disp: 32 * half})
			VADDPS(v, acc, acc)
		}
		ADDQ(imm(64), at)
	})
	sum := horizontal(low, high)
	Store(sum, Return("sum"))
	v := YMM()
	VBROADCASTSS(address("previous"), v)
	VSUBPS(largest, v, v)
	exp(v)
	Store(v.AsX(), Return("correction"))
	ret()
}

func halves() {
	TEXT("halvesToFloats", NOSPLIT, "func(dst *float32, stride int, src *uint16, rows, cols int)")
	Doc("halvesToFloats converts rows of cols halves, a multiple of eight, to rows stride bytes apart: ref.HalvesToFloats.")
	Pragma("noescape")
	dst, stride, src, rows := load("dst"), load("stride"), load("src"), load("rows")
	convert := func(at GPVirtual, n int) {
		for i := range n {
			v := YMM()
			VCVTPH2PS(Mem{Base: src, Disp: 16 * i}, v)
			VMOVUPS(v, Mem{Base: at, Disp: 32 * i})
		}
		ADDQ(imm(16*n), src)
	}
	// Sixteen columns are the keys of a small page: the inner loop would cost more than its work.
	others := label("others")
	at, cols := GP64(), load("cols")
	CMPQ(cols, imm(16))
	JNE(LabelRef(others))
	loop(rows, 1, func() {
		convert(dst, 2)
		ADDQ(stride, dst)
	})
	Label(others)
	loop(rows, 1, func() {
		Load(Param("cols"), cols)
		MOVQ(dst, at)
		loop(cols, 32, func() {
			convert(at, 4)
			ADDQ(imm(128), at)
		})
		loop(cols, 8, func() {
			convert(at, 1)
			ADDQ(imm(32), at)
		})
		ADDQ(stride, dst)
	})
	ret()

	TEXT("bfloatsToFloats", NOSPLIT, "func(dst *float32, src *uint16, n int)")
	Doc("bfloatsToFloats converts n bfloat16, a multiple of eight.")
	Pragma("noescape")
	wide, narrow, count := load("dst"), load("src"), load("n")
	loop(count, 8, func() {
		v := YMM()
		VPMOVZXWD(Mem{Base: narrow}, v)
		VPSLLD(Imm(16), v, v)
		VMOVDQU(v, Mem{Base: wide})
		ADDQ(imm(16), narrow)
		ADDQ(imm(32), wide)
	})
	ret()

	TEXT("floatsToHalves", NOSPLIT, "func(dst *uint16, src *float32, n int)")
	Doc("floatsToHalves rounds n floats, a multiple of eight, to halves: ref.FloatsToHalves.")
	Pragma("noescape")
	to, from, n := load("dst"), load("src"), load("n")
	loop(n, 8, func() {
		v := YMM()
		VMOVUPS(Mem{Base: from}, v)
		VCVTPS2PH(Imm(0), v, Mem{Base: to}) // to nearest, ties to even
		ADDQ(imm(32), from)
		ADDQ(imm(16), to)
	})
	ret()
}

// prefetch writes the hint to fetch memory that the next tile will read.
func prefetch() {
	TEXT("prefetch", NOSPLIT, "func(p *byte, bytes int)")
	Doc("prefetch asks for the cache lines of a piece of memory and changes nothing.")
	Pragma("noescape")
	p, bytes := load("p"), load("bytes")
	loop(bytes, 64, func() {
		PREFETCHT1(Mem{Base: p})
		ADDQ(imm(64), p)
	})
	ret()
}
