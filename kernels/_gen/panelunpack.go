package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// transpose turns four registers, each with four words of one row in either half, into four registers that hold word i of
// rows 0-3 in the low and of rows 4-7 in the high half.
func transpose(v [4]VecVirtual) [4]VecVirtual {
	a, b, c, d := YMM(), YMM(), v[1], v[3]
	VPUNPCKLDQ(v[1], v[0], a)
	VPUNPCKHDQ(v[1], v[0], c)
	VPUNPCKLDQ(v[3], v[2], b)
	VPUNPCKHDQ(v[3], v[2], d)
	out := [4]VecVirtual{v[0], v[2], YMM(), YMM()}
	VPUNPCKLQDQ(b, a, out[0])
	VPUNPCKHQDQ(b, a, out[1])
	VPUNPCKLQDQ(d, c, out[2])
	VPUNPCKHQDQ(d, c, out[3])
	return out
}

// unpackQ4 writes the unpacking of eight rows into one half of a panel of nibbles: for each block and each four
// consecutive inputs a line of 64 bytes, four for each of sixteen rows.
func unpackQ4(name string, blockBytes int, minima bool) {
	TEXT(name, NOSPLIT, "func(panel *uint8, d, m *float32, w *byte, blocks int)")
	Doc(name + " unpacks eight rows of weights into half of a panel, whose lines are 64 bytes: Panel.Bytes.")
	Pragma("noescape")
	k := &eightRows{w: load("w"), w4: GP64(), size: GP64(), size3: GP64()}
	panel, d, count := load("panel"), load("d"), load("blocks")
	var m GPVirtual
	if minima {
		m = load("m")
	}
	IMUL3Q(imm(blockBytes), count, k.size)
	LEAQ(Mem{Base: k.size, Index: k.size, Scale: 2}, k.size3)
	LEAQ(Mem{Base: k.w, Index: k.size, Scale: 4}, k.w4)
	nibble := YMM()
	VMOVDQU(words("nibbles", 0x0f0f0f0f), nibble)
	head := blockBytes - 16
	loop(count, 1, func() {
		var low, high [4]VecVirtual
		for r := range low {
			low[r], high[r] = YMM(), YMM()
			VMOVDQU(k.at(r, head), low[r].AsX())
			VINSERTI128(Imm(1), k.at(r+4, head), low[r], low[r])
			VPSRLW(Imm(4), low[r], high[r])
			VPAND(nibble, low[r], low[r])
			VPAND(nibble, high[r], high[r])
		}
		for i, v := range transpose(low) {
			VMOVDQU(v, Mem{Base: panel, Disp: 64 * i})
		}
		for i, v := range transpose(high) {
			VMOVDQU(v, Mem{Base: panel, Disp: 64 * (4 + i)})
		}
		if minima {
			dv, mv := scalesAndMinima(k)
			VMOVUPS(dv, Mem{Base: d})
			VMOVUPS(mv, Mem{Base: m})
			ADDQ(imm(64), m)
		} else {
			VMOVUPS(halvesOfRows(k), Mem{Base: d})
		}
		ADDQ(imm(64), d)
		ADDQ(imm(512), panel)
		ADDQ(imm(blockBytes), k.w)
		ADDQ(imm(blockBytes), k.w4)
	})
	ret()
}

// interleave writes the transposition of sixteen rows of 16-bit weights into the lines of a panel.
func interleave() {
	TEXT("interleave", NOSPLIT, "func(panel, src *int16, stride, lines int)")
	Doc("interleave writes pair i of each of sixteen rows, which begin stride bytes apart, to line i of a panel. lines is a",
		"multiple of four.")
	Pragma("noescape")
	panel, lines, second := load("panel"), load("lines"), GP64()
	k := &eightRows{w: load("src"), w4: GP64(), size: load("stride"), size3: GP64()}
	LEAQ(Mem{Base: k.size, Index: k.size, Scale: 2}, k.size3)
	LEAQ(Mem{Base: k.w, Index: k.size, Scale: 8}, second)
	loop(lines, 4, func() {
		for half, w := range []GPVirtual{k.w, second} {
			part := *k
			part.w = w
			LEAQ(Mem{Base: w, Index: k.size, Scale: 4}, part.w4)
			var v [4]VecVirtual
			for r := range v {
				v[r] = YMM()
				VMOVDQU(part.at(r, 0), v[r].AsX())
				VINSERTI128(Imm(1), part.at(r+4, 0), v[r], v[r])
			}
			for i, line := range transpose(v) {
				VMOVDQU(line, Mem{Base: panel, Disp: 64*i + 32*half})
			}
			ADDQ(imm(16), w)
		}
		ADDQ(imm(256), panel)
	})
	ret()
}
