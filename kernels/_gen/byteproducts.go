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
// then 64 times n words of quants. per is the number of weights that share a scale. The float32 sums wait in L1.
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
		LEAQ(k.at(9*n), q)
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
			k.pairs(mins, n, total)
		}
		k.finish(d, total)
		if minima {
			clearZ(sum...)
			k.pairs(mins, n, sum)
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

// pairs adds the products of minima with sums of 16 quants.
func (k *tileProduct) pairs(mins GPVirtual, n int, sum []VecVirtual) {
	for i := range 8 {
		line := ZMM()
		VMOVDQU32(Mem{Base: mins, Disp: 64 * i}, line)
		for t := range sum {
			VPDPWSSD_BCST(k.at(n+i*n+t), line, sum[t])
		}
	}
	ADDQ(imm(512), mins)
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

// byteRows writes the products of formats with one row of activations: sixteen weight rows at a time in file order, lines
// of bytes in registers as in a panel.
func byteRows() {
	for _, f := range byteFormats {
		switch f.name {
		case "Q4_0", "Q4_1", "Q5_0", "Q5_1", "Q8_0", "IQ4_NL":
			rowsOfBlocks(f)
		case "Q4_K", "Q5_K", "Q6_K":
			rowsOfSupers(f)
		}
	}
}

// rowsFrame is what the row kernels share.
type rowsFrame struct {
	*sixteenRows
	q, scale, sums GPVirtual
}

func emitSixteen(f byteFormat, blockLen int, setup func(), block func(k *rowsFrame, acc VecVirtual)) {
	name := "rows" + f.name
	TEXT(name, NOSPLIT, "func(dst *float32, w *byte, groups, blocks int, q *int8, scale *float32, sums *int16)")
	Doc(fmt.Sprintf("%s sets dst to the products of 16*groups rows of weights with one row of activations: ref.RowsQuant.", name))
	Pragma("noescape")
	k := &rowsFrame{newSixteenRows(f.blockBytes), GP64(), GP64(), GP64()}
	dst, groups, count, ahead := load("dst"), load("groups"), GP64(), GP64()
	setup()
	acc := ZMM()
	loop(groups, 1, func() {
		k.spread()
		MOVQ(k.size, ahead)
		SHLQ(Imm(5), ahead) // the next group but one
		ADDQ(k.w[0], ahead)
		Load(Param("q"), k.q)
		Load(Param("scale"), k.scale)
		Load(Param("sums"), k.sums)
		Load(Param("blocks"), count)
		clearZ(acc)
		loop(count, 1, func() {
			prefetchGroup(ahead, 16*f.blockBytes)
			block(k, acc)
			k.advance(f.blockBytes)
			ADDQ(imm(blockLen), k.q)
			ADDQ(imm(4), k.scale)
			ADDQ(imm(blockLen/8), k.sums)
		})
		VMOVUPS(acc, Mem{Base: dst})
		ADDQ(imm(64), dst)
		// The last pointer stands at row 13 of this group: on to row 16.
		LEAQ(Mem{Base: k.w[3], Index: k.size3, Scale: 1}, k.w[0])
	})
	ret()
}

func rowsOfBlocks(f byteFormat) {
	var emit emitter
	factor := ZMM()
	setup := func() {
		emit = f.setup(0)
		value := uint16(1)
		if !f.minima {
			value = uint16(-f.offset)
		}
		VPBROADCASTD(words(fmt.Sprintf("factor%d", value), uint32(value)<<16|uint32(value)), factor)
	}
	emitSixteen(f, 32, setup, func(k *rowsFrame, acc VecVirtual) {
		start := ZMM()
		VPBROADCASTD(Mem{Base: k.sums}, start)
		VPMADDWD(factor, start, start)
		sum := ZMM()
		if f.minima {
			clearZ(sum)
		} else {
			VMOVDQU32(start, sum)
		}
		emit(k.sixteenRows, func(i int, v VecVirtual) { VPDPBUSD_BCST(Mem{Base: k.q, Disp: 4 * i}, v, sum) }, nil)
		d, m := f.scales(k.sixteenRows)
		dx := ZMM()
		VBROADCASTSS(Mem{Base: k.scale}, dx)
		VMULPS(dx, d, d)
		VCVTDQ2PS(sum, sum)
		VFMADD231PS(sum, d, acc)
		if f.minima {
			VMULPS(dx, m, m)
			VCVTDQ2PS(start, start)
			VFMADD231PS(start, m, acc)
		}
	})
}

func rowsOfSupers(f byteFormat) {
	var emit emitter
	emitSixteen(f, 256, func() { emit = f.setup(0) }, func(k *rowsFrame, acc VecVirtual) {
		var s *sixBits
		var six [4]VecVirtual
		total := ZMM()
		clearZ(total)
		if f.minima {
			s = newSixBits(k.sixteenRows)
			low := ZMM() // the sums of minima first, to be done with their registers; both additions wait for the end
			clearZ(low)
			for sub := range 8 {
				VPDPWSSD_BCST(Mem{Base: k.sums, Disp: 4 * sub}, s.minimum(sub), low)
			}
			VCVTDQ2PS(low, s.mins[0])
		} else {
			six = k.lines(192)
			for sub := range 8 {
				VPDPWSSD_BCST(Mem{Base: k.sums, Disp: 4 * sub}, signedPairs(six[sub/2], sub%2, f.offset), total)
			}
		}
		sums := map[int]VecVirtual{}
		per := 16
		if f.minima {
			per = 32
		}
		line := func(i int, v VecVirtual) {
			sub := 4 * i / per
			if sums[sub] == nil {
				sums[sub] = ZMM()
				clearZ(sums[sub])
			}
			VPDPBUSD_BCST(Mem{Base: k.q, Disp: 4 * i}, v, sums[sub])
		}
		emit(k.sixteenRows, line, func(subs ...int) {
			for _, sub := range subs {
				scale := VecVirtual(nil)
				if f.minima {
					sub /= 2
					scale = s.scale(sub)
				} else {
					scale = ZMM()
					VPSHUFB(within(fmt.Sprintf("top%d", sub%4), [4]int{none, none, none, sub % 4}), six[sub/4], scale)
					VPSRAD(Imm(24), scale, scale)
				}
				VPMULLD(scale, sums[sub], sums[sub])
				VPADDD(sums[sub], total, total)
			}
		})
		dx := ZMM()
		VBROADCASTSS(Mem{Base: k.scale}, dx)
		var d VecVirtual
		if f.minima {
			d = s.d
		} else {
			d = k.halves(208)
		}
		VMULPS(dx, d, d)
		VCVTDQ2PS(total, total)
		VFMADD231PS(total, d, acc)
		if f.minima {
			VMULPS(dx, s.m, s.m)
			VFMADD231PS(s.mins[0], s.m, acc)
		}
	})
}
