package main

import (
	"fmt"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// panelOut is where the scales of the current block of a panel go: the half of each line that belongs to eight rows.
type panelOut struct {
	d, m, pairs, mins Mem
	sums32            bool // minima of 32 weights are for the sums of 32 quants, else twice for those of 16
}

func (o *panelOut) scale(d VecVirtual)       { VMOVUPS(d, o.d) }
func (o *panelOut) minimum(m VecVirtual)     { VMOVUPS(m, o.m) }
func (o *panelOut) pair(i int, v VecVirtual) { VMOVDQU(v, o.pairs.Offset(64*i)) }
func (o *panelOut) mins2(i int, v VecVirtual) {
	VMOVDQU(v, o.mins.Offset(64*i))
}

// halvesAt returns the halves at disp of eight rows as float32.
func halvesAt(k *eightRows, disp int) VecVirtual {
	x, d := XMM(), YMM()
	VPXOR(x, x, x)
	for r := range 8 {
		VPINSRW(Imm(uint64(r)), k.at(r, disp), x, x)
	}
	VCVTPH2PS(x, d)
	return d
}

func eightHalves(k *eightRows, out *panelOut) { out.scale(halvesAt(k, 0)) }

func eightPairs(k *eightRows, out *panelOut) {
	out.scale(halvesAt(k, 0))
	out.minimum(halvesAt(k, 2))
}

// minusHalves stores the halves at disp as the scales of minima, which are subtracted.
func (o *panelOut) minusHalves(k *eightRows, disp int) {
	m := halvesAt(k, disp)
	VPXOR(words("sign", 0x80000000), m, m)
	o.minimum(m)
}

// eightE8M0 returns the scale of MXFP4: 2 to the power of a byte less 128, the two smallest being subnormal.
func eightE8M0(k *eightRows, out *panelOut) {
	x, e, tiny, small := XMM(), YMM(), YMM(), YMM()
	VPXOR(x, x, x)
	for r := range 8 {
		VPINSRB(Imm(uint64(r)), k.at(r, 0), x, x)
	}
	VPMOVZXBD(x, e)
	VMOVDQU(words("tiny", 0x00200000), tiny)
	VPSLLVD(e, tiny, tiny)
	VMOVDQU(words("two32", 2), small)
	VPCMPGTD(e, small, small)
	VPSUBD(words("one32", 1), e, e)
	VPSLLD(Imm(23), e, e)
	VPBLENDVB(small, tiny, e, e)
	out.scale(e)
}

// moved returns v with the bytes of each word moved.
func moved(v VecVirtual, order [4]int) VecVirtual {
	out := YMM()
	VPSHUFB(within(fmt.Sprintf("order%d_%d_%d_%d", order[0]+1, order[1]+1, order[2]+1, order[3]+1), order), v, out)
	return out
}

// twice returns unsigned byte i of each word as both halves of the word.
func twice(v VecVirtual, i int) VecVirtual { return moved(v, [4]int{i, none, i, none}) }

// twiceSigned is twice for a signed byte.
func twiceSigned(v VecVirtual, i int) VecVirtual {
	out := moved(v, [4]int{none, i, none, i})
	VPSRAW(Imm(8), out, out)
	return out
}

func eightScalesQ2(k *eightRows, out *panelOut) {
	for i, v := range eightLines(k, 0) {
		low, high := picked(v, 15, 0), picked(v, 15, 4)
		for j := range 4 {
			out.pair(4*i+j, twice(low, j))
		}
		for j := range 2 {
			out.mins2(2*i+j, moved(high, [4]int{2 * j, none, 2*j + 1, none}))
		}
	}
	out.scale(halvesAt(k, 80))
	out.minusHalves(k, 82)
}

// eightScalesQ3 reads twelve bytes: the low 4 bits of scales 0-7 and, above them, 8-15, then the high 2 bits of all.
func eightScalesQ3(k *eightRows, out *panelOut) {
	b := eightLines(k, 92) // four bytes of weights come before them, so that nothing behind the block is read
	for i := range 4 {
		v := picked(b[1+i%2], 15, 4*(i/2))
		VPOR(picked(b[3], 48, 2*i-4), v, v)
		addBytes(v, 224) // less 32
		for j := range 4 {
			out.pair(4*i+j, twiceSigned(v, j))
		}
	}
	out.scale(halvesAt(k, 108))
}

func eightScalesQ6(k *eightRows, out *panelOut) {
	for i, v := range eightLines(k, 192) {
		for j := range 4 {
			out.pair(4*i+j, twiceSigned(v, j))
		}
	}
	out.scale(halvesAt(k, 208))
}

// eightScalesQ4 reads the scales and minima of Q4_K and Q5_K: six bits each for 32 weights.
func eightScalesQ4(k *eightRows, out *panelOut) {
	v := eightLines(k, 0)
	fours := func(first VecVirtual, shift int, store func(i int, part VecVirtual)) {
		tail := picked(v[3], 15, shift)
		VPOR(picked(first, 48, 2), tail, tail)
		store(0, picked(first, 63, 0))
		store(1, tail)
	}
	twiceTo := func(store func(i int, v VecVirtual)) func(i int, part VecVirtual) {
		return func(i int, part VecVirtual) {
			for j := range 4 {
				store(4*i+j, twice(part, j))
			}
		}
	}
	mins := twiceTo(out.mins2)
	if out.sums32 {
		mins = func(i int, part VecVirtual) {
			for j := range 2 {
				out.mins2(2*i+j, moved(part, [4]int{2 * j, none, 2*j + 1, none}))
			}
		}
	}
	fours(v[1], 0, twiceTo(out.pair))
	fours(v[2], 4, mins)
	out.scale(halvesAt(k, 0))
	out.minusHalves(k, 2)
}

// eightScalesIQ4 reads 16 bits with the high two of eight scales and 32 bits with their low four.
func eightScalesIQ4(k *eightRows, out *panelOut) {
	v := eightLines(k, 0)
	for i := range 2 {
		b := moved(v[1], [4]int{2 * i, 2 * i, 2*i + 1, 2*i + 1})
		odd := YMM()
		VPSRLW(Imm(4), b, odd)
		VPAND(words("oddnibbles", 0x0f000f00), odd, odd)
		VPAND(words("evennibbles", 0x000f000f), b, b)
		VPOR(b, odd, b)
		high := moved(v[0], [4]int{2 + i, 2 + i, 2 + i, 2 + i})
		for j := range 4 {
			bits := YMM()
			if j < 2 {
				VPSLLW(Imm(uint64(4-2*j)), high, bits)
			} else {
				VPSRLW(Imm(uint64(2*j-4)), high, bits) // by 0 once
			}
			VPAND(words(fmt.Sprintf("high%d", j), 0x30<<(8*j)), bits, bits)
			VPOR(bits, b, b)
		}
		addBytes(b, 224) // less 32
		for j := range 4 {
			out.pair(4*i+j, twiceSigned(b, j))
		}
	}
	out.scale(halvesAt(k, 0))
}
