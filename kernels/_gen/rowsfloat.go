package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// rowsFloat writes the products of float weights with a single row of activations: four weight rows at a time, sixteen
// lanes of each in two registers.
func rowsFloat() {
	rowsOf("rowsF32", 4, func(src Mem, dst VecVirtual) { VMOVUPS(src, dst) })
	rowsOf("rowsF16", 2, func(src Mem, dst VecVirtual) { VCVTPH2PS(src, dst) })
	rowsOf("rowsBF16", 2, func(src Mem, dst VecVirtual) {
		VPMOVZXWD(src, dst)
		VPSLLD(Imm(16), dst, dst)
	})
}

// rowsOf writes the kernel of one float type. read loads eight weights.
func rowsOf(name string, size int, read func(src Mem, dst VecVirtual)) {
	TEXT(name, NOSPLIT, "func(dst *float32, w *byte, rows, cols int, x *float32, mask *int32)")
	Doc(name+" sets dst to the products of rows rows of weights with x: ref.RowsFloat. mask selects the last cols%16",
		"columns, which only float32 weights may have.")
	Pragma("noescape")
	dst, w, rows, cols := load("dst"), load("w"), load("rows"), load("cols")
	stride := GP64()
	MOVQ(cols, stride)
	IMUL3Q(imm(size), stride, stride)
	loop(rows, 4, func() {
		emitRowsOf(size, 4, dst, w, cols, stride, read, nil)
		LEAQ(Mem{Base: w, Index: stride, Scale: 4}, w)
	})
	loop(rows, 1, func() {
		emitRowsOf(size, 1, dst, w, cols, stride, read, nil)
		ADDQ(stride, w)
	})
	ret()
}

// emitRowsOf multiplies n rows, 1 or 4. ahead, if any, is called for each sixteen columns of them.
func emitRowsOf(size, n int, dst, w, cols, stride GPVirtual, read func(src Mem, dst VecVirtual), ahead func()) {
	x, at, count, stride3 := load("x"), GP64(), GP64(), GP64()
	MOVQ(w, at)
	LEAQ(Mem{Base: stride, Index: stride, Scale: 2}, stride3)
	row := func(r, disp int) Mem {
		return [4]Mem{
			{Base: at, Disp: disp}, {Base: at, Index: stride, Scale: 1, Disp: disp},
			{Base: at, Index: stride, Scale: 2, Disp: disp}, {Base: at, Index: stride3, Scale: 1, Disp: disp},
		}[r]
	}
	low, high := ymms(n), ymms(n)
	zero(low...)
	zero(high...)
	MOVQ(cols, count)
	loop(count, 16, func() {
		if ahead != nil {
			ahead()
		}
		xLow, xHigh := YMM(), YMM()
		VMOVUPS(Mem{Base: x}, xLow)
		VMOVUPS(Mem{Base: x, Disp: 32}, xHigh)
		for r := range n {
			if size == 4 {
				VFMADD231PS(row(r, 0), xLow, low[r])
				VFMADD231PS(row(r, 32), xHigh, high[r])
				continue
			}
			a, b := YMM(), YMM()
			read(row(r, 0), a)
			read(row(r, 8*size), b)
			VFMADD231PS(a, xLow, low[r])
			VFMADD231PS(b, xHigh, high[r])
		}
		ADDQ(imm(16*size), at)
		ADDQ(imm(64), x)
	})
	if size == 4 {
		done := label("whole")
		TESTQ(count, count)
		JZ(LabelRef(done))
		mask := load("mask")
		for half, acc := range [][]VecVirtual{low, high} {
			m, v := YMM(), YMM()
			VMOVDQU(Mem{Base: mask, Disp: 32 * half}, m)
			VMASKMOVPS(Mem{Base: x, Disp: 32 * half}, m, v)
			for r := range n {
				a := YMM()
				VMASKMOVPS(row(r, 32*half), m, a)
				VFMADD231PS(a, v, acc[r])
			}
		}
		Label(done)
	}
	for r := range n {
		VMOVSS(horizontal(low[r], high[r]).(VecVirtual), Mem{Base: dst, Disp: 4 * r})
	}
	ADDQ(imm(4*n), dst)
}
