package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// panels writes what multiplies sixteen unpacked weight rows with many rows of activations: the unpacking, and the
// products of panels of nibbles and of 16-bit weights. Lane = weight row.
func panels() {
	unpackQ4("unpackQ4_0", 18, false)
	unpackQ4("unpackQ4_1", 20, true)
	interleave()
	mulNibbles("mulNibblesQ4_0", false)
	mulNibbles("mulNibblesQ4_1", true)
	mulWide("mulWide", false)
	mulWide("mulWideMinima", true)
}

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

// mulNibbles writes the product of a panel of nibbles.
//
// An integer accumulator of 16 bits takes a whole block: 8 times 2*15*127 = 30480.
func mulNibbles(name string, minima bool) {
	TEXT(name, NOSPLIT, "func(dst *float32, dstStride int, panel *uint8, d, m *float32, blocks int, q *int8, scale *float32, sums *int16, count int)")
	Doc(name + " multiplies a panel of nibbles with count rows of activations: ref.MulPanel. dstStride is in bytes.")
	Pragma("noescape")
	local := AllocLocal(64 * tokens)
	q, scale, sums, count := load("q"), load("scale"), load("sums"), load("count")
	loop(count, tokens, func() { mulNibblesBody(local, q, scale, sums, tokens, minima) })
	loop(count, 1, func() { mulNibblesBody(local, q, scale, sums, 1, minima) })
	ret()
}

