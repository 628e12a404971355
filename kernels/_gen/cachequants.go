package main

import (
	"math"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// cacheQuants writes what reads and writes caches of quantized types: keys, which lie across, and values along.
func cacheQuants() {
	cacheReaders(&width{parts: 2, bytes: 32, register: func() VecVirtual { return YMM() }})
	encodeQ8()
	encodeQ4()
}

// cacheQuants512 writes the readers for registers of sixteen lanes. Rows are written too seldom to gain by them.
func cacheQuants512() {
	cacheReaders(&width{parts: 1, bytes: 64, register: func() VecVirtual { return ZMM() }})
}

// width is how sixteen lanes are held: in parts registers of bytes each.
type width struct {
	parts, bytes int
	register     func() VecVirtual
	// What nibbles need: in AVX2 a mask and the offset, in AVX-512 a table of their values.
	mask, eight, codes VecVirtual
}

func cacheReaders(w *width) {
	keysQ8(w)
	keysQ4(w)
	valuesQ8(w)
	valuesQ4(w)
}

// set returns registers for sixteen lanes.
func (w *width) set() []VecVirtual {
	v := make([]VecVirtual, w.parts)
	for i := range v {
		v[i] = w.register()
	}
	return v
}

// store multiplies sixteen lanes of floats by scale and writes them.
func (w *width) store(v, scale []VecVirtual, to Mem) {
	for i := range v {
		VMULPS(scale[i], v[i], v[i])
		VMOVUPS(v[i], at(to, w.bytes*i))
	}
}

// signed returns the sixteen int8 at from as floats.
func (w *width) signed(from Mem) []VecVirtual {
	v := w.set()
	for i := range v {
		VPMOVSXBD(at(from, w.bytes/4*i), v[i])
		VCVTDQ2PS(v[i], v[i])
	}
	return v
}

// nibbleConstants fetches what nibbles needs.
func (w *width) nibbleConstants() {
	if w.parts == 2 {
		w.eight, w.mask = YMM(), YMM()
		VMOVDQU(words("eights32", 8), w.eight)
		VMOVDQU(words("nibbles32", 15), w.mask)
		return
	}
	// VPERMPS looks at the low four bits of a lane alone.
	m, ok := constants["nibbleValues"]
	if !ok {
		m = GLOBL("nibbleValues", RODATA|NOPTR)
		for i := range 16 {
			DATA(4*i, U32(math.Float32bits(float32(i-8))))
		}
		constants["nibbleValues"] = m
	}
	w.codes = ZMM()
	VMOVUPS(m, w.codes)
}

// nibbles returns the low and the high halves of sixteen bytes, less 8, as floats.
func (w *width) nibbles(from Mem) (low, high []VecVirtual) {
	low, high = w.set(), w.set()
	for i := range low {
		VPMOVZXBD(at(from, w.bytes/4*i), low[i])
		VPSRLD(Imm(4), low[i], high[i])
		if w.parts == 1 {
			VPERMPS(w.codes, low[i], low[i])
			VPERMPS(w.codes, high[i], high[i])
			continue
		}
		VPAND(w.mask, low[i], low[i])
		for _, v := range []VecVirtual{low[i], high[i]} {
			VPSUBD(w.eight, v, v)
			VCVTDQ2PS(v, v)
		}
	}
	return low, high
}

// keyColumns is the frame of the readers of keys: group by group, sixteen tokens at a time. rows, called once, writes what
// reads all quants of sixteen tokens; from and to stand at the first ones, tokens and stride are the bytes to the next.
func keyColumns(name string, w *width, quants int, rows func(from, tokens, to, stride GPVirtual, scale []VecVirtual)) {
	TEXT(name, NOSPLIT, "func(dst *float32, stride int, src *byte, groups, tokens int)")
	Doc(name + " reads the keys of a page of tokens, a multiple of sixteen, to rows stride bytes apart: ref.LoadKeyQuants.")
	Pragma("noescape")
	dst, stride, src, groups, tokens := load("dst"), load("stride"), load("src"), load("groups"), load("tokens")
	if quants == 16 {
		w.nibbleConstants()
	}
	from, to, q, column, columns := GP64(), GP64(), GP64(), GP64(), GP64()
	loop(groups, 1, func() {
		LEAQ(Mem{Base: src, Index: tokens, Scale: 2}, q)
		MOVQ(dst, column)
		MOVQ(tokens, columns)
		loop(columns, 16, func() {
			scale := w.set()
			for i := range scale {
				VCVTPH2PS(Mem{Base: src, Disp: w.bytes / 2 * i}, scale[i])
			}
			MOVQ(q, from)
			MOVQ(column, to)
			rows(from, tokens, to, stride, scale)
			ADDQ(imm(32), src)
			ADDQ(imm(16), q)
			ADDQ(imm(64), column)
		})
		// q stands behind the first row of quants: the next group begins behind the last.
		IMUL3Q(imm(quants-1), tokens, src)
		ADDQ(q, src)
		MOVQ(stride, column)
		SHLQ(Imm(5), column)
		ADDQ(column, dst)
	})
	ret()
}

func keysQ8(w *width) {
	keyColumns("keysQ8_0", w, 32, func(from, tokens, to, stride GPVirtual, scale []VecVirtual) {
		count := GP64()
		MOVQ(U32(32), count)
		loop(count, 4, func() {
			for range 2 {
				w.store(w.signed(Mem{Base: from}), scale, Mem{Base: to})
				w.store(w.signed(Mem{Base: from, Index: tokens, Scale: 1}), scale, Mem{Base: to, Index: stride, Scale: 1})
				LEAQ(Mem{Base: from, Index: tokens, Scale: 2}, from)
				LEAQ(Mem{Base: to, Index: stride, Scale: 2}, to)
			}
		})
	})
}

func keysQ4(w *width) {
	keyColumns("keysQ4_0", w, 16, func(from, tokens, to, stride GPVirtual, scale []VecVirtual) {
		count, upper := GP64(), GP64()
		MOVQ(stride, upper)
		SHLQ(Imm(4), upper)
		ADDQ(to, upper)
		MOVQ(U32(16), count)
		loop(count, 2, func() {
			for i := range 2 {
				low, high := w.nibbles(Mem{Base: from})
				if i == 0 {
					w.store(low, scale, Mem{Base: to})
					w.store(high, scale, Mem{Base: upper})
				} else {
					w.store(low, scale, Mem{Base: to, Index: stride, Scale: 1})
					w.store(high, scale, Mem{Base: upper, Index: stride, Scale: 1})
				}
				ADDQ(tokens, from)
			}
			LEAQ(Mem{Base: to, Index: stride, Scale: 2}, to)
			LEAQ(Mem{Base: upper, Index: stride, Scale: 2}, upper)
		})
	})
}

// valueBlocks is the frame of the readers of values: block by block. block gets the scale in all lanes.
func valueBlocks(name, typ string, w *width, size int, block func(src, dst GPVirtual, scale []VecVirtual)) {
	TEXT(name, NOSPLIT, "func(dst *float32, src *byte, blocks int)")
	Doc(name + " decodes blocks of " + typ + ": quant.Decode.")
	Pragma("noescape")
	dst, src, blocks := load("dst"), load("src"), load("blocks")
	if size == 18 {
		w.nibbleConstants()
	}
	loop(blocks, 1, func() {
		one, half := w.register(), YMM()
		if w.parts == 2 {
			VPBROADCASTW(Mem{Base: src}, half.AsX())
			VCVTPH2PS(half.AsX(), one)
		} else {
			VPBROADCASTW(Mem{Base: src}, half)
			VCVTPH2PS(half, one)
		}
		scale := make([]VecVirtual, w.parts)
		for i := range scale {
			scale[i] = one
		}
		block(src, dst, scale)
		ADDQ(imm(size), src)
		ADDQ(imm(128), dst)
	})
	ret()
}

func valuesQ8(w *width) {
	valueBlocks("valuesQ8_0", "Q8_0", w, 34, func(src, dst GPVirtual, scale []VecVirtual) {
		w.store(w.signed(Mem{Base: src, Disp: 2}), scale, Mem{Base: dst})
		w.store(w.signed(Mem{Base: src, Disp: 18}), scale, Mem{Base: dst, Disp: 64})
	})
}

func valuesQ4(w *width) {
	valueBlocks("valuesQ4_0", "Q4_0", w, 18, func(src, dst GPVirtual, scale []VecVirtual) {
		low, high := w.nibbles(Mem{Base: src, Disp: 2})
		w.store(low, scale, Mem{Base: dst})
		w.store(high, scale, Mem{Base: dst, Disp: 64})
	})
}
