package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// paged512 is how queries meet a cache where it lies in registers of sixteen lanes, a place's keys in each: with twice as many of
// them as AVX2 has, eight queries share what is converted once.
var paged512 = blocks{
	bytes: 64, register: ZMM, zero: clearZ, there: true,
	sizes: []block{{8, 2}, {7, 2}, {6, 2}, {5, 2}, {4, 4}, {3, 4}, {2, 4}, {1, 4}},
}

// attentionPaged512 writes ref.ScoresPaged and ref.MixPaged for halves and for both quantized types.
func attentionPaged512() {
	paged512.scoresHalves()
	paged512.mixHalves()
	for _, f := range quantizedCaches {
		paged512.scoresWide(f)
		paged512.mixWide(f)
	}
}

// scoresWide writes ref.ScoresPaged for a quantized type.
func (b blocks) scoresWide(f cacheBlocks) {
	f.scoresHead()
	w := &width{parts: 1, bytes: 64, register: b.register}
	if f.nibbles() {
		w.nibbleConstants()
	}
	b.eachScores(func(first int, rows []Mem, sum []VecVirtual) {
		tokens := load("tokens")
		wide := len(sum) / len(rows)
		keys, row, dim, count := places("keys", 4+first, wide), GP64(), load("dim"), GP64()
		XORQ(row, row)
		next, scales := newAhead(4+first, wide), b.registers(wide)
		quants := func(turns int, upper bool) {
			MOVQ(U32(uint32(turns)), count)
			repeat(count, 2, func() {
				for d := range 2 {
					b.meet(sum, elements(rows, d), func(i int, to VecVirtual) {
						w.quants(f, Mem{Base: keys[i], Index: row, Scale: 1}, upper, to)
						VMULPS(scales[i], to, to)
					})
					if !upper {
						next.ask(d, row)
					}
					ADDQ(tokens, row)
				}
				advance(rows, 8)
			})
		}
		loop(dim, 32, func() {
			for i, s := range scales {
				VCVTPH2PS(Mem{Base: places("keys", first+i, 1)[0], Index: row, Scale: 1}, s)
				PREFETCHT1(Mem{Base: places("next", first+i, 1)[0], Index: row, Scale: 1})
			}
			quants(f.size-2, false)
			if f.nibbles() {
				MOVQ(tokens, count)
				SHLQ(Imm(4), count)
				SUBQ(count, row)
				quants(16, true)
			}
			LEAQ(Mem{Base: row, Index: tokens, Scale: 2}, row)
		})
	})
}

// quants makes the sixteen quants at from floats, of nibbles the lower ones of bytes, or the upper.
func (w *width) quants(f cacheBlocks, from Mem, upper bool, to VecVirtual) {
	if !f.nibbles() {
		VPMOVSXBD(from, to)
		VCVTDQ2PS(to, to)
		return
	}
	VPMOVZXBD(from, to)
	if upper {
		VPSRLD(Imm(4), to, to)
	}
	VPERMPS(w.codes, to, to)
}

// mixWide writes ref.MixPaged for a quantized type.
func (b blocks) mixWide(f cacheBlocks) {
	f.mixHead()
	w := &width{parts: 1, bytes: 64, register: b.register}
	if f.nibbles() {
		w.nibbleConstants()
	}
	b.eachMix(32, func(m *mixing) {
		row := load("dim")
		f.bytes(row)
		addColumns := f.columns(m)
		b.eachPosition(m, row, addColumns, func(from, ahead Mem, numbers []Mem) {
			var scale VecVirtual
			b.meet(m.sum, numbers, func(i int, to VecVirtual) {
				block, second := i/2, i%2
				if second == 0 {
					scale = ZMM()
					VPBROADCASTW(at(from, f.size*block), scale.AsY())
					VCVTPH2PS(scale.AsY(), scale)
				}
				first := f.size*block + 2
				if !f.nibbles() {
					first += 16 * second
				}
				w.quants(f, at(from, first), second > 0, to)
				VMULPS(scale, to, to)
			})
			for block := range len(m.sum) / m.queries / 2 {
				PREFETCHT1(at(ahead, f.size*block))
			}
		})
	})
}
