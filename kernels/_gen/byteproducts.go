package main

import (
	"fmt"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// byteProducts writes what multiplies a panel of sixteen rows of bytes with tiles of up to twelve rows of activations.
// Lane = weight row; each line of weights is loaded once and meets the broadcast words of all rows of the tile.
func byteProducts() {
	mulBytes("mulBytes", false, func(n int, k *tileProduct) { k.blocks(n, false) })
	mulBytes("mulBytesMinima", false, func(n int, k *tileProduct) { k.blocks(n, true) })
	mulBytes("mulSupers", true, func(n int, k *tileProduct) { k.supers(n, 16, 0, false) })
	mulBytes("mulSupersQuiet", true, func(n int, k *tileProduct) { k.supers(n, 16, quiet16, false) })
	mulBytes("mulSupersMinima", true, func(n int, k *tileProduct) { k.supers(n, 16, 0, true) })
	mulBytes("mulSupersMinimaQ4", true, func(n int, k *tileProduct) { k.supers(n, 32, quiet4, true) })
	mulBytes("mulSupersMinimaQ5", true, func(n int, k *tileProduct) { k.supers(n, 32, quiet32, true) })
}

// tileRows is ref.TileRows; a last tile has a multiple of four rows.
const tileRows = 12

// tileProduct is the frame of a product: the tiles, read from one end to the other for each panel.
type tileProduct struct {
	x, count GPVirtual
	local    Mem
}

func mulBytes(name string, local bool, body func(n int, k *tileProduct)) {
	TEXT(name, 0, "func(dst *float32, dstStride int, panel *uint8, scales *int8, mins *int16, d, m *float32, blocks int, tiles *int32, count int)")
	Doc(name + " multiplies a panel of bytes with count rows of activations: ref.MulBytes. dstStride is in bytes.")
	Pragma("noescape")
	k := &tileProduct{x: load("tiles"), count: load("count")}
	if local {
		k.local = AllocLocal(64 * tileRows) // more than a function that does not check its stack may have
	}
	eight, four, done := label("eight"), label("four"), label("end")
	top := label("tile")
	Label(top)
	CMPQ(k.count, Imm(8))
	JLE(LabelRef(eight))
	body(12, k)
	SUBQ(imm(12), k.count)
	JMP(LabelRef(top))
	Label(eight)
	CMPQ(k.count, Imm(4))
	JLE(LabelRef(four))
	body(8, k)
	JMP(LabelRef(done))
	Label(four)
	CMPQ(k.count, Imm(0))
	JLE(LabelRef(done))
	body(4, k)
	Label(done)
	ret()
}

// at returns the address of word i of a tile.
func (k *tileProduct) at(i int) Mem { return Mem{Base: k.x, Disp: 4 * i} }

// store writes the sums of as many rows as are left.
func (k *tileProduct) store(n int, sum func(t int) VecVirtual) {
	dst, stride, stored := load("dst"), load("dstStride"), label("stored")
	for t := range n {
		VMOVUPS(sum(t), Mem{Base: dst})
		ADDQ(stride, dst)
		if t < n-1 {
			CMPQ(k.count, Imm(uint64(t+1)))
			JLE(LabelRef(stored))
		}
	}
	Label(stored)
	Store(dst, Param("dst"))
}

// dots adds the products of lines of weights with words of the tile from pointer x on.
func dots(panel, x GPVirtual, lines int, sum []VecVirtual) {
	for i := range lines {
		w := ZMM()
		VMOVDQU32(Mem{Base: panel, Disp: 64 * i}, w)
		for t := range sum {
			VPDPBUSD_BCST(Mem{Base: x, Disp: 4 * (i*len(sum) + t)}, w, sum[t])
		}
	}
	ADDQ(imm(64*lines), panel)
	ADDQ(imm(4*lines*len(sum)), x)
}

// blocks multiplies n rows in blocks of 32. Of each block the tile holds n scales, n times -128 times the sum of quants,
// n sums as float32, then 8 times n words of quants.
func (k *tileProduct) blocks(n int, minima bool) {
	panel, d, blocks := load("panel"), load("d"), load("blocks")
	var m GPVirtual
	if minima {
		m = load("m")
	}
	acc := zmms(n)
	clearZ(acc...)
	q := GP64()
	loop(blocks, 1, func() {
		sum := zmms(n)
		for t := range sum {
			if minima {
				clearZ(sum[t])
			} else {
				VPBROADCASTD(k.at(n+t), sum[t])
			}
		}
		LEAQ(k.at(3*n), q)
		dots(panel, q, 8, sum)
		scale := ZMM()
		VMOVUPS(Mem{Base: d}, scale)
		ADDQ(imm(64), d)
		for t := range sum {
			both := ZMM()
			VMULPS_BCST(k.at(t), scale, both)
			VCVTDQ2PS(sum[t], sum[t])
			VFMADD231PS(sum[t], both, acc[t])
		}
		if minima {
			VMOVUPS(Mem{Base: m}, scale)
			ADDQ(imm(64), m)
			for t := range sum {
				both := ZMM()
				VMULPS_BCST(k.at(t), scale, both)
				VFMADD231PS_BCST(k.at(2*n+t), both, acc[t])
			}
		}
		MOVQ(q, k.x)
	})
	k.store(n, func(t int) VecVirtual { return acc[t] })
}

// Marks of super-blocks whose sums of products do not all fit 16 bits: ref.pairMark.
const (
	quiet16 = 1 << iota // of 16 weights from -32 to 31
	quiet32             // of 32 weights from 0 to 31
	quiet4              // of 32 weights from 0 to 15
)

// supers multiplies n rows in super-blocks of 256. Of each the tile holds n scales, 8 times n pairs of sums of 16 quants,
// 4 times n of sums of 32, 16 times n starts, n marks, then 64 times n words of quants. per is the number of weights that share a scale.
// Super-blocks without the mark are met in halves of words, two sums for each multiplication by scales. The float32 sums wait in L1.
func (k *tileProduct) supers(n, per, mark int, minima bool) {
	panel, blocks, scales, mins := load("panel"), load("blocks"), load("scales"), load("mins")
	d, q := load("d"), GP64()
	var m GPVirtual
	if minima {
		m = load("m")
	}
	none := ZMM()
	clearZ(none)
	for t := range n {
		VMOVUPS(none, k.local.Offset(64*t))
	}
	s := &superProduct{tileProduct: k, n: n, per: per, minima: minima, panel: panel, q: q, scales: scales, mins: mins}
	if mark > 0 {
		s.half, s.first = ZMM(), K()
		VPBROADCASTD(words("half", 0x8000), s.half)
		odd := GP32()
		MOVL(U32(0x55555555), odd)
		KMOVD(odd, s.first)
	}
	loop(blocks, 1, func() {
		total, sum := zmms(n), zmms(n)
		clearZ(total...)
		LEAQ(k.at(superWords*n), q)
		if mark == 0 {
			s.whole(total, sum)
		} else {
			loud, done := label("loud"), label("met")
			s.branch(mark, loud)
			s.paired(total, sum)
			JMP(LabelRef(done))
			Label(loud)
			s.whole(total, sum)
			Label(done)
		}
		if minima {
			clearZ(sum...)
			if per == 32 {
				k.pairs(mins, n, 9, 4, sum)
			} else {
				k.pairs(mins, n, 1, 8, sum)
			}
		}
		k.finish(d, m, total, sum)
		MOVQ(q, k.x)
	})
	k.store(n, func(t int) VecVirtual {
		v := ZMM()
		VMOVUPS(k.local.Offset(64*t), v)
		return v
	})
}

// superProduct is what the ways to meet a super-block share.
type superProduct struct {
	*tileProduct
	n, per                 int
	minima                 bool
	panel, q, scales, mins GPVirtual
	half                   VecVirtual // 0x8000
	first                  Register   // mask of the lower halves
}

// whole adds the integer products of a super-block to total, each sum multiplied by its scale as a word.
func (s *superProduct) whole(total, sum []VecVirtual) {
	subs := GP64()
	MOVQ(U32(256/s.per), subs)
	loop(subs, 1, func() {
		clearZ(sum...)
		dots(s.panel, s.q, s.per/4, sum)
		scale := ZMM()
		VPMOVSXBD(Mem{Base: s.scales}, scale)
		ADDQ(imm(s.per), s.scales)
		for t := range sum {
			VPMULLD(scale, sum[t], sum[t])
			VPADDD(sum[t], total[t], total[t])
		}
	})
	if !s.minima {
		s.pairs(s.mins, s.n, 1, 8, total)
	}
}

// branch jumps where one of the rows has the mark.
func (s *superProduct) branch(mark int, to string) {
	marks, has, found := ZMM(), K(), GP32()
	VPBROADCASTD(words(fmt.Sprintf("mark%d", mark), uint32(mark)), marks)
	VPTESTMD(s.at(superMarks*s.n), marks, has)
	KMOVW(has, found)
	TESTL(U32(1<<s.n-1), found)
	JNE(LabelRef(to))
}

// paired is whole for sums that fit 16 bits: two share a word, as ref.pairStarts says, so that one multiplication takes both.
func (s *superProduct) paired(total, sum []VecVirtual) {
	turns, starts := GP64(), GP64()
	if !s.minima {
		LEAQ(s.at(superStarts*s.n), starts)
		ADDQ(imm(512), s.mins)
	}
	MOVQ(U32(128/s.per), turns)
	loop(turns, 1, func() {
		if s.minima {
			clearZ(sum...)
		} else {
			for t := range sum {
				VPBROADCASTD(Mem{Base: starts, Disp: 4 * t}, sum[t])
			}
		}
		dots(s.panel, s.q, s.per/4, sum)
		for t := range sum { // not VPROLD, which takes turns with the products on Zen 4
			VPSLLD(Imm(16), sum[t], sum[t])
			if s.minima {
				VPORD(s.half, sum[t], sum[t])
			} else {
				VPADDD_BCST(Mem{Base: starts, Disp: 4 * (8*s.n + t)}, sum[t], sum[t])
			}
		}
		if !s.minima {
			ADDQ(imm(4*s.n), starts)
		}
		dots(s.panel, s.q, s.per/4, sum)
		scale, second := ZMM(), ZMM()
		VPMOVSXBD(Mem{Base: s.scales}, scale)
		VPMOVSXBD(Mem{Base: s.scales, Disp: s.per}, second)
		VPSLLD(Imm(16), scale, scale)
		VMOVDQU16(second, s.first, scale)
		ADDQ(imm(2*s.per), s.scales)
		for t := range sum {
			VPXORD(s.half, sum[t], sum[t])
			VPDPWSSD(sum[t], scale, total[t])
		}
	})
}

// pairs adds the products of lines of minima with pairs of sums of quants, which begin at a word of each row.
func (k *tileProduct) pairs(mins GPVirtual, n, word, lines int, sum []VecVirtual) {
	for i := range lines {
		line := ZMM()
		VMOVDQU32(Mem{Base: mins, Disp: 64 * i}, line)
		for t := range sum {
			VPDPWSSD_BCST(k.at((word+i)*n+t), line, sum[t])
		}
	}
	ADDQ(imm(64*lines), mins)
}

// finish adds integer sums times both scales to the float32 sums; with m, those of minima too.
func (k *tileProduct) finish(d, m GPVirtual, dots, mins []VecVirtual) {
	next := func(p GPVirtual) VecVirtual {
		scale := ZMM()
		VMOVUPS(Mem{Base: p}, scale)
		ADDQ(imm(64), p)
		return scale
	}
	scale, minScale := next(d), VecVirtual(nil)
	if m != nil {
		minScale = next(m)
	}
	for t := range dots {
		acc := ZMM()
		VMOVUPS(k.local.Offset(64*t), acc)
		add := func(sum, scale VecVirtual) {
			both := ZMM()
			VMULPS_BCST(k.at(t), scale, both)
			VCVTDQ2PS(sum, sum)
			VFMADD231PS(sum, both, acc)
		}
		add(dots[t], scale)
		if m != nil {
			add(mins[t], minScale)
		}
		VMOVUPS(acc, k.local.Offset(64*t))
	}
}
