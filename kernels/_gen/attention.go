package main

import (
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
	merge()
	halves()
	prefetch()
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
