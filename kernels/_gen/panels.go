package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// tokens is the number of rows of activations that a panel product holds in registers, beside sixteen weight rows.
const tokens = 4

// token returns the address of byte disp of the activations of token t.
func token(base, stride, stride3 GPVirtual, t, disp int) Mem {
	m := Mem{Base: base, Disp: disp}
	switch t {
	case 1:
		m.Index, m.Scale = stride, 1
	case 2:
		m.Index, m.Scale = stride, 2
	case 3:
		m.Index, m.Scale = stride3, 1
	}
	return m
}

// emitFinish converts the integer sums of a block, scales them and adds them to the float32 accumulators.
func emitFinish(acc [][2]VecVirtual, local Mem, scales GPVirtual, dx func(t int) Mem) {
	d := ymms(2)
	VMOVUPS(Mem{Base: scales}, d[0])
	VMOVUPS(Mem{Base: scales, Disp: 32}, d[1])
	for t, halves := range acc {
		x := YMM()
		VBROADCASTSS(dx(t), x)
		for h, sum := range halves {
			both, total := YMM(), YMM()
			VMULPS(x, d[h], both)
			VCVTDQ2PS(sum, sum)
			VMOVUPS(local.Offset(64*t+32*h), total)
			VFMADD231PS(sum, both, total)
			VMOVUPS(total, local.Offset(64*t+32*h))
		}
	}
}

// emitStore writes the accumulators of n tokens to dst, whose place is kept in the parameter.
func emitStore(local Mem, n int) {
	dst, stride := load("dst"), load("dstStride")
	for t := range n {
		for h := range 2 {
			v := YMM()
			VMOVUPS(local.Offset(64*t+32*h), v)
			VMOVUPS(v, Mem{Base: dst, Disp: 32 * h})
		}
		ADDQ(stride, dst)
	}
	Store(dst, Param("dst"))
}

// mulWide writes the product of a panel of 16-bit weights: each line holds two consecutive inputs of sixteen rows. Sums
// are exact in 32 bits for every format; it serves those whose weights fill a signed byte.
func mulWide() {
	TEXT("mulWide", NOSPLIT, "func(dst *float32, dstStride int, panel *int16, d *float32, blocks, blockLen int, x *int16, scale *float32, count int)")
	Doc("mulWide multiplies a panel of 16-bit weights with count rows of activations: ref.MulPanel. dstStride is in bytes.")
	Pragma("noescape")
	local := AllocLocal(64 * tokens)
	x, scale, count := load("x"), load("scale"), load("count")
	loop(count, tokens, func() { mulWideBody(local, x, scale, tokens) })
	loop(count, 1, func() { mulWideBody(local, x, scale, 1) })
	ret()
}

func mulWideBody(local Mem, x, scale GPVirtual, n int) {
	for i := range 2 * n {
		z := YMM()
		zero(z)
		VMOVUPS(z, local.Offset(32*i))
	}
	panel, d, blocks, pairs := load("panel"), load("d"), load("blocks"), GP64()
	stride, stride3, scaleStride, scaleStride3 := load("blockLen"), GP64(), GP64(), GP64()
	IMULQ(blocks, stride)
	SHLQ(Imm(1), stride)
	LEAQ(Mem{Base: stride, Index: stride, Scale: 2}, stride3)
	MOVQ(blocks, scaleStride)
	SHLQ(Imm(2), scaleStride)
	LEAQ(Mem{Base: scaleStride, Index: scaleStride, Scale: 2}, scaleStride3)
	loop(blocks, 1, func() {
		acc := make([][2]VecVirtual, n)
		for t := range acc {
			acc[t] = [2]VecVirtual{YMM(), YMM()}
			zero(acc[t][:]...)
		}
		Load(Param("blockLen"), pairs)
		loop(pairs, 32, func() {
			for i := range 16 {
				pairLine(i, panel, x, stride, stride3, acc)
			}
			ADDQ(imm(1024), panel)
			ADDQ(imm(64), x)
		})
		dx := func(t int) Mem { return token(scale, scaleStride, scaleStride3, t, 0) }
		emitFinish(acc, local, d, dx)
		ADDQ(imm(64), d)
		ADDQ(imm(4), scale)
	})
	emitStore(local, n)
	// The pointers stand at token 1: on to token n.
	for range n - 1 {
		ADDQ(stride, x)
		ADDQ(scaleStride, scale)
	}
}

// pairLine adds the products of line i of a panel with pair i of the activations to the integer sums.
func pairLine(i int, panel, x, stride, stride3 GPVirtual, acc [][2]VecVirtual) {
	w := ymms(2)
	VMOVDQU(Mem{Base: panel, Disp: 64 * i}, w[0])
	VMOVDQU(Mem{Base: panel, Disp: 64*i + 32}, w[1])
	for t := range acc {
		v, product := YMM(), YMM()
		VPBROADCASTD(token(x, stride, stride3, t, 4*i), v)
		VPMADDWD(v, w[0], product)
		VPADDD(product, acc[t][0], acc[t][0])
		VPMADDWD(v, w[1], v)
		VPADDD(v, acc[t][1], acc[t][1])
	}
}
