package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// unpack writes the unpacking of blocks to 16-bit integers, each already multiplied by the scale of its sixteen weights,
// and the products of eight rows so unpacked: the way of all formats that have no kernel of their own.
func unpack() {
	unpackQ2Q3("unpackQ2_K", false)
	unpackQ2Q3("unpackQ3_K", true)
	unpackQ4Q5("unpackQ4_K", false)
	unpackQ4Q5("unpackQ5_K", true)
	unpackQ6()
	unpackCodebook()
	unpackFifths()
	dotRows()
}

// unpacker is what the unpacking of a block has in registers.
type unpacker struct {
	q, scales GPVirtual
}

// begin writes the head of a function that unpacks one block.
func beginUnpack(name, args string) *unpacker {
	TEXT(name, NOSPLIT, "func(q *int16, scales *int16, "+args+")")
	Doc(name + " sets q to the integers of a block, multiplied by the scales of each sixteen: quant.Integers.")
	Pragma("noescape")
	return &unpacker{q: load("q"), scales: load("scales")}
}

// store widens the 32 codes in v, less an offset, and writes them as the weights of groups first and first+1 of sixteen.
func (u *unpacker) store(v VecVirtual, first int, offset VecVirtual, signed bool) {
	upper := YMM()
	VEXTRACTI128(Imm(1), v, upper.AsX())
	for i, half := range []VecVirtual{v, upper} {
		if signed {
			VPMOVSXBW(half.AsX(), half)
		} else {
			VPMOVZXBW(half.AsX(), half)
		}
		if offset != nil {
			VPSUBW(offset, half, half)
		}
		scale := YMM()
		VPBROADCASTW(Mem{Base: u.scales, Disp: 2 * (first + i)}, scale)
		VPMULLW(scale, half, half)
		VMOVDQU(half, Mem{Base: u.q, Disp: 32 * (first + i)})
	}
}

// bytesOf returns a register in which a byte is repeated.
func bytesOf(name string, value uint32) VecVirtual {
	v := YMM()
	VMOVDQU(words(name, value*0x01010101), v)
	return v
}

// shifted returns v shifted right (or, if negative, left) by n bits and masked; n may cross bytes because of the mask.
func shifted(v, mask VecVirtual, n int) VecVirtual {
	out := YMM()
	switch {
	case n > 0:
		VPSRLW(Imm(uint64(n)), v, out)
		VPAND(mask, out, out)
	case n < 0:
		VPSLLW(Imm(uint64(-n)), v, out)
		VPAND(mask, out, out)
	default:
		VPAND(mask, v, out)
	}
	return out
}

func unpackQ2Q3(name string, third bool) {
	args := "qs *byte"
	if third {
		args = "high, qs *byte"
	}
	u := beginUnpack(name, args)
	qs, threes := load("qs"), bytesOf("bytes3", 3)
	var bits, four, offset VecVirtual
	if third {
		bits, four, offset = YMM(), bytesOf("bytes4", 4), YMM()
		VMOVDQU(Mem{Base: load("high")}, bits)
		VMOVDQU(words("fours16", 0x00040004), offset)
	}
	for half := range 2 {
		v := YMM()
		VMOVDQU(Mem{Base: qs, Disp: 32 * half}, v)
		for i := range 4 {
			code := shifted(v, threes, 2*i)
			if third {
				// Bit 4*half+i of each byte to bit 2.
				VPOR(shifted(bits, four, 4*half+i-2), code, code)
			}
			u.store(code, 8*half+2*i, offset, false)
		}
	}
	ret()
}

func unpackQ4Q5(name string, fifth bool) {
	args := "qs *byte"
	if fifth {
		args = "high, qs *byte"
	}
	u := beginUnpack(name, args)
	qs, nibble := load("qs"), bytesOf("nibbles", 15)
	var bits, sixteen VecVirtual
	if fifth {
		bits, sixteen = YMM(), bytesOf("bytes16", 16)
		VMOVDQU(Mem{Base: load("high")}, bits)
	}
	for pair := range 4 {
		v := YMM()
		VMOVDQU(Mem{Base: qs, Disp: 32 * pair}, v)
		for i := range 2 {
			code := shifted(v, nibble, 4*i)
			if fifth {
				// Bit 2*pair+i of each byte to bit 4.
				VPOR(shifted(bits, sixteen, 2*pair+i-4), code, code)
			}
			u.store(code, 4*pair+2*i, nil, false)
		}
	}
	ret()
}

func unpackQ6() {
	u := beginUnpack("unpackQ6_K", "low, high *byte")
	low, high, nibble, upper := load("low"), load("high"), bytesOf("nibbles", 15), bytesOf("bytes48", 48)
	offset := YMM()
	VMOVDQU(words("thirtytwos16", 0x00200020), offset)
	for half := range 2 {
		bits, l := YMM(), ymms(2)
		VMOVDQU(Mem{Base: high, Disp: 32 * half}, bits)
		VMOVDQU(Mem{Base: low, Disp: 64 * half}, l[0])
		VMOVDQU(Mem{Base: low, Disp: 64*half + 32}, l[1])
		for i := range 4 {
			code := shifted(l[i%2], nibble, 4*(i/2))
			VPOR(shifted(bits, upper, 2*i-4), code, code)
			u.store(code, 8*half+2*i, offset, false)
		}
	}
	ret()
}

