package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// expand writes what B of a low-rank change adds: outputs stand in the lanes, so no sum crosses a register. Four rows share each
// conversion; a single row takes two panels at a time, because one alone waits for its two chains of FMA.
func expand() {
	TEXT("expand", NOSPLIT, "func(dst *float32, stride int, b *byte, panels int, t *float32, rank, rows int)")
	Doc("expand adds to panels*16 elements of rows rows of dst, stride bytes apart, the products of t [rows, rank] with the",
		"halves of b: ref.Expand.")
	Pragma("noescape")
	rows := load("rows")
	for _, n := range []int{4, 1} {
		loop(rows, n, func() {
			b, out, panels := load("b"), load("dst"), load("panels")
			if n == 1 {
				loop(panels, 2, func() { expandPanels(b, out, n, 2) })
			}
			loop(panels, 1, func() { expandPanels(b, out, n, 1) })
			size, dst, t := load("rank"), load("dst"), load("t")
			SHLQ(Imm(2), size)
			for range n {
				ADDQ(size, t)
			}
			Store(t, Param("t"))
			stride := load("stride")
			for range n {
				ADDQ(stride, dst)
			}
			Store(dst, Param("dst"))
		})
	}
	ret()
}

// expandPanels adds the sums of n rows with as many panels, and moves b and out behind them.
func expandPanels(b, out GPVirtual, n, panels int) {
	t, size, size3, count := load("t"), load("rank"), GP64(), load("rank")
	MOVQ(count, size)
	SHLQ(Imm(2), size) // of a row of t
	LEAQ(Mem{Base: size, Index: size, Scale: 2}, size3)
	second := GP64() // from a panel to the next
	MOVQ(count, second)
	SHLQ(Imm(5), second)
	acc := make([][]VecVirtual, n) // two registers of each panel
	for r := range acc {
		acc[r] = ymms(2 * panels)
		zero(acc[r]...)
	}
	loop(count, 1, func() {
		w := ymms(2 * panels)
		VCVTPH2PS(Mem{Base: b}, w[0])
		VCVTPH2PS(Mem{Base: b, Disp: 16}, w[1])
		if panels == 2 {
			VCVTPH2PS(Mem{Base: b, Index: second, Scale: 1}, w[2])
			VCVTPH2PS(Mem{Base: b, Index: second, Scale: 1, Disp: 16}, w[3])
		}
		for r := range acc {
			v := YMM()
			VBROADCASTSS(token(t, size, size3, r, 0), v)
			for i := range w {
				VFMADD231PS(w[i], v, acc[r][i])
			}
		}
		ADDQ(imm(32), b)
		ADDQ(imm(4), t)
	})
	if panels == 2 {
		ADDQ(second, b)
	}
	stride, stride3 := load("stride"), GP64()
	LEAQ(Mem{Base: stride, Index: stride, Scale: 2}, stride3)
	for r := range acc {
		for i, v := range acc[r] {
			at := token(out, stride, stride3, r, 32*i)
			VADDPS(at, v, v)
			VMOVUPS(v, at)
		}
	}
	ADDQ(imm(64*panels), out)
}
