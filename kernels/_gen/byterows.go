package main

import (
	"fmt"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// byteRows writes the products of formats with one row of activations: sixteen weight rows at a time in file order, lines
// of bytes in registers as in a panel.
func byteRows() {
	for _, f := range byteFormats {
		if !f.super {
			rowsOfBlocks(f)
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
		SHLQ(Imm(4), ahead) // the next group
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
		s := f.superScales(k.sixteenRows)
		total, corrections := ZMM(), ZMM()
		clearZ(total)
		if f.minima {
			clearZ(corrections)
		} else {
			corrections = total
		}
		for i := range 8 {
			VPDPWSSD_BCST(Mem{Base: k.sums, Disp: 4 * i}, s.pair(i, f.offset), corrections)
		}
		sums := map[int]VecVirtual{}
		per := 16
		if f.name != "Q2_K" && f.name != "Q3_K" && f.name != "Q6_K" {
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
				sum := sums[sub*16/per]
				VPMULLD(s.scale(sub), sum, sum)
				VPADDD(sum, total, total)
			}
		})
		dx := ZMM()
		VBROADCASTSS(Mem{Base: k.scale}, dx)
		VMULPS(dx, s.d, s.d)
		VCVTDQ2PS(total, total)
		VFMADD231PS(total, s.d, acc)
		if f.minima {
			VMULPS(dx, s.m, s.m)
			VCVTDQ2PS(corrections, corrections)
			VFMADD231PS(corrections, s.m, acc)
		}
	})
}
