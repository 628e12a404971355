package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
)

// activations writes the int8 form of activations and its copy in 16 bits.
func activations() {
	quantize()
	widen()
}

func quantize() {
	TEXT("quantize", NOSPLIT, "func(q *int8, scale *float32, sums *int16, x *float32, blocks, blockLen int)")
	Doc("quantize sets q, scale and sums to the int8 form of x: ref.Quantize.")
	Pragma("noescape")
	q, scale, sums, x, blocks := load("q"), load("scale"), load("sums"), load("x"), load("blocks")
	order, ones8, ones16, magnitude := YMM(), YMM(), YMM(), YMM()
	VMOVDQU(quarters(), order)
	VMOVDQU(words("ones8", 0x01010101), ones8)
	VMOVDQU(words("ones16", 0x00010001), ones16)
	VMOVDQU(words("magnitude", 0x7fffffff), magnitude)
	limit := XMM()
	VMOVSS(floats("limit127", 127), limit)
	loop(blocks, 1, func() {
		// The bits of magnitudes order as the magnitudes do, infinities and NaN above all others.
		largest, at, count := YMM(), GP64(), load("blockLen")
		VPXOR(largest, largest, largest)
		MOVQ(x, at)
		loop(count, 32, func() {
			for i := range 4 {
				v := YMM()
				VPAND(Mem{Base: at, Disp: 32 * i}, magnitude, v)
				VPMAXSD(v, largest, largest)
			}
			ADDQ(imm(128), at)
		})
		upper := XMM()
		VEXTRACTI128(Imm(1), largest, upper)
		amax := largest.AsX()
		VPMAXSD(upper, amax, amax)
		VPSHUFD(Imm(0x4e), amax, upper)
		VPMAXSD(upper, amax, amax)
		VPSHUFD(Imm(0xb1), amax, upper)
		VPMAXSD(upper, amax, amax)

		bits, notFinite, tiny, zeros, next := GP32(), label("notfinite"), label("tiny"), label("zeros"), label("next")
		VMOVD(amax, bits)
		CMPL(bits, U32(0x7f800000))
		JAE(LabelRef(notFinite))
		inverse := YMM()
		VDIVSS(amax, limit, inverse.AsX())
		inverseBits := GP32()
		VMOVD(inverse.AsX(), inverseBits)
		CMPL(inverseBits, U32(0x7f800000))
		JAE(LabelRef(tiny))
		VDIVSS(limit, amax, amax)
		VMOVSS(amax, Mem{Base: scale})
		VBROADCASTSS(inverse.AsX(), inverse)
		Load(Param("blockLen"), count)
		loop(count, 32, func() {
			v := ymms(4)
			for i := range v {
				VMULPS(Mem{Base: x, Disp: 32 * i}, inverse, v[i])
				VCVTPS2DQ(v[i], v[i]) // to nearest, ties to even
			}
			VPACKSSDW(v[1], v[0], v[0])
			VPACKSSDW(v[3], v[2], v[2])
			VPACKSSWB(v[2], v[0], v[0])
			VPERMD(v[0], order, v[0])
			VMOVDQU(v[0], Mem{Base: q})
			// The two sums of sixteen, one in each half.
			VPMADDUBSW(v[0], ones8, v[1])
			VPMADDWD(ones16, v[1], v[1])
			VPHADDD(v[1], v[1], v[1])
			VPHADDD(v[1], v[1], v[1])
			VEXTRACTI128(Imm(1), v[1], v[2].AsX())
			VPUNPCKLWD(v[2].AsX(), v[1].AsX(), v[1].AsX())
			VMOVD(v[1].AsX(), Mem{Base: sums})
			ADDQ(imm(128), x)
			ADDQ(imm(32), q)
			ADDQ(imm(4), sums)
		})
		JMP(LabelRef(next))

		Label(notFinite)
		MOVL(U32(0x7fc00000), Mem{Base: scale})
		JMP(LabelRef(zeros))
		Label(tiny)
		MOVL(U32(0), Mem{Base: scale})
		Label(zeros)
		Load(Param("blockLen"), count)
		none := YMM()
		VPXOR(none, none, none)
		loop(count, 32, func() {
			VMOVDQU(none, Mem{Base: q})
			VMOVD(none.AsX(), Mem{Base: sums})
			ADDQ(imm(128), x)
			ADDQ(imm(32), q)
			ADDQ(imm(4), sums)
		})
		Label(next)
		ADDQ(imm(4), scale)
	})
	ret()
}

// quarters returns the order that puts words packed from four registers back into their places.
func quarters() Mem {
	m, ok := constants["quarters"]
	if !ok {
		m = GLOBL("quarters", RODATA|NOPTR)
		for i, v := range []uint32{0, 4, 1, 5, 2, 6, 3, 7} {
			DATA(4*i, U32(v))
		}
		constants["quarters"] = m
	}
	return m
}

func widen() {
	TEXT("widen", NOSPLIT, "func(dst *int16, q *int8, n int)")
	Doc("widen sets dst to n quants, a multiple of sixteen: ref.Widen.")
	Pragma("noescape")
	dst, q, n := load("dst"), load("q"), load("n")
	loop(n, 16, func() {
		v := YMM()
		VPMOVSXBW(Mem{Base: q}, v)
		VMOVDQU(v, Mem{Base: dst})
		ADDQ(imm(16), q)
		ADDQ(imm(32), dst)
	})
	ret()
}
