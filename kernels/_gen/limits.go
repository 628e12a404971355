package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// limits writes what measures the machine: how fast it reads memory and multiplies in registers. No result comes of it.
func limits() {
	limitBytes()
	limitFloats()
	limitRead()
}

// limitBytes multiplies bytes as the cheapest panel of this level does: products of pairs of bytes, added in 16 bits as
// long as these hold them, eight times, and then in 32 bits. Adding each in 32 bits at once would count a third less.
func limitBytes() {
	TEXT("limitBytes", NOSPLIT, "func(turns int)")
	Doc("limitBytes does turns times 1024 multiply-adds of bytes in registers.")
	turns, words16 := load("turns"), ymms(4)
	sums, ones, w := ymms(4), YMM(), YMM()
	VMOVDQU(words("ones16", 0x00010001), ones)
	VMOVDQU(words("limitBytes8", 0x0f010203), w)
	zero(sums...)
	loop(turns, 1, func() {
		for i := range 8 {
			for k := range 4 {
				if i == 0 {
					VPMADDUBSW(w, w, words16[k])
					continue
				}
				product := YMM()
				VPMADDUBSW(w, w, product)
				VPADDW(product, words16[k], words16[k])
			}
		}
		for k := range 4 {
			VPMADDWD(ones, words16[k], words16[k])
			VPADDD(words16[k], sums[k], sums[k])
		}
	})
	ret()
}

// limitFloats keeps as many sums as two units with a latency of five want.
func limitFloats() {
	TEXT("limitFloats", NOSPLIT, "func(turns int)")
	Doc("limitFloats does turns times 96 multiply-adds of float32 in registers.")
	turns, sums, w := load("turns"), ymms(12), YMM()
	VMOVUPS(floats("limitFloats1", 1), w)
	zero(sums...)
	loop(turns, 1, func() {
		for _, sum := range sums {
			VFMADD231PS(w, w, sum)
		}
	})
	ret()
}

// limitRead reads in address order and prefetches line by line, as the rows' kernels do.
func limitRead() {
	TEXT("limitRead", NOSPLIT, "func(p *byte, turns int)")
	Doc("limitRead reads turns times 256 bytes.")
	Pragma("noescape")
	p, turns, v := load("p"), load("turns"), make([]VecVirtual, 8)
	loop(turns, 1, func() {
		for i := range 4 {
			PREFETCHT0(Mem{Base: p, Disp: limitAhead + 64*i})
		}
		for i := range v {
			v[i] = YMM()
			VMOVDQU(Mem{Base: p, Disp: 32 * i}, v[i])
		}
		ADDQ(imm(256), p)
	})
	ret()
}

// limitAhead is one small page: prefetchers of the processor stop at its end.
const limitAhead = 4096
