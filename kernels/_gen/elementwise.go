package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// elementwise writes what treats each element alone. Lengths are multiples of eight; rests are the reference's.
func elementwise() {
	addScaled()
	siluMul()
	rotate()
}

func addScaled() {
	TEXT("add", NOSPLIT, "func(dst, x *float32, n int)")
	Doc("add sets dst = dst + x for n elements: ref.Add.")
	Pragma("noescape")
	dst, x, n := load("dst"), load("x"), load("n")
	loop(n, 8, func() {
		v := YMM()
		VMOVUPS(Mem{Base: dst}, v)
		VADDPS(Mem{Base: x}, v, v)
		VMOVUPS(v, Mem{Base: dst})
		ADDQ(imm(32), dst)
		ADDQ(imm(32), x)
	})
	ret()

	TEXT("divide", NOSPLIT, "func(dst, x *float32, by float32, n int)")
	Doc("divide sets dst = x / by for n elements: ref.Divide.")
	Pragma("noescape")
	dst, x, n = load("dst"), load("x"), load("n")
	by := YMM()
	VBROADCASTSS(address("by"), by)
	loop(n, 8, func() {
		v := YMM()
		VMOVUPS(Mem{Base: x}, v)
		VDIVPS(by, v, v)
		VMOVUPS(v, Mem{Base: dst})
		ADDQ(imm(32), dst)
		ADDQ(imm(32), x)
	})
	ret()

	TEXT("scaleMul", NOSPLIT, "func(dst, x, weight *float32, r float32, n int)")
	Doc("scaleMul sets dst = x * r * weight for n elements: the second half of ref.RMSNorm.")
	Pragma("noescape")
	dst, x, n = load("dst"), load("x"), load("n")
	weight := load("weight")
	r := YMM()
	VBROADCASTSS(address("r"), r)
	loop(n, 8, func() {
		v := YMM()
		VMULPS(Mem{Base: x}, r, v)
		VMULPS(Mem{Base: weight}, v, v)
		VMOVUPS(v, Mem{Base: dst})
		ADDQ(imm(32), dst)
		ADDQ(imm(32), x)
		ADDQ(imm(32), weight)
	})
	ret()
}

// address returns the place of a parameter.
func address(name string) Mem {
	b, err := Param(name).Resolve()
	if err != nil {
		panic(err)
	}
	return b.Addr
}

// exp replaces each lane of x by its exponential, step by step as exact.Exp32 does.
func exp(x VecVirtual) {
	newExponential(0).of(x, true)
}

func siluMul() {
	TEXT("siluMul", NOSPLIT, "func(dst, gate, up *float32, n int)")
	Doc("siluMul sets dst = gate / (1 + exp(-gate)) * up for n elements: ref.SiluMul.")
	Pragma("noescape")
	dst, gate, up, n := load("dst"), load("gate"), load("up"), load("n")
	loop(n, 8, func() {
		g, e := YMM(), YMM()
		VMOVUPS(Mem{Base: gate}, g)
		VXORPS(words("signs", 0x80000000), g, e)
		exp(e)
		VADDPS(floats("one", 1), e, e)
		VDIVPS(e, g, g)
		VMULPS(Mem{Base: up}, g, g)
		VMOVUPS(g, Mem{Base: dst})
		ADDQ(imm(32), dst)
		ADDQ(imm(32), gate)
		ADDQ(imm(32), up)
	})
	ret()
}

func rotate() {
	TEXT("rotateHalves", NOSPLIT, "func(x, cos, sin *float32, n int)")
	Doc("rotateHalves turns the pairs (k, n+k) of a head, n a multiple of eight: ref.RotateHalves.")
	Pragma("noescape")
	x, cos, sin, n := load("x"), load("cos"), load("sin"), load("n")
	second := GP64()
	LEAQ(Mem{Base: x, Index: n, Scale: 4}, second)
	loop(n, 8, func() {
		x0, x1, c, s := YMM(), YMM(), YMM(), YMM()
		VMOVUPS(Mem{Base: x}, x0)
		VMOVUPS(Mem{Base: second}, x1)
		VMOVUPS(Mem{Base: cos}, c)
		VMOVUPS(Mem{Base: sin}, s)
		y0, y1 := YMM(), YMM()
		VMULPS(c, x0, y0)
		VMULPS(s, x0, y1)
		VMULPS(s, x1, s)
		VMULPS(c, x1, c)
		VSUBPS(s, y0, y0)
		VADDPS(c, y1, y1)
		VMOVUPS(y0, Mem{Base: x})
		VMOVUPS(y1, Mem{Base: second})
		for _, p := range []Register{x, second, cos, sin} {
			ADDQ(imm(32), p)
		}
	})
	ret()

	TEXT("rotateAdjacent", NOSPLIT, "func(x, cos, sin *float32, n int)")
	Doc("rotateAdjacent turns the n pairs (2k, 2k+1) of a head, n a multiple of four: ref.RotateAdjacent.")
	Pragma("noescape")
	x, cos, sin, n = load("x"), load("cos"), load("sin"), load("n")
	twice := YMM()
	doubled := GLOBL("doubled", RODATA|NOPTR)
	for i, v := range []uint32{0, 0, 1, 1, 2, 2, 3, 3} {
		DATA(4*i, U32(v))
	}
	VMOVDQU(doubled, twice)
	loop(n, 4, func() {
		v, swapped, c, s := YMM(), YMM(), YMM(), YMM()
		VMOVUPS(Mem{Base: x}, v)
		VMOVUPS(Mem{Base: cos}, c.AsX())
		VMOVUPS(Mem{Base: sin}, s.AsX())
		VPERMPS(c, twice, c)
		VPERMPS(s, twice, s)
		VPERMILPS(Imm(0xb1), v, swapped)
		VMULPS(c, v, v)
		VMULPS(s, swapped, swapped)
		VADDSUBPS(swapped, v, v) // even elements less, odd elements plus
		VMOVUPS(v, Mem{Base: x})
		ADDQ(imm(32), x)
		ADDQ(imm(16), cos)
		ADDQ(imm(16), sin)
	})
	ret()
}
