package main

import (
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

// prefetchGroup asks for the next n bytes of the rows after those at hand, in the order in which they lie.
func prefetchGroup(ahead GPVirtual, n int) {
	for line := 0; line < n; line += 64 {
		PREFETCHT1(Mem{Base: ahead, Disp: line})
	}
	ADDQ(imm(n), ahead)
}

func unpackBytes(f byteFormat) {
	name := "unpack" + f.name
	TEXT(name, NOSPLIT, "func(panel *uint8, scales *int8, mins *int16, d, m *float32, w *byte, blocks int)")
	Doc(name + " unpacks sixteen rows of weights into a panel: ref.UnpackBytes.")
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
		emit(k, func(i int, v VecVirtual) { VMOVDQU32(v, Mem{Base: panel, Disp: 64 * i}) })
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
	if !f.super {
		d, m := f.scales(k)
		next("d", d)
		if m != nil {
			next("m", m)
		}
		return
	}
	s := f.superScales(k)
	next("d", s.d)
	if s.m != nil {
		next("m", s.m)
	}
	scales, mins := load("scales"), load("mins")
	for sub := range 16 {
		VPMOVDB(s.scale(sub), Mem{Base: scales, Disp: 16 * sub})
	}
	pairs, pair, _ := s.pairs(128)
	for i := range pairs {
		VMOVDQU32(pair(i), Mem{Base: mins, Disp: 64 * i})
	}
	ADDQ(imm(256), scales)
	ADDQ(imm(64*pairs), mins)
	Store(scales, Param("scales"))
	Store(mins, Param("mins"))
}