// unpackCodebook unpacks n times 16 bytes of indices, low halves first.
func unpackCodebook() {
	u := beginUnpack("unpackCodebook", "qs, codebook *byte, n int")
	qs, n := load("qs"), load("n")
	nibble, codebook := bytesOf("nibbles", 15), YMM()
	VBROADCASTI128(Mem{Base: load("codebook")}, codebook)
	loop(n, 1, func() {
		v, upper := YMM(), XMM()
		VMOVDQU(Mem{Base: qs}, v.AsX())
		VPSRLW(Imm(4), v.AsX(), upper)
		VINSERTI128(Imm(1), upper, v, v)
		VPAND(nibble, v, v)
		VPSHUFB(v, codebook, v)
		u.store(v, 0, nil, true)
		ADDQ(imm(16), qs)
		ADDQ(imm(4), u.scales)
		ADDQ(imm(64), u.q)
	})
	ret()
}

// unpackFifths unpacks 16 bytes of nibbles and 32 fifth bits, less an offset: Q5_0 and Q5_1.
func unpackFifths() {
	u := beginUnpack("unpackFifths", "qs, high *byte, offset int")
	nibble, sixteen := bytesOf("nibbles", 15), bytesOf("bytes16", 16)
	v, upper := YMM(), XMM()
	VMOVDQU(Mem{Base: load("qs")}, v.AsX())
	VPSRLW(Imm(4), v.AsX(), upper)
	VINSERTI128(Imm(1), upper, v, v)
	VPAND(nibble, v, v)
	// Byte i of bits gets byte i/8 of the word, of which bit i%8 is tested.
	bits, which, mask, offset := YMM(), YMM(), YMM(), YMM()
	VPBROADCASTD(Mem{Base: load("high")}, bits)
	order := GLOBL("eighths", RODATA|NOPTR)
	for i := range 32 {
		DATA(i, U8(i/8))
	}
	powers := GLOBL("powers", RODATA|NOPTR)
	for i := range 32 {
		DATA(i, U8(1<<(i%8)))
	}
	VMOVDQU(order, which)
	VPSHUFB(which, bits, bits)
	VMOVDQU(powers, mask)
	VPAND(mask, bits, bits)
	VPCMPEQB(mask, bits, bits)
	VPAND(sixteen, bits, bits)
	VPOR(bits, v, v)
	VMOVQ(load("offset"), offset.AsX())
	VPBROADCASTW(offset.AsX(), offset)
	u.store(v, 0, offset, false)
	ret()
}

// dotRows writes the products of eight unpacked rows with one row of activations.
func dotRows() {
	TEXT("dotRows", NOSPLIT, "func(acc *float32, q *int16, stride int, x *int16, n int, d *float32, dx *float32)")
	Doc("dotRows adds to each of eight accumulators the exact product of x with n integers, a multiple of sixteen, of a row,",
		"times d of the row, times dx. The rows begin stride bytes apart.")
	Pragma("noescape")
	acc, x, n := load("acc"), load("x"), load("n")
	k := &eightRows{w: load("q"), w4: GP64(), size: load("stride"), size3: GP64()}
	LEAQ(Mem{Base: k.size, Index: k.size, Scale: 2}, k.size3)
	LEAQ(Mem{Base: k.w, Index: k.size, Scale: 4}, k.w4)
	var sum [8]VecVirtual
	copy(sum[:], ymms(8))
	zero(sum[:]...)
	loop(n, 16, func() {
		v := YMM()
		VMOVDQU(Mem{Base: x}, v)
		for r := range sum {
			product := YMM()
			VPMADDWD(k.at(r, 0), v, product)
			VPADDD(product, sum[r], sum[r])
		}
		for _, p := range []Register{x, k.w, k.w4} {
			ADDQ(imm(32), p)
		}
	})
	total := addTranspose(sum)
	dx, d := YMM(), YMM()
	VBROADCASTSS(Mem{Base: load("dx")}, dx)
	VMULPS(Mem{Base: load("d")}, dx, d)
	VCVTDQ2PS(total, total)
	a := YMM()
	VMOVUPS(Mem{Base: acc}, a)
	VFMADD231PS(total, d, a)
	VMOVUPS(a, Mem{Base: acc})
	ret()
}

// addTranspose returns the sums of the lanes of eight registers, one in each lane.
func addTranspose(sum [8]VecVirtual) VecVirtual {
	for i := 0; i < 8; i += 2 {
		VPHADDD(sum[i+1], sum[i], sum[i])
	}
	VPHADDD(sum[2], sum[0], sum[0])
	VPHADDD(sum[6], sum[4], sum[4])
	// Both halves of sum[0] hold rows 0-3, those of sum[4] rows 4-7.
	low := YMM()
	VPERM2I128(Imm(0x20), sum[4], sum[0], low)
	VPERM2I128(Imm(0x31), sum[4], sum[0], sum[0])
	VPADDD(low, sum[0], sum[0])
	return sum[0]
}
