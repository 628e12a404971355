package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// eightUnpacking writes the unpacking of eight rows to one half of the lines of a panel of bytes.
func eightUnpacking() {
	for _, f := range eightFormats {
		unpackEight(f)
	}
}

func unpackEight(f eightFormat) {
	name := "unpackBytes" + f.name
	TEXT(name, NOSPLIT, "func(panel *uint8, pairs, mins *int16, d, m *float32, w *byte, blocks int)")
	Doc(name + " unpacks eight rows of weights into half of a panel, whose lines are 64 bytes: UnpackBytes.")
	Pragma("noescape")
	k := &eightRows{w: load("w"), w4: GP64(), size: GP64(), size3: GP64()}
	panel, count := load("panel"), load("blocks")
	out := &panelOut{d: load("d"), m: load("m"), pairs: load("pairs"), mins: load("mins")}
	IMUL3Q(imm(f.blockBytes), count, k.size)
	LEAQ(Mem{Base: k.size, Index: k.size, Scale: 2}, k.size3)
	LEAQ(Mem{Base: k.w, Index: k.size, Scale: 4}, k.w4)
	loop(count, 1, func() {
		lines := 0
		f.emit(k, func(i int, v VecVirtual) {
			lines = max(lines, i+1)
			VMOVDQU(v, Mem{Base: panel, Disp: 64 * i})
		})
		f.scales(k, out)
		ADDQ(imm(64*lines), panel)
		ADDQ(imm(64), out.d)
		ADDQ(imm(64), out.m)
		if lines == 64 {
			ADDQ(imm(1024), out.pairs)
			ADDQ(imm(512), out.mins)
		}
		ADDQ(imm(f.blockBytes), k.w)
		ADDQ(imm(f.blockBytes), k.w4)
	})
	ret()
}
