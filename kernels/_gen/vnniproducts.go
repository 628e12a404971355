package main

import (
	"fmt"

	. "github.com/mmcloughlin/avo/build"
	"github.com/mmcloughlin/avo/ir"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// vnniProducts writes what fourProducts does for processors with AVX-VNNI: VPDPBUSD adds four products of bytes to a lane
// of 32 bits and never saturates, so that signed bytes serve too, 128 added.
//
// Go's assembler knows the EVEX form of these instructions alone, which wants AVX-512. So they are written as bytes, and
// registers are chosen here, not by avo. With evex the instructions are written by name instead: the same kernels for a
// processor that has AVX-512 but not AVX-VNNI, to test the arithmetic on.
func vnniProducts(evex bool) {
	v := vnni{evex: evex}
	v.mul("mulBytes", func(k *vnniProduct) { k.blocks(16, false) })
	v.mul("mulBytes128", func(k *vnniProduct) { k.blocks(128, false) })
	v.mul("mulBytesMinima", func(k *vnniProduct) { k.blocks(0, true) })
	v.mul("mulSupers", func(k *vnniProduct) { k.supers(4, 32, false) })
	v.mul("mulSupers128", func(k *vnniProduct) { k.supers(8, 128, false) })
	v.mul("mulSupersMinima", func(k *vnniProduct) { k.supers(4, 0, true) })
	v.mul("mulSupersMinima32", func(k *vnniProduct) { k.supers(8, 0, true) })
	v.limitDots()
}

type vnni struct{ evex bool }

// The registers: two sums of each of four rows, two of weights or scales, some for what is met.
var (
	vnniSums    = [tokens][2]VecPhysical{{Y0, Y1}, {Y2, Y3}, {Y4, Y5}, {Y6, Y7}}
	vnniWeights = [2]VecPhysical{Y8, Y9}
	vnniWords   = [tokens]VecPhysical{Y10, Y11, Y12, Y13}
)

// opcodes of the two instructions.
const (
	vpdpbusd = 0x50
	vpdpwssd = 0x52
)

// vexBytes returns VEX.256.66.0F38.W0 opcode with three registers: sum gets the products of a with b.
func vexBytes(opcode, b, a, sum uint8) [5]uint8 {
	return [5]uint8{
		0xc4,
		(^sum&8)<<4 | 0x40 | (^b&8)<<2 | 0x02,
		(^a&15)<<3 | 0x05,
		opcode,
		0xc0 | sum&7<<3 | b&7,
	}
}

// dot writes VPDPBUSD (a unsigned, b signed) or VPDPWSSD.
func (v vnni) dot(opcode uint8, b, a, sum VecPhysical) {
	if v.evex {
		if opcode == vpdpbusd {
			VPDPBUSD(b, a, sum)
		} else {
			VPDPWSSD(b, a, sum)
		}
		return
	}
	name := map[uint8]string{vpdpbusd: "VPDPBUSD", vpdpwssd: "VPDPWSSD"}[opcode]
	Comment(fmt.Sprintf("%s %s, %s, %s", name, b.Asm(), a.Asm(), sum.Asm()))
	number := func(r VecPhysical) uint8 { return uint8(r.PhysicalIndex()) }
	for _, code := range vexBytes(opcode, number(b), number(a), number(sum)) {
		Instruction(&ir.Instruction{Opcode: "BYTE", Operands: []Op{U8(code)}})
	}
}

// vnniProduct is the frame of a product with one tile of four rows.
type vnniProduct struct {
	vnni
	x     GPVirtual
	local Mem // float32 sums, then 32-bit integer sums of super-blocks
}

func (v vnni) mul(name string, body func(k *vnniProduct)) {
	TEXT(name, 0, "func(dst *float32, dstStride int, panel *uint8, pairs, mins *int16, d, m *float32, blocks int, tiles *int32, count int)")
	Doc(name + " multiplies a panel of bytes with count rows of activations: ref.MulBytes. dstStride is in bytes.")
	Pragma("noescape")
	k := &vnniProduct{vnni: v, x: load("tiles"), local: AllocLocal(2 * 64 * tokens)}
	top, done := label("tile"), label("end")
	Label(top)
	VXORPS(Y15, Y15, Y15)
	for i := range 2 * tokens {
		VMOVUPS(Y15, k.local.Offset(32*i))
	}
	body(k)
	dst, stride, left := load("dst"), load("dstStride"), load("count")
	for t := range tokens {
		for h := range 2 {
			VMOVUPS(k.sum(t, h), Y15)
			VMOVUPS(Y15, Mem{Base: dst, Disp: 32 * h})
		}
		ADDQ(stride, dst)
		SUBQ(imm(1), left)
		JZ(LabelRef(done))
	}
	Store(dst, Param("dst"))
	Store(left, Param("count"))
	JMP(LabelRef(top))
	Label(done)
	ret()
}

// sum and total are where float32 and integer sums wait.
func (k *vnniProduct) sum(t, h int) Mem   { return k.local.Offset(64*t + 32*h) }
func (k *vnniProduct) total(t, h int) Mem { return k.local.Offset(64*(tokens+t) + 32*h) }

// start sets the sums to -offset times the sums of quants, of which words pairs lie at p.
func (k *vnniProduct) start(p GPVirtual, disp, pairs, offset int) {
	for t, sums := range vnniSums {
		if offset == 0 {
			VPXOR(sums[0], sums[0], sums[0])
			VPXOR(sums[1], sums[1], sums[1])
			continue
		}
		factor := words(fmt.Sprintf("minus%d", offset), uint32(uint16(-offset))*0x10001)
		for i := range pairs {
			to := sums[i]
			VPBROADCASTD(Mem{Base: p, Disp: disp + 16*i + 4*t}, to)
			VPMADDWD(factor, to, to)
		}
		if pairs == 2 {
			VPADDD(sums[1], sums[0], sums[0])
		}
		VMOVDQA(sums[0], sums[1])
	}
}

// dots adds products of lines of the panel with words of the tile.
func (k *vnniProduct) dots(opcode uint8, panel, x GPVirtual, disp, lines int) {
	for i := range lines {
		for h, w := range vnniWeights {
			VMOVDQU(Mem{Base: panel, Disp: 64*i + 32*h}, w)
		}
		for t, sums := range vnniSums {
			word := vnniWords[t]
			VPBROADCASTD(Mem{Base: x, Disp: disp + 16*i + 4*t}, word)
			for h, w := range vnniWeights {
				k.dot(opcode, word, w, sums[h])
			}
		}
	}
	ADDQ(imm(64*lines), panel)
}

// finish adds sums times both scales to the float32 sums.
func (k *vnniProduct) finish(scales, dx GPVirtual, convert bool) {
	for h, w := range vnniWeights {
		VMOVUPS(Mem{Base: scales, Disp: 32 * h}, w)
	}
	ADDQ(imm(64), scales)
	for t, sums := range vnniSums {
		VBROADCASTSS(Mem{Base: dx, Disp: 4 * t}, Y10)
		for h, sum := range sums {
			VMULPS(Y10, vnniWeights[h], Y11)
			if convert {
				VCVTDQ2PS(sum, sum)
			}
			VMOVUPS(k.sum(t, h), Y12)
			VFMADD231PS(sum, Y11, Y12)
			VMOVUPS(Y12, k.sum(t, h))
		}
	}
}

// blocks multiplies in blocks of 32; the tile is that of fourProduct.blocks.
func (k *vnniProduct) blocks(offset int, minima bool) {
	panel, d, m, blocks := load("panel"), load("d"), load("m"), load("blocks")
	loop(blocks, 1, func() {
		k.start(k.x, 16, 1, offset)
		k.dots(vpdpbusd, panel, k.x, 48, 8)
		k.finish(d, k.x, true)
		if minima {
			for t, sums := range vnniSums {
				VBROADCASTSS(Mem{Base: k.x, Disp: 32 + 4*t}, sums[0])
				VMOVAPS(sums[0], sums[1])
			}
			k.finish(m, k.x, false)
		}
		ADDQ(imm(16*11), k.x)
	})
}

// supers multiplies in super-blocks of 256, of which lines share a scale; the tile is that of fourProduct.supers.
func (k *vnniProduct) supers(lines, offset int, minima bool) {
	panel, d, blocks, pairs := load("panel"), load("d"), load("blocks"), load("pairs")
	mins, m, head, inside, subs := load("mins"), load("m"), GP64(), GP64(), GP64()
	loop(blocks, 1, func() {
		MOVQ(k.x, head)
		LEAQ(Mem{Base: head, Disp: 16 * 9}, inside)
		VPXOR(Y15, Y15, Y15)
		for i := range 2 * tokens {
			VMOVDQU(Y15, k.total(0, i))
		}
		MOVQ(U32(64/lines), subs)
		loop(subs, 1, func() {
			k.start(inside, 0, lines/4, offset)
			k.dots(vpdpbusd, panel, k.x, 16*25, lines)
			for h, scale := range vnniWeights {
				VMOVDQU(Mem{Base: pairs, Disp: 32 * h}, scale)
				VPSRAD(Imm(16), scale, scale)
			}
			for t, sums := range vnniSums {
				for h, sum := range sums {
					VPMULLD(vnniWeights[h], sum, sum)
					VPADDD(k.total(t, h), sum, sum)
					VMOVDQU(sum, k.total(t, h))
				}
			}
			ADDQ(imm(16*lines/4), inside)
			ADDQ(imm(64), pairs)
			ADDQ(imm(16*lines), k.x)
		})
		for t, sums := range vnniSums {
			for h, sum := range sums {
				VMOVDQU(k.total(t, h), sum)
			}
		}
		k.finish(d, head, true)
		if lines == 8 {
			ADDQ(imm(512), pairs) // the panel has room for sixteen
		}
		if minima {
			k.start(head, 0, 1, 0)
			k.dots(vpdpwssd, mins, head, 16, 8)
			k.finish(m, head, true)
		}
		ADDQ(imm(16*29), k.x)
	})
}

// limitDots is limitDots of level avx512 for this one.
func (v vnni) limitDots() {
	TEXT("limitBytes", NOSPLIT, "func(turns int)")
	Doc("limitBytes does turns times 384 multiply-adds of bytes in registers.")
	turns := load("turns")
	sums := []VecPhysical{Y0, Y1, Y2, Y3, Y4, Y5, Y6, Y7, Y8, Y9, Y10, Y11}
	for _, sum := range sums {
		VPXOR(sum, sum, sum)
	}
	VMOVDQU(words("limitDots3", 0x03030303), Y12)
	loop(turns, 1, func() {
		for _, sum := range sums {
			v.dot(vpdpbusd, Y12, Y12, sum)
		}
	})
	ret()
}