func mulNibblesBody(local Mem, q, scale, sums GPVirtual, n int, minima bool) {
	for i := range 2 * n {
		z := YMM()
		zero(z)
		VMOVUPS(z, local.Offset(32*i))
	}
	panel, d, blocks := load("panel"), load("d"), load("blocks")
	qStride, qStride3 := GP64(), GP64() // 32 bytes a block; scales and sums have 4 bytes a block
	sStride, sStride3 := GP64(), GP64()
	MOVQ(blocks, sStride)
	SHLQ(Imm(2), sStride)
	MOVQ(blocks, qStride)
	SHLQ(Imm(5), qStride)
	LEAQ(Mem{Base: qStride, Index: qStride, Scale: 2}, qStride3)
	LEAQ(Mem{Base: sStride, Index: sStride, Scale: 2}, sStride3)
	var m GPVirtual
	if minima {
		m = load("m")
	}
	loop(blocks, 1, func() {
		acc := make([][2]VecVirtual, n)
		for i := range 8 {
			w := ymms(2)
			VMOVDQU(Mem{Base: panel, Disp: 64 * i}, w[0])
			VMOVDQU(Mem{Base: panel, Disp: 64*i + 32}, w[1])
			for t := range n {
				x := YMM()
				VPBROADCASTD(token(q, qStride, qStride3, t, 4*i), x)
				for h := range 2 {
					if i == 0 {
						acc[t][h] = YMM()
						VPMADDUBSW(x, w[h], acc[t][h])
						continue
					}
					product := x
					if h == 0 {
						product = YMM()
					}
					VPMADDUBSW(x, w[h], product)
					VPADDW(product, acc[t][h], acc[t][h])
				}
			}
		}
		ones := YMM()
		VMOVDQU(words("ones16", 0x00010001), ones)
		for t := range n {
			for h := range 2 {
				VPMADDWD(ones, acc[t][h], acc[t][h])
			}
			if !minima {
				sum := YMM()
				VPBROADCASTD(token(sums, sStride, sStride3, t, 0), sum)
				VPMADDWD(words("eights16", 0xfff8fff8), sum, sum)
				for h := range 2 {
					VPADDD(sum, acc[t][h], acc[t][h])
				}
			}
		}
		dx := func(t int) Mem { return token(scale, sStride, sStride3, t, 0) }
		emitFinish(acc, local, d, dx)
		if minima {
			for t := range n {
				VPBROADCASTD(token(sums, sStride, sStride3, t, 0), acc[t][0])
				VPMADDWD(ones, acc[t][0], acc[t][0])
				VMOVDQU(acc[t][0], acc[t][1])
			}
			emitFinish(acc, local, m, dx)
			ADDQ(imm(64), m)
		}
		ADDQ(imm(512), panel)
		ADDQ(imm(64), d)
		ADDQ(imm(32), q)
		ADDQ(imm(4), scale)
		ADDQ(imm(4), sums)
	})
	emitStore(local, n)
	// The pointers stand at token 1: on to token n.
	for range n - 1 {
		ADDQ(qStride, q)
		ADDQ(sStride, scale)
		ADDQ(sStride, sums)
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
// are exact in 32 bits for every format.
func mulWide(name string, minima bool) {
	TEXT(name, NOSPLIT, "func(dst *float32, dstStride int, panel, mins *int16, d, m *float32, blocks, blockLen int, x *int16, scale *float32, sums *int16, count int)")
	Doc(name + " multiplies a panel of 16-bit weights with count rows of activations: ref.MulPanel. dstStride is in bytes.")
	Pragma("noescape")
	local := AllocLocal(64 * tokens)
	x, scale, sums, count := load("x"), load("scale"), load("sums"), load("count")
	loop(count, tokens, func() { mulWideBody(local, x, scale, sums, tokens, minima) })
	loop(count, 1, func() { mulWideBody(local, x, scale, sums, 1, minima) })
	ret()
}

func mulWideBody(local Mem, x, scale, sums GPVirtual, n int, minima bool) {
	for i := range 2 * n {
		z := YMM()
		zero(z)
		VMOVUPS(z, local.Offset(32*i))
	}
	panel, d, blocks, pairs := load("panel"), load("d"), load("blocks"), GP64()
	stride, stride3 := GP64(), GP64()
	loop(blocks, 1, func() {
		acc := make([][2]VecVirtual, n)
		for t := range acc {
			acc[t] = [2]VecVirtual{YMM(), YMM()}
			zero(acc[t][:]...)
		}
		Load(Param("blockLen"), pairs)
		SHRQ(Imm(1), pairs)
		// Strides: blocks*blockLen words of 2 bytes, an eighth of it for the sums of 16.
		strides := func(shift uint64) {
			Load(Param("blocks"), stride)
			bl := load("blockLen")
			IMULQ(bl, stride)
			if shift > 0 {
				SHRQ(Imm(shift), stride)
			} else {
				SHLQ(Imm(1), stride)
			}
			LEAQ(Mem{Base: stride, Index: stride, Scale: 2}, stride3)
		}
		strides(0)
		pairLoop(pairs, panel, x, stride, stride3, acc)
		scaleStride, scaleStride3 := GP64(), GP64()
		Load(Param("blocks"), scaleStride)
		SHLQ(Imm(2), scaleStride)
		LEAQ(Mem{Base: scaleStride, Index: scaleStride, Scale: 2}, scaleStride3)
		dx := func(t int) Mem { return token(scale, scaleStride, scaleStride3, t, 0) }
		emitFinish(acc, local, d, dx)
		if minima {
			for t := range acc {
				zero(acc[t][:]...)
			}
			Load(Param("blockLen"), pairs)
			SHRQ(Imm(5), pairs)
			strides(3)
			mins := load("mins")
			pairLoop(pairs, mins, sums, stride, stride3, acc)
			Store(mins, Param("mins"))
			m := load("m")
			emitFinish(acc, local, m, dx)
			ADDQ(imm(64), m)
			Store(m, Param("m"))
		}
		ADDQ(imm(64), d)
		ADDQ(imm(4), scale)
	})
	emitStore(local, n)
	if minima {
		// The panel's minima are walked through once for each n tokens: back to their beginning.
		lines, bytes := load("blocks"), GP64()
		bl := load("blockLen")
		MOVQ(lines, bytes)
		IMULQ(bl, bytes)
		SHLQ(Imm(1), bytes) // 16 rows of 2 bytes for each 16 weights
		mins := load("mins")
		SUBQ(bytes, mins)
		Store(mins, Param("mins"))
		SHLQ(Imm(6), lines)
		m := load("m")
		SUBQ(lines, m)
		Store(m, Param("m"))
	}
	advance := func(p GPVirtual, shiftLeft, shiftRight uint64, byBlockLen bool) {
		s := load("blocks")
		if byBlockLen {
			bl := load("blockLen")
			IMULQ(bl, s)
		}
		if shiftLeft > 0 {
			SHLQ(Imm(shiftLeft), s)
		}
		if shiftRight > 0 {
			SHRQ(Imm(shiftRight), s)
		}
		for range n - 1 {
			ADDQ(s, p)
		}
	}
	if n > 1 {
		advance(x, 1, 0, true)
		advance(scale, 2, 0, false)
		if minima {
			advance(sums, 0, 3, true)
		}
	}
}

// pairLoop adds the products of lines of a panel with pairs of activations to the integer accumulators.
func pairLoop(lines, panel, x, stride, stride3 GPVirtual, acc [][2]VecVirtual) {
	loop(lines, 1, func() {
		w := ymms(2)
		VMOVDQU(Mem{Base: panel}, w[0])
		VMOVDQU(Mem{Base: panel, Disp: 32}, w[1])
		for t := range acc {
			v := YMM()
			VPBROADCASTD(token(x, stride, stride3, t, 0), v)
			product := YMM()
			VPMADDWD(v, w[0], product)
			VPADDD(product, acc[t][0], acc[t][0])
			VPMADDWD(v, w[1], v)
			VPADDD(v, acc[t][1], acc[t][1])
		}
		ADDQ(imm(64), panel)
		ADDQ(imm(4), x)
	})
}
