package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
	"github.com/mmcloughlin/avo/x86"
)

func same(sub int) int         { return sub }
func half(sub int) int         { return sub / 2 }
func besideMinima(sub int) int { return sub/2%4 + sub/8*8 }

func plainSums(k *fourRows) Op { return Mem{Base: k.sums} }

// sumsBesideScales returns sums of 32 quants where laneScalesQ4 has minima, zeros where it has scales.
func sumsBesideScales(k *fourRows) Op {
	sums, high := YMM(), XMM()
	VMOVDQU(Mem{Base: k.sums, Disp: 16}, high)
	whole(sums)(x86.VMOVDQU(Mem{Base: k.sums}, sums.AsX()))
	whole(sums)(x86.VPHADDW(high, sums.AsX(), sums.AsX()))
	VPERMQ(Imm(2|0<<2|2<<4|1<<6), sums, sums)
	return sums
}

// joined returns sixteen bytes as words.
func joined(k *fourRows, low, high GPVirtual) VecVirtual {
	x, v := XMM(), k.vec()
	VMOVQ(low, x)
	VPINSRQ(Imm(1), high, x, x)
	whole(v)(x86.VPMOVZXBW(x, v.AsY()))
	return v
}

// laneScalesQ4 unpacks the 6-bit scales and minima of Q4_K and Q5_K: scales 0-3, minima 0-3, scales 4-7, minima 4-7.
func laneScalesQ4(k *fourRows, r int) (scales, minima VecVirtual) {
	low, high, upper, mask := GP64(), GP64(), GP64(), GP64()
	MOVQ(k.at(r, 4), low)
	MOVL(k.at(r, 12), high.As32())
	MOVQ(high, upper)
	SHLQ(Imm(28), upper)
	ORQ(upper, high)
	MOVQ(U64(0x0f0f0f0f0f0f0f0f), mask)
	ANDQ(mask, high) // of a byte its low half four times, then its high half four times
	MOVQ(low, upper)
	SHRQ(Imm(2), upper)
	MOVQ(U64(0x3030303030303030), mask)
	ANDQ(mask, upper)
	ORQ(upper, high)
	MOVQ(U64(0x3f3f3f3f3f3f3f3f), mask)
	ANDQ(mask, low)
	v := joined(k, low, high)
	return v, v.AsY().(VecVirtual)
}

// laneScalesQ6 reads sixteen signed bytes.
func laneScalesQ6(k *fourRows, r int) (scales, _ VecVirtual) {
	v := k.vec()
	whole(v)(x86.VPMOVSXBW(k.at(r, 192), v.AsY()))
	return v, nil
}

// laneScalesQ3 unpacks sixteen 6-bit scales, less 32.
func laneScalesQ3(k *fourRows, r int) (scales, _ VecVirtual) {
	low, high, top, upper, mask := GP64(), GP64(), GP64(), GP64(), GP64()
	MOVQ(k.at(r, 96), low)
	MOVL(k.at(r, 104), top.As32())
	MOVQ(top, upper)
	SHLQ(Imm(30), upper) // two bits lower in the upper half
	MOVQ(U64(0xffffffff00000000), mask)
	ANDQ(mask, upper)
	ORQ(upper, top)
	MOVQ(low, high)
	SHRQ(Imm(4), high)
	MOVQ(U64(0x0f0f0f0f0f0f0f0f), mask)
	ANDQ(mask, low)
	ANDQ(mask, high)
	MOVQ(U64(0x3030303030303030), mask)
	MOVQ(top, upper)
	SHLQ(Imm(4), upper)
	ANDQ(mask, upper)
	ANDQ(mask, top)
	ORQ(upper, low)
	ORQ(top, high)
	v := joined(k, low, high)
	VPSUBW(bytes64("words32", func(i int) uint8 { return uint8((1 - i%2) * 32) }), v, v)
	return v, nil
}

// laneScalesQ2 splits bytes into scales and minima.
func laneScalesQ2(k *fourRows, r int) (scales, minima VecVirtual) {
	x, scales, minima := XMM(), k.vec(), YMM()
	nibble := constant128("nibbles128", 0x0f0f0f0f0f0f0f0f, 0x0f0f0f0f0f0f0f0f)
	VMOVDQU(k.at(r, 0), x)
	VPAND(nibble, x, x)
	whole(scales)(x86.VPMOVZXBW(x, scales.AsY()))
	VMOVDQU(k.at(r, 0), x)
	VPSRLW(Imm(4), x, x)
	VPAND(nibble, x, x)
	VPMOVZXBW(x, minima)
	return scales, minima
}

// laneScalesIQ4 unpacks eight 6-bit scales, less 32: low halves in four bytes, high pairs of bits in two.
func laneScalesIQ4(k *fourRows, r int) (scales, _ VecVirtual) {
	low, high, v := YMM(), YMM(), k.vec()
	VPBROADCASTD(k.at(r, 4), low)
	VPBROADCASTD(k.at(r, 0), high) // its upper half
	VPSRLVD(dwords8("nibbleshifts", func(i int) uint32 { return uint32(4 * i) }), low, low)
	VPSRLVD(dwords8("pairshifts", func(i int) uint32 { return uint32(16 + 2*i) }), high, high)
	VPAND(words("dwords15", 15), low, low)
	VPAND(words("dwords3", 3), high, high)
	VPSLLD(Imm(4), high, high)
	VPOR(high, low, low)
	VPSUBD(words("dwords32", 32), low, low)
	VPACKSSDW(low, low, low)
	whole(v)(x86.VPERMQ(Imm(0|2<<2), low, v.AsY()))
	return v, nil
}

// dwords8 returns a constant of eight words.
func dwords8(name string, at func(i int) uint32) Mem {
	if m, ok := constants[name]; ok {
		return m
	}
	m := GLOBL(name, RODATA|NOPTR)
	for i := range 8 {
		DATA(4*i, U32(at(i)))
	}
	constants[name] = m
	return m
}
