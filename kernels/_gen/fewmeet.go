package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// dots adds the products of lines with their words of the rows from first on, and calls beside after each line.
func (k *fewFrame) dots(firstLine, lines, word, first int, sum []VecVirtual, beside func()) {
	for i := firstLine; i < firstLine+lines; i++ {
		line := ZMM()
		VMOVDQU32(Mem{Base: k.from, Disp: unpackedLines + 64*i}, line)
		for t := range sum {
			VPDPBUSD_BCST(k.word(word+i, first+t), line, sum[t])
		}
		beside()
	}
}

// finish adds the products of float32 numbers with the scales that were unpacked to disp, and with those of the rows, to their sums.
func (k *fewFrame) finish(disp, first, n int, fma func(t int, both, acc VecVirtual)) {
	d := ZMM()
	VMOVUPS(Mem{Base: k.from, Disp: disp}, d)
	for t := range n {
		both, acc := ZMM(), ZMM()
		VMULPS_BCST(k.word(0, first+t), d, both)
		VMOVUPS(k.acc(first+t), acc)
		fma(t, both, acc)
		VMOVUPS(acc, k.acc(first+t))
	}
}

// meet meets a block of 32 with n rows. Of each row a tile holds its scale, -128 times the sum of quants, the sum as float32 and
// eight words of quants.
func (k *fewFrame) meet(first, n int, beside func()) {
	sum := zmms(n)
	for t := range sum {
		if k.f.minima {
			clearZ(sum[t])
		} else {
			VPBROADCASTD(k.word(1, first+t), sum[t])
		}
	}
	k.dots(0, 8, 3, first, sum, beside)
	k.finish(unpackedD, first, n, func(t int, both, acc VecVirtual) {
		VCVTDQ2PS(sum[t], sum[t])
		VFMADD231PS(sum[t], both, acc)
	})
	if k.f.minima {
		k.finish(unpackedM, first, n, func(t int, both, acc VecVirtual) { VFMADD231PS_BCST(k.word(2, first+t), both, acc) })
	}
}

// meetSuper meets a super-block with n rows. Of each row a tile holds its scale, eight pairs of sums of 16 quants, four of sums
// of 32, starts, a mark, and 64 words of quants.
func (k *fewFrame) meetSuper(first, n int, beside func()) {
	totals := zmms(n)
	pairs := func() {
		lines, word := 8, 1
		if k.f.minima && k.f.per() == 32 {
			lines, word = 4, 9
		}
		for i := range lines {
			pair := ZMM()
			VMOVDQU32(Mem{Base: k.from, Disp: unpackedPairs + 64*i}, pair)
			for t, total := range totals {
				VPDPWSSD_BCST(k.word(word+i, first+t), pair, total)
			}
		}
	}
	add := func(t int, both, acc VecVirtual) {
		VCVTDQ2PS(totals[t], totals[t])
		VFMADD231PS(totals[t], both, acc)
	}
	clearZ(totals...)
	if paired, mark := k.f.paired(); paired {
		k.paired(first, totals, beside)
		if mark > 0 {
			k.again(mark, first, totals)
		}
	} else {
		pairs()
		k.whole(first, totals, beside)
	}
	k.finish(unpackedD, first, n, add)
	if k.f.minima {
		clearZ(totals...)
		pairs()
		k.finish(unpackedM, first, n, add)
	}
}

// whole adds the integer products of a super-block to totals, each sum multiplied by its scale as a word.
func (k *fewFrame) whole(first int, totals []VecVirtual, beside func()) {
	per := k.f.per()
	for sub := range 256 / per {
		sum, scale := zmms(len(totals)), ZMM()
		clearZ(sum...)
		k.dots(sub*per/4, per/4, superWords, first, sum, beside)
		VMOVDQU32(Mem{Base: k.from, Disp: 64 * sub * per / 16}, scale)
		for t := range sum {
			VPMULLD(scale, sum[t], sum[t])
			VPADDD(sum[t], totals[t], totals[t])
		}
	}
}
