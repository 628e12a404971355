package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
)

// merge writes ref.Merge.
func merge() {
	TEXT("merge", NOSPLIT, "func(acc, later *float32, dim int, total, state *float32)")
	Doc("merge adds a later stretch of dim elements to a sum, and its state to the total: ref.Merge.")
	Pragma("noescape")
	acc, later, dim, total, state := load("acc"), load("later"), load("dim"), load("total"), load("state")
	most, x, earlier, more := XMM(), YMM(), XMM(), XMM()
	VMOVSD(Mem{Base: total}, earlier) // the largest score, the sum
	VMOVSD(Mem{Base: state}, more)
	VMAXSS(earlier, more, most) // a score that is NaN leaves the total's
	VMOVSS(most, Mem{Base: total})
	VBROADCASTSS(most, most)
	VUNPCKLPS(more, earlier, x.AsX()) // both scores, both sums
	VSUBPS(most, x.AsX(), x.AsX())
	newExponential(0).of(x, false)
	a, b := YMM(), YMM()
	VBROADCASTSS(x.AsX(), a)
	VMOVSHDUP(x.AsX(), x.AsX())
	VBROADCASTSS(x.AsX(), b)
	VMOVSHDUP(earlier, earlier)
	VMULSS(a.AsX(), earlier, earlier)
	VMOVSHDUP(more, more)
	VMULSS(b.AsX(), more, more)
	VADDSS(more, earlier, earlier)
	VMOVSS(earlier, Mem{Base: total, Disp: 4})
	loop(dim, 8, func() {
		v, w := YMM(), YMM()
		VMULPS(Mem{Base: acc}, a, v)
		VMULPS(Mem{Base: later}, b, w)
		VADDPS(w, v, v)
		VMOVUPS(v, Mem{Base: acc})
		ADDQ(imm(32), acc)
		ADDQ(imm(32), later)
	})
	loop(dim, 1, func() {
		v, w := XMM(), XMM()
		VMULSS(Mem{Base: acc}, a.AsX(), v)
		VMULSS(Mem{Base: later}, b.AsX(), w)
		VADDSS(w, v, v)
		VMOVSS(v, Mem{Base: acc})
		ADDQ(imm(4), acc)
		ADDQ(imm(4), later)
	})
	ret()
}
