package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// mulFloats writes the product of float32 rows with many rows of activations: two weight rows and three rows of
// activations at a time, sixteen lanes of each sum in two registers.
func mulFloats() {
	TEXT("mulFloats", NOSPLIT, "func(dst *float32, dstStride int, w *float32, rows int, x *float32, cols, count int)")
	Doc("mulFloats multiplies rows rows of weights, an even number, with count rows of activations, all of cols columns, a",
		"multiple of sixteen: ref.MulFloats. dstStride is in bytes.")
	Pragma("noescape")
	x, count := load("x"), load("count")
	loop(count, 3, func() { mulFloatsBody(x, 3) })
	loop(count, 1, func() { mulFloatsBody(x, 1) })
	ret()
}

func mulFloatsBody(x GPVirtual, n int) {
	w, rows, size := load("w"), load("rows"), load("cols")
	out := load("dst")
	dstStride := load("dstStride")
	SHLQ(Imm(2), size)
	loop(rows, 2, func() {
		at, count := GP64(), load("cols")
		MOVQ(x, at)
		var acc [2][3][2]VecVirtual
		for r := range 2 {
			for t := range n {
				acc[r][t] = [2]VecVirtual{YMM(), YMM()}
				zero(acc[r][t][:]...)
			}
		}
		loop(count, 16, func() {
			for half := range 2 {
				a := ymms(2)
				VMOVUPS(Mem{Base: w, Disp: 32 * half}, a[0])
				VMOVUPS(Mem{Base: w, Index: size, Scale: 1, Disp: 32 * half}, a[1])
				for t := range n {
					v := YMM()
					VMOVUPS(token(at, size, size, t, 32*half), v)
					VFMADD231PS(v, a[0], acc[0][t][half])
					VFMADD231PS(v, a[1], acc[1][t][half])
				}
			}
			ADDQ(imm(64), at)
			ADDQ(imm(64), w)
		})
		for t := range n {
			for r := range 2 {
				sum := horizontal(acc[r][t][0], acc[r][t][1]).(VecVirtual)
				VMOVSS(sum, token(out, dstStride, dstStride, t, 4*r))
			}
		}
		ADDQ(size, w)
		ADDQ(imm(8), out)
	})
	dst := load("dst")
	for range n {
		ADDQ(dstStride, dst)
		ADDQ(size, x)
	}
	Store(dst, Param("dst"))
}
