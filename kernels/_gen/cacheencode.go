package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// encoder is the frame of the encoders of a cache's rows: block by block. It ends with dst and src behind the block.
func encoder(name, typ string, size int, block func(dst, src GPVirtual, v []VecVirtual, magnitudes []VecVirtual, largest VecVirtual)) {
	TEXT(name, NOSPLIT, "func(dst *byte, src *float32, blocks int)")
	Doc(name + " encodes blocks of 32 to " + typ + ": quant.Encode.")
	Pragma("noescape")
	dst, src, blocks := load("dst"), load("src"), load("blocks")
	loop(blocks, 1, func() {
		v, magnitudes, largest := ymms(4), ymms(4), YMM()
		zero(largest)
		for i := range v {
			VMOVUPS(Mem{Base: src, Disp: 32 * i}, v[i])
			VANDPS(words("magnitude", 0x7fffffff), v[i], magnitudes[i])
			VMAXPS(largest, magnitudes[i], largest) // a NaN leaves largest as it is
		}
		other := YMM()
		VPERM2F128(Imm(1), largest, largest, other)
		VMAXPS(other, largest, largest)
		for _, turn := range []uint64{0x4e, 0xb1} {
			VPERMILPS(Imm(turn), largest, other)
			VMAXPS(other, largest, largest)
		}
		block(dst, src, v, magnitudes, largest)
		ADDQ(imm(size), dst)
		ADDQ(imm(128), src)
	})
	ret()
}

// scaleAndInverse writes the scale in lane 0 of d as a half, and returns 1/d, or 0 for 0, in all lanes.
func scaleAndInverse(d VecVirtual, dst GPVirtual) VecVirtual {
	half, none, inverse := XMM(), XMM(), YMM()
	VCVTPS2PH(Imm(0), d.AsX(), half) // to nearest, ties to even
	VPEXTRW(Imm(0), half, Mem{Base: dst})
	VXORPS(none, none, none)
	const notEqual = 4
	VCMPSS(Imm(notEqual), none, d.AsX(), none)
	VMOVSS(floats("one", 1), inverse.AsX())
	VDIVSS(d.AsX(), inverse.AsX(), inverse.AsX())
	VANDPS(none, inverse.AsX(), inverse.AsX())
	VBROADCASTSS(inverse.AsX(), inverse)
	return inverse
}

// packBytes packs the lanes of four registers to the bytes of the first, saturating.
func packBytes(v []VecVirtual) {
	VPACKSSDW(v[1], v[0], v[0])
	VPACKSSDW(v[3], v[2], v[2])
	VPACKSSWB(v[2], v[0], v[0])
	order := YMM()
	VMOVDQU(quarters(), order)
	VPERMD(v[0], order, v[0])
}

func encodeQ8() {
	encoder("encodeQ8_0", "Q8_0", 34, func(dst, src GPVirtual, v, _ []VecVirtual, largest VecVirtual) {
		VDIVSS(floats("limit127", 127), largest.AsX(), largest.AsX())
		inverse := scaleAndInverse(largest, dst)
		limit, half := YMM(), YMM()
		VMOVUPS(floats("limit127", 127), limit)
		for _, x := range v {
			VMULPS(inverse, x, x)
			VMINPS(x, limit, x) // a NaN stays, and becomes the least integer
			// Halves go away from zero: so does cutting off after the largest number under a half was added.
			VANDPS(words("sign", 1<<31), x, half)
			VORPS(floats("underHalf", 0x1.fffffep-2), half, half)
			VADDPS(half, x, x)
			VCVTTPS2DQ(x, x)
		}
		packBytes(v)
		VMOVDQU(v[0], Mem{Base: dst, Disp: 2})
	})
}

func encodeQ4() {
	encoder("encodeQ4_0", "Q4_0", 18, func(dst, src GPVirtual, v, magnitudes []VecVirtual, largest VecVirtual) {
		// The first of those with the largest magnitude gives the sign; where all are 0 or NaN it is 0.
		seen, some := GP32(), GP32()
		MOVL(U32(1<<31), seen) // so that there is one
		for i, m := range magnitudes {
			const equal = 0
			VCMPPS(Imm(equal), largest, m, m)
			VMOVMSKPS(m, some)
			if i > 0 {
				SHLL(Imm(uint64(8*i)), some)
			}
			ORL(some, seen)
		}
		BSFL(seen, seen)
		zeros, d := YMM(), YMM()
		zero(zeros)
		const notEqual = 4
		VCMPSS(Imm(notEqual), zeros.AsX(), largest.AsX(), largest.AsX())
		VMOVSS(Mem{Base: src, Index: seen.As64(), Scale: 4}, d.AsX())
		VANDPS(largest.AsX(), d.AsX(), d.AsX())
		VMULSS(floats("minusEighth", -0.125), d.AsX(), d.AsX())
		inverse := scaleAndInverse(d, dst)
		for _, x := range v {
			VMULPS(inverse, x, x)
			VADDPS(floats("eightAndHalf", 8.5), x, x)
			VMAXPS(zeros, x, x) // a NaN becomes 0
			VMINPS(floats("limit15", 15), x, x)
			VCVTTPS2DQ(x, x)
		}
		packBytes(v)
		high := XMM()
		VEXTRACTI128(Imm(1), v[0], high)
		VPSLLW(Imm(4), high, high)
		VPOR(v[0].AsX(), high, high)
		VMOVDQU(high, Mem{Base: dst, Disp: 2})
	})
}
