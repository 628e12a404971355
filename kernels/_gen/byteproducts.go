package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// byteProducts writes what multiplies a panel of sixteen rows of bytes with tiles of up to twelve rows of activations.
// Lane = weight row; each line of weights is loaded once and meets the broadcast words of all rows of the tile.
func byteProducts() {
	mulBytes("mulBytes", false, func(n int, k *tileProduct) { k.blocks(n, false) })
	mulBytes("mulBytesMinima", false, func(n int, k *tileProduct) { k.blocks(n, true) })
	mulBytes("mulSupers", true, func(n int, k *tileProduct) { k.supers(n, 16, false) })
	mulBytes("mulSupersMinima", true, func(n int, k *tileProduct) { k.supers(n, 16, true) })
	mulBytes("mulSupersMinima32", true, func(n int, k *tileProduct) { k.supers(n, 32, true) })
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

// supers multiplies n rows in super-blocks of 256. Of each the tile holds n scales, 8 times n pairs of sums of 16 quants,
// 4 times n of sums of 32, then 64 times n words of quants. per is the number of weights that share a scale. The float32 sums wait in L1.
func (k *tileProduct) supers(n, per int, minima bool) {
	panel, blocks, scales, mins := load("panel"), load("blocks"), load("scales"), load("mins")
	d, q, subs := load("d"), GP64(), GP64()
	var m GPVirtual
	if minima {
		m = load("m")
	}
	none := ZMM()
	clearZ(none)
	for t := range n {
		VMOVUPS(none, k.local.Offset(64*t))
	}
	loop(blocks, 1, func() {
		total, sum := zmms(n), zmms(n)
		clearZ(total...)
		LEAQ(k.at(superWords*n), q)
		MOVQ(U32(256/per), subs)
		loop(subs, 1, func() {
			clearZ(sum...)
			dots(panel, q, per/4, sum)
			scale := ZMM()
			VPMOVSXBD(Mem{Base: scales}, scale)
			ADDQ(imm(per), scales)
			for t := range sum {
				VPMULLD(scale, sum[t], sum[t])
				VPADDD(sum[t], total[t], total[t])
			}
		})
		if !minima {
			k.pairs(mins, n, 1, 8, total)
		}
		k.finish(d, total)
		if minima {
			clearZ(sum...)
			if per == 32 {
				k.pairs(mins, n, 9, 4, sum)
			} else {
				k.pairs(mins, n, 1, 8, sum)
			}
			k.finish(m, sum)
		}
		MOVQ(q, k.x)
	})
	k.store(n, func(t int) VecVirtual {
		v := ZMM()
		VMOVUPS(k.local.Offset(64*t), v)
		return v
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

// finish adds integer sums times both scales to the float32 sums.
func (k *tileProduct) finish(scales GPVirtual, sum []VecVirtual) {
	scale := ZMM()
	VMOVUPS(Mem{Base: scales}, scale)
	ADDQ(imm(64), scales)
	for t := range sum {
		both, acc := ZMM(), ZMM()
		VMULPS_BCST(k.at(t), scale, both)
		VCVTDQ2PS(sum[t], sum[t])
		VMOVUPS(k.local.Offset(64*t), acc)
		VFMADD231PS(sum[t], both, acc)
		VMOVUPS(acc, k.local.Offset(64*t))
	}
}
