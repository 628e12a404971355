package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// wideFloats is mulFloats for 512 bits: four weight rows and six rows of activations at a time, the sixteen lanes of a sum in
// one register.
func wideFloats() {
	TEXT("mulFloats", NOSPLIT, "func(dst *float32, dstStride int, w *float32, rows int, x *float32, cols, count int)")
	Doc("mulFloats multiplies rows rows of weights, a multiple of four, with count rows of activations, all of cols columns, a",
		"multiple of sixteen: ref.MulFloats. dstStride is in bytes.")
	Pragma("noescape")
	x, count := load("x"), load("count")
	for _, n := range []int{6, 2, 1} {
		loop(count, n, func() { wideFloatsBody(x, n) })
	}
	ret()
}

func wideFloatsBody(x GPVirtual, n int) {
	w, rows, size, size3 := load("w"), load("rows"), load("cols"), GP64()
	out, dstStride := load("dst"), load("dstStride")
	SHLQ(Imm(2), size)
	LEAQ(Mem{Base: size, Index: size, Scale: 2}, size3)
	weights := &fourRows{wide: true, w: w, size: size, size3: size3}
	loop(rows, 4, func() {
		at, at3, left := GP64(), GP64(), load("cols")
		MOVQ(x, at)
		LEAQ(Mem{Base: x, Index: size3, Scale: 1}, at3)
		acc := zmms(4 * n)
		clearZ(acc...)
		loop(left, 16, func() {
			a := zmms(4)
			for r := range a {
				VMOVUPS(weights.at(r, 0), a[r])
			}
			for t := range n {
				from := Mem{Base: at}
				if t >= 3 {
					from.Base = at3
				}
				if t%3 > 0 {
					from.Index, from.Scale = size, uint8(t%3)
				}
				v := ZMM()
				VMOVUPS(from, v)
				for r := range a {
					VFMADD231PS(v, a[r], acc[4*t+r])
				}
			}
			ADDQ(imm(64), at)
			ADDQ(imm(64), at3)
			ADDQ(imm(64), w)
		})
		to := GP64()
		MOVQ(out, to)
		for t := range n {
			for r := range 4 {
				low, high, upper := acc[4*t+r], YMM(), XMM()
				VEXTRACTF64X4(Imm(1), low, high)
				VADDPS(high, low.AsY(), low.AsY())      // i and i+8
				VEXTRACTF32X4(Imm(1), low.AsY(), upper) // reaches all 32 registers, unlike VEXTRACTF128
				VMOVSS(lastLanes(low.AsX(), upper), Mem{Base: to, Disp: 4 * r})
			}
			ADDQ(dstStride, to)
		}
		ADDQ(size3, w)
		ADDQ(imm(16), out)
	})
	dst := load("dst")
	for range n {
		ADDQ(dstStride, dst)
		ADDQ(size, x)
	}
	Store(dst, Param("dst"))
}
