package main

import (
	"fmt"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// byteUnpacking writes the unpacking of sixteen rows to a panel of bytes. Weights without minima get 128 added, whatever
// their own offset is, so that one product serves all.
func byteUnpacking() {
	for _, f := range byteFormats {
		unpackBytes(f)
	}
}

// prefetchGroup asks for n bytes of the rows after the next sixteen, in the order in which they lie.
func prefetchGroup(ahead GPVirtual, n int) {
	for line := 0; line < n; line += 64 {
		PREFETCHT0(Mem{Base: ahead, Disp: line})
	}
	ADDQ(imm(n), ahead)
}

func unpackBytes(f byteFormat) {
	name := "unpack" + f.name
	TEXT(name, NOSPLIT, "func(panel *uint8, scales *int8, mins *int16, d, m *float32, w *byte, blocks int)")
	Doc(name+" unpacks sixteen rows of weights into a panel: Panel.Bytes, and the scales and minima of the formats of which",
		"it knows them.")
	Pragma("noescape")
	k := newSixteenRows(f.blockBytes)
	k.spread()
	panel, count, ahead := load("panel"), load("blocks"), GP64()
	MOVQ(k.size, ahead)
	SHLQ(Imm(4), ahead)
	ADDQ(k.w[0], ahead)
	add := 0
	if !f.minima {
		add = 128 - f.offset
	}
	emit := f.setup(add)
	loop(count, 1, func() {
		prefetchGroup(ahead, 16*f.blockBytes)
		emit(k, func(i int, v VecVirtual) { VMOVDQU32(v, Mem{Base: panel, Disp: 64 * i}) }, func(...int) {})
		size := 512
		if f.super {
			size = 4096
		}
		emitPanelScales(f, k)
		k.advance(f.blockBytes)
		ADDQ(imm(size), panel)
	})
	ret()
}

// next stores a vector at the pointer in a parameter and moves the parameter on.
func next(param string, v ...VecVirtual) {
	p := load(param)
	for i, part := range v {
		VMOVDQU32(part, Mem{Base: p, Disp: 64 * i})
	}
	ADDQ(imm(64*len(v)), p)
	Store(p, Param(param))
}

func emitPanelScales(f byteFormat, k *sixteenRows) {
	switch {
	case f.scales != nil:
		d, m := f.scales(k)
		next("d", d)
		if m != nil {
			next("m", m)
		}
	case f.name == "Q4_K" || f.name == "Q5_K":
		s := newSixBits(k)
		next("d", s.d)
		next("m", s.m)
		scales, mins := load("scales"), load("mins")
		for sub := range 8 {
			v := s.scale(sub)
			VPMOVDB(v, Mem{Base: scales, Disp: 32 * sub})
			VPMOVDB(v, Mem{Base: scales, Disp: 32*sub + 16})
			VMOVDQU32(s.minimum(sub), Mem{Base: mins, Disp: 64 * sub})
		}
		ADDQ(imm(256), scales)
		ADDQ(imm(512), mins)
		Store(scales, Param("scales"))
		Store(mins, Param("mins"))
	case f.name == "Q6_K":
		next("d", k.halves(208))
		scales, mins := load("scales"), load("mins")
		for i, v := range k.lines(192) {
			for j := range 2 {
				VMOVDQU32(signedPairs(v, j, 128), Mem{Base: mins, Disp: 64 * (2*i + j)})
			}
			for j := range 4 {
				VPMOVDB(v, Mem{Base: scales, Disp: 16 * (4*i + j)})
				VPSRLD(Imm(8), v, v)
			}
		}
		ADDQ(imm(256), scales)
		ADDQ(imm(512), mins)
		Store(scales, Param("scales"))
		Store(mins, Param("mins"))
	}
}

// signedPairs returns scales 2*j and 2*j+1 of four as 16-bit integers, times -factor, a power of two.
func signedPairs(v VecVirtual, j, factor int) VecVirtual {
	out, zeros := ZMM(), ZMM()
	VPSHUFB(within(fmt.Sprintf("upperpairs%d", j), [4]int{none, 2 * j, none, 2*j + 1}), v, out)
	shift := 0
	for 256>>shift > factor {
		shift++
	}
	VPSRAW(Imm(uint64(shift)), out, out)
	clearZ(zeros)
	VPSUBW(out, zeros, out)
	return out
}

// sixBits are the scales and minima of Q4_K and Q5_K of sixteen rows: four of each row in a 32-bit word.
type sixBits struct {
	d, m         VecVirtual
	scales, mins [2]VecVirtual
}

func newSixBits(k *sixteenRows) *sixBits {
	v := k.lines(0)
	s := &sixBits{}
	low, six, two := repeated("nibbles", 15), repeated("bytes63", 63), repeated("bytes48", 48)
	fours := func(first, last VecVirtual, shift int) [2]VecVirtual {
		head, tail, upper := ZMM(), masked(last, low, shift), masked(first, two, 2)
		VPANDD(six, first, head)
		VPORD(upper, tail, tail)
		return [2]VecVirtual{head, tail}
	}
	s.scales = fours(v[1], v[3], 0)
	s.mins = fours(v[2], v[3], 4)
	s.d, s.m = splitHalves(v[0])
	sign := ZMM()
	VPBROADCASTD(words("sign", 0x80000000), sign)
	VPXORD(sign, s.m, s.m)
	return s
}

// scale returns the scale of a sub-block of 32 as 32-bit integers.
func (s *sixBits) scale(sub int) VecVirtual {
	v := ZMM()
	VPSHUFB(within(fmt.Sprintf("byte%d", sub%4), [4]int{sub % 4, none, none, none}), s.scales[sub/4], v)
	return v
}

// minimum returns the minimum of a sub-block of 32 as two 16-bit integers.
func (s *sixBits) minimum(sub int) VecVirtual {
	v := ZMM()
	VPSHUFB(within(fmt.Sprintf("pair%d", sub%4), [4]int{sub % 4, none, sub % 4, none}), s.mins[sub/4], v)
	return v
}
