package main

import "math"

// elementwise writes what treats each element alone. Lengths are multiples of four; rests are the reference's.
func elementwise() {
	add()
	siluMul()
	rotate()
}

func add() {
	function("add", "dst, x *float32, n int", "", "add sets dst = dst + x for n elements: ref.Add.")
	dst, x, n := load("dst"), load("x"), load("n")
	loop(n, 4, func() {
		a, b := newVec(), newVec()
		ldrq(a, dst, 0)
		ldrqNext(b, x)
		fadd(a, a, b)
		strqNext(a, dst)
	})
	ret()

	function("scaleMul", "dst, x, weight *float32, r float32, n int", "",
		"scaleMul sets dst = x * r * weight for n elements: the second half of ref.RMSNorm.")
	dst, x, n = load("dst"), load("x"), load("n")
	weight, r := load("weight"), loadFloat("r")
	loop(n, 4, func() {
		a, b := newVec(), newVec()
		ldrqNext(a, x)
		ldrqNext(b, weight)
		fmul(a, a, r)
		fmul(a, a, b)
		strqNext(a, dst)
	})
	ret()
}

// exponential is the constants of exact.Exp32 in registers.
type exponential struct {
	magic, log2E, ln2Hi, ln2Lo, one, low, high, infinity vec
	c                                                    [5]vec // 6 to 2
}

func newExponential() *exponential {
	return &exponential{
		magic: floats(0x1.8p+23), log2E: floats(0x1.715476p+0), ln2Hi: floats(0x1.62e43p-1), ln2Lo: floats(-0x1.05c61p-29),
		one: floats(1), low: floats(-0x1.5d589ep+6), high: floats(0x1.62e42ep+6), infinity: floats(float32(math.Inf(1))),
		c: [5]vec{floats(0x1.6a4eccp-10), floats(0x1.12399cp-7), floats(0x1.5558bp-5), floats(0x1.555492p-3), floats(0x1.fffffcp-2)},
	}
}

// of replaces each lane of x by its exponential, step by step as exact.Exp32 does.
func (e *exponential) of(x vec) {
	scope(func() {
		t, n, r, p, q := newVec(), newVec(), newVec(), newVec(), newVec()
		mov(t, e.magic)
		fmla(t, x, e.log2E)
		fsub(n, t, e.magic)
		mov(r, x)
		fmls(r, n, e.ln2Hi)
		fmls(r, n, e.ln2Lo)
		mov(p, e.c[0])
		for _, c := range []vec{e.c[1], e.c[2], e.c[3], e.c[4], e.one, e.one} {
			mov(q, c)
			fmla(q, p, r)
			p, q = q, p
		}
		shl4s(t, t, 23)
		add4s(p, p, t)
		fcmgt(n, e.low, x)
		bic(p, p, n)
		fcmgt(n, x, e.high)
		bit(p, e.infinity, n)
		fcmeq(n, x, x)
		bit(x, p, n) // a NaN stays
	})
}

func siluMul() {
	function("siluMul", "dst, gate, up *float32, n int", "",
		"siluMul sets dst = gate / (1 + exp(-gate)) * up for n elements: ref.SiluMul.")
	dst, gate, up, n := load("dst"), load("gate"), load("up"), load("n")
	exp := newExponential()
	loop(n, 4, func() {
		g, u, e := newVec(), newVec(), newVec()
		ldrqNext(g, gate)
		ldrqNext(u, up)
		fneg(e, g)
		exp.of(e)
		fadd(e, e, exp.one)
		fdiv(g, g, e)
		fmul(g, g, u)
		strqNext(g, dst)
	})
	ret()
}

func rotate() {
	function("rotateHalves", "x, cos, sin *float32, n int", "",
		"rotateHalves turns the pairs (k, n+k) of a head, n a multiple of four: ref.RotateHalves.")
	x, cos, sin, n, second := load("x"), load("cos"), load("sin"), load("n"), newGP()
	line("ADD R%d<<2, R%d, R%d", n, x, second)
	loop(n, 4, func() {
		x0, x1, c, s, y0, y1 := newVec(), newVec(), newVec(), newVec(), newVec(), newVec()
		ldrq(x0, x, 0)
		ldrq(x1, second, 0)
		ldrqNext(c, cos)
		ldrqNext(s, sin)
		fmul(y0, x0, c)
		fmul(y1, x0, s)
		fmul(s, x1, s)
		fmul(c, x1, c)
		fsub(y0, y0, s)
		fadd(y1, y1, c)
		strqNext(y0, x)
		strqNext(y1, second)
	})
	ret()

	function("rotateAdjacent", "x, cos, sin *float32, n int", "",
		"rotateAdjacent turns the n pairs (2k, 2k+1) of a head, n a multiple of four: ref.RotateAdjacent.")
	x, cos, sin, n = load("x"), load("cos"), load("sin"), load("n")
	loop(n, 4, func() {
		a, b, even, odd, c, s, y0, y1 := newVec(), newVec(), newVec(), newVec(), newVec(), newVec(), newVec(), newVec()
		ldrq(a, x, 0)
		ldrq(b, x, 16)
		ldrqNext(c, cos)
		ldrqNext(s, sin)
		uzp1_4s(even, a, b)
		uzp2_4s(odd, a, b)
		fmul(y0, even, c)
		fmul(y1, even, s)
		fmul(s, odd, s)
		fmul(c, odd, c)
		fsub(y0, y0, s)
		fadd(y1, y1, c)
		zip1_4s(a, y0, y1)
		zip2_4s(b, y0, y1)
		strqNext(a, x)
		strqNext(b, x)
	})
	ret()
}
