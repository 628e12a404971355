package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// eightUnpacking writes the unpacking of eight rows to one half of the lines of a panel: as bytes, and of the formats
// whose weights fill a signed byte as 16-bit weights too.
func eightUnpacking() {
	for _, f := range eightFormats {
		unpackEight("unpackBytes"+f.name, f, false)
		if f.signed {
			unpackEight("unpackWide"+f.name, f, true)
		}
	}
}

func unpackEight(name string, f eightFormat, wide bool) {
	panelType := "*uint8"
	if wide {
		panelType = "*int16"
	}
	TEXT(name, NOSPLIT, "func(panel "+panelType+", pairs, mins *int16, d, m *float32, w *byte, blocks int)")
	Doc(name + " unpacks eight rows of weights into half of a panel, whose lines are 64 bytes.")
	Pragma("noescape")
	k := &eightRows{w: load("w"), w4: GP64(), size: GP64(), size3: GP64()}
	panel, count := load("panel"), load("blocks")
	d, m, pairs, mins := load("d"), load("m"), load("pairs"), load("mins")
	out := &panelOut{d: Mem{Base: d}, m: Mem{Base: m}, pairs: Mem{Base: pairs}, mins: Mem{Base: mins}}
	IMUL3Q(imm(f.blockBytes), count, k.size)
	LEAQ(Mem{Base: k.size, Index: k.size, Scale: 2}, k.size3)
	LEAQ(Mem{Base: k.w, Index: k.size, Scale: 4}, k.w4)
	ahead := GP64()
	LEAQ(Mem{Base: k.w, Index: k.size, Scale: 8}, ahead)
	loop(count, 1, func() {
		prefetchGroup(ahead, 8*f.blockBytes)
		f.scales(k, out)
		lines := 0
		for piece := range f.pieces {
			f.emit(k, piece, func(i int, v VecVirtual) {
				lines = max(lines, i+1)
				switch {
				case wide:
					storeWide(f, panel, out, i, v)
				case f.signed:
					VPXOR(constant8(128), v, v)
					VMOVDQU(v, Mem{Base: panel, Disp: 64 * i})
				default:
					VMOVDQU(v, Mem{Base: panel, Disp: 64 * i})
				}
			})
		}
		size := 64 * lines
		if wide {
			size *= 2
		}
		ADDQ(imm(size), panel)
		ADDQ(imm(64), d)
		ADDQ(imm(64), m)
		if lines == 64 {
			ADDQ(imm(1024), pairs)
			ADDQ(imm(512), mins)
		}
		ADDQ(imm(f.blockBytes), k.w)
		ADDQ(imm(f.blockBytes), k.w4)
	})
	ret()
}

// storeWide writes line i of signed bytes as two lines of 16-bit weights, times the scale of a sub-block of 32.
func storeWide(f eightFormat, panel GPVirtual, out *panelOut, i int, v VecVirtual) {
	for half := range 2 {
		pair := moved(v, [4]int{none, 2 * half, none, 2*half + 1})
		VPSRAW(Imm(8), pair, pair)
		if f.blockBytes > 34 {
			VPMULLW(out.pairs.Offset(64*(i/8)), pair, pair)
		}
		VMOVDQU(pair, Mem{Base: panel, Disp: 64 * (2*i + half)})
	}
}

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
