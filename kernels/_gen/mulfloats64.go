package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// mulFloats64 writes the product of float32 rows summed in float64, whose four lanes are one register: four or one of x with two or one of
// w, so that of eight sums none waits for itself. Both stay float32 in memory: half the bytes, and converting them as they are
// loaded costs six instructions for eight of FMA.
func mulFloats64() {
	TEXT("mulFloats64", NOSPLIT, "func(dst *float64, dstStride int, w *float32, rows int, x *float32, cols, count int)")
	Doc("mulFloats64 multiplies rows rows of w with count rows of x, all of cols columns, a multiple of four: ref.MulFloats64.",
		"dstStride is in bytes.")
	Pragma("noescape")
	x, count, dst := load("x"), load("count"), load("dst")
	for _, n := range []int{4, 1} {
		loop(count, n, func() {
			w, rows, out := load("w"), load("rows"), GP64()
			MOVQ(dst, out)
			for _, m := range []int{2, 1} {
				loop(rows, m, func() { mulFloats64Tile(w, x, out, m, n) })
			}
			size, stride := load("cols"), load("dstStride")
			SHLQ(Imm(2), size)
			for range n {
				ADDQ(size, x)
				ADDQ(stride, dst)
			}
		})
	}
	ret()
}

// mulFloats64Tile multiplies m rows at w with n at x, and moves w and out behind them.
func mulFloats64Tile(w, x, out GPVirtual, m, n int) {
	size, size3, at, count := load("cols"), GP64(), GP64(), load("cols")
	SHLQ(Imm(2), size)
	LEAQ(Mem{Base: size, Index: size, Scale: 2}, size3)
	MOVQ(x, at)
	acc := make([][]VecVirtual, n)
	for t := range acc {
		acc[t] = ymms(m)
		zero(acc[t]...)
	}
	loop(count, 4, func() {
		a := ymms(m)
		for r := range a {
			VCVTPS2PD(token(w, size, size3, r, 0), a[r])
		}
		for t := range acc {
			v := YMM()
			VCVTPS2PD(token(at, size, size3, t, 0), v)
			for r := range a {
				VFMADD231PD(a[r], v, acc[t][r])
			}
		}
		ADDQ(imm(16), w)
		ADDQ(imm(16), at)
	})
	if m == 2 {
		ADDQ(size, w)
	}
	stride, stride3 := load("dstStride"), GP64()
	LEAQ(Mem{Base: stride, Index: stride, Scale: 2}, stride3)
	for t := range acc {
		for r, sum := range acc[t] {
			// The lanes are added from the left.
			low, upper, second := sum.AsX(), XMM(), XMM()
			VEXTRACTF128(Imm(1), sum, upper)
			VUNPCKHPD(low, low, second)
			VADDSD(second, low, low)
			VADDSD(upper, low, low)
			VUNPCKHPD(upper, upper, second)
			VADDSD(second, low, low)
			VMOVSD(low, token(out, stride, stride3, t, 8*r))
		}
	}
	ADDQ(imm(8*m), out)
}
