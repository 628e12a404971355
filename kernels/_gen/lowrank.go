package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// lowRank writes the two pieces of a low-rank change.
func lowRank() {
	shrink()
	expand()
}

// shrink writes what A of a low-rank change makes of a row: rowsFloat for halves, which asks for the four rows behind those that it
// multiplies, and beside the last ones for what is read after them. Each row of A lies on pages of its own, so that the
// processor's own prefetching begins anew with each.
func shrink() {
	TEXT("shrink", NOSPLIT, "func(t *float32, a *byte, ranks, cols int, x *float32, next *byte)")
	Doc("shrink sets t to the products of ranks rows of halves with x: ref.RowsFloat. next is what is read after them.")
	Pragma("noescape")
	t, a, ranks, cols := load("t"), load("a"), load("ranks"), load("cols")
	stride, ahead := GP64(), GP64()
	MOVQ(cols, stride)
	ADDQ(stride, stride)
	read := func(src Mem, dst VecVirtual) { VCVTPH2PS(src, dst) }
	loop(ranks, 4, func() {
		LEAQ(Mem{Base: a, Index: stride, Scale: 4}, ahead)
		more := label("more")
		CMPQ(ranks, Imm(8))
		JGE(LabelRef(more))
		Load(Param("next"), ahead)
		Label(more)
		emitRowsOf(2, 4, t, a, cols, stride, read, func() {
			PREFETCHT1(Mem{Base: ahead})
			PREFETCHT1(Mem{Base: ahead, Disp: 64})
			ADDQ(imm(128), ahead)
		})
		LEAQ(Mem{Base: a, Index: stride, Scale: 4}, a)
	})
	loop(ranks, 1, func() {
		emitRowsOf(2, 1, t, a, cols, stride, read, nil)
		ADDQ(stride, a)
	})
	ret()
}

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

// askSpans asks for some lines of the first span and moves them out of it; behind its end comes the next one, and one at 0 is the last. It
// uses the register span.
func askSpans(lines int, span GPVirtual) {
	at := GP64()
	Load(Param("spans"), span)
	done := label("asked")
	MOVQ(Mem{Base: span}, at)
	TESTQ(at, at)
	JZ(LabelRef(done))
	for i := range lines {
		PREFETCHT1(Mem{Base: at, Disp: 64 * i})
	}
	ADDQ(imm(64*lines), at)
	MOVQ(at, Mem{Base: span})
	CMPQ(at, Mem{Base: span, Disp: 8})
	JB(LabelRef(done))
	ADDQ(imm(16), span)
	Store(span, Param("spans"))
	Label(done)
}
