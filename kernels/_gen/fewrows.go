package main

import (
	"fmt"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// fewRows writes the products of formats with a few rows of activations: sixteen rows of weights become lines in registers,
// as they would in a panel, and meet the words of all rows of activations there.
func fewRows() {
	for _, f := range byteFormats {
		if f.super {
			fewOfSupers(f, 4)
			fewOfSupers(f, 8)
		} else {
			fewOfBlocks(f, 4)
			fewOfBlocks(f, 8)
		}
	}
}

// narrowTile is ref.NarrowTileRows.
const narrowTile = 4

// fewFrame is what these kernels share. Tile i of four rows of activations is read from x[i].
type fewFrame struct {
	*sixteenRows
	x     []GPVirtual
	local Mem
}

// word returns the address of word i of row t of a tile whose words up to it are narrowTile times as many.
func (k *fewFrame) word(i, t int) Mem {
	return Mem{Base: k.x[t/narrowTile], Disp: 4 * (narrowTile*i + t%narrowTile)}
}

// emitFew writes a kernel for n rows. tileWords is how many words of a row a block has in a tile; with local memory the sums
// are there.
func emitFew(f byteFormat, n, tileWords, local int, setup func(k *fewFrame), block func(k *fewFrame, acc []VecVirtual)) {
	name := fmt.Sprintf("few%s", f.name)
	if n != narrowTile {
		name += fmt.Sprintf("x%d", n)
	}
	TEXT(name, 0, "func(dst *float32, dstStride int, w *byte, blocks int, tiles *int32, tileBytes, count int)")
	Doc(fmt.Sprintf("%s sets up to %d rows of dst, dstStride bytes apart, to the products of sixteen rows of weights with as many rows", name, n),
		"of activations: ref.RowsQuant. Tiles of four rows are tileBytes apart.")
	Pragma("noescape")
	k := &fewFrame{sixteenRows: newSixteenRows(f.blockBytes)}
	if local > 0 {
		k.local = AllocLocal(local)
	}
	k.spread()
	for i := range n / narrowTile {
		k.x = append(k.x, GP64())
		if i == 0 {
			Load(Param("tiles"), k.x[i])
			continue
		}
		Load(Param("tileBytes"), k.x[i])
		ADDQ(k.x[i-1], k.x[i])
	}
	blocks, ahead := GP64(), GP64()
	MOVQ(k.size, ahead)
	SHLQ(Imm(4), ahead) // the next group
	ADDQ(k.w[0], ahead)
	Load(Param("blocks"), blocks)
	setup(k)
	acc := zmms(n)
	clearZ(acc...)
	if local > 0 {
		for t := range acc {
			VMOVUPS(acc[t], k.local.Offset(64*t))
		}
	}
	loop(blocks, 1, func() {
		prefetchGroup(ahead, 16*f.blockBytes)
		block(k, acc)
		k.advance(f.blockBytes)
		for _, x := range k.x {
			ADDQ(imm(4*narrowTile*tileWords), x)
		}
	})
	dst, stride, count, stored := load("dst"), load("dstStride"), load("count"), label("stored")
	for t := range n {
		if local > 0 {
			VMOVUPS(k.local.Offset(64*t), acc[t])
		}
		VMOVUPS(acc[t], Mem{Base: dst})
		ADDQ(stride, dst)
		if t < n-1 {
			CMPQ(count, Imm(uint64(t+1)))
			JLE(LabelRef(stored))
		}
	}
	Label(stored)
	ret()
}

// fewOfBlocks: of each block a tile holds, for each row, its scale, -128 times the sum of quants, the sum as float32 and
// eight words of quants.
func fewOfBlocks(f byteFormat, n int) {
	var emit emitter
	setup := func(*fewFrame) {
		add := 0
		if !f.minima {
			add = 128 - f.offset
		}
		emit = f.setup(add)
	}
	emitFew(f, n, 11, 0, setup, func(k *fewFrame, acc []VecVirtual) {
		sum := zmms(n)
		for t := range sum {
			if f.minima {
				clearZ(sum[t])
			} else {
				VPBROADCASTD(k.word(1, t), sum[t])
			}
		}
		emit(k.sixteenRows, func(i int, v VecVirtual) {
			for t := range sum {
				VPDPBUSD_BCST(k.word(3+i, t), v, sum[t])
			}
		}, nil)
		d, m := f.scales(k.sixteenRows)
		finish := func(scale VecVirtual, t int, fma func(both VecVirtual)) {
			both := ZMM()
			VMULPS_BCST(k.word(0, t), scale, both)
			fma(both)
		}
		for t := range sum {
			finish(d, t, func(both VecVirtual) {
				VCVTDQ2PS(sum[t], sum[t])
				VFMADD231PS(sum[t], both, acc[t])
			})
		}
		if f.minima {
			for t := range acc {
				finish(m, t, func(both VecVirtual) { VFMADD231PS_BCST(k.word(2, t), both, acc[t]) })
			}
		}
	})
}

// fewOfSupers: of each super-block a tile holds, for each row, its scale, eight pairs of sums of 16 quants, four of sums of
// 32, and 64 words of quants. What is used once in a super-block waits in memory, which is the first-level cache.
func fewOfSupers(f byteFormat, n int) {
	const lines = 8 // of bits, parked
	var emit emitter
	var corrections, scale Mem
	emitFew(f, n, superTile, 64*(lines+2*n+2), func(k *fewFrame) {
		k.park = k.local
		k.local = k.local.Offset(64 * lines)
		corrections, scale = k.local.Offset(64*n), k.local.Offset(128*n)
		emit = f.setup(0)
	}, func(k *fewFrame, _ []VecVirtual) {
		s := f.superScales(k.sixteenRows)
		total := zmms(n)
		clearZ(total...)
		pairs, pairAt, first := s.pairs(f.offset)
		for i := range pairs {
			pair := pairAt(i)
			for t := range total {
				VPDPWSSD_BCST(k.word(first+i, t), pair, total[t])
			}
		}
		VMOVUPS(s.d, scale)
		if f.minima {
			VMOVUPS(s.m, scale.Offset(64))
		}
		if f.minima {
			for t := range total {
				VCVTDQ2PS(total[t], total[t])
				VMOVUPS(total[t], corrections.Offset(64*t))
				clearZ(total[t])
			}
		}
		per := 16
		if f.name != "Q2_K" && f.name != "Q3_K" && f.name != "Q6_K" {
			per = 32
		}
		var sum []VecVirtual
		emit(k.sixteenRows, func(i int, v VecVirtual) {
			if 4*i%per == 0 {
				sum = zmms(n)
				clearZ(sum...)
			}
			for t := range sum {
				VPDPBUSD_BCST(k.word(superWords+i, t), v, sum[t])
			}
		}, func(subs ...int) {
			scale := s.scale(subs[0])
			for t := range sum {
				VPMULLD(scale, sum[t], sum[t])
				VPADDD(sum[t], total[t], total[t])
			}
		})
		d, m := ZMM(), ZMM()
		VMOVUPS(scale, d)
		if f.minima {
			VMOVUPS(scale.Offset(64), m)
		}
		for t := range total {
			both, acc := ZMM(), ZMM()
			VMULPS_BCST(k.word(0, t), d, both)
			VCVTDQ2PS(total[t], total[t])
			VMOVUPS(k.local.Offset(64*t), acc)
			VFMADD231PS(total[t], both, acc)
			if f.minima {
				VMULPS_BCST(k.word(0, t), m, both)
				VFMADD231PS(corrections.Offset(64*t), both, acc)
			}
			VMOVUPS(acc, k.local.Offset(64*t))
		}
	})
}
