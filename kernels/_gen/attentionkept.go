package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// Where one reading of a tile does not serve all queries, the first of them leave what they convert, half a row of keys or 32
// columns of values after the other, to the others. That half is 8 KB for heads of 64 and stays in the first-level cache.

// keepers are the queries that convert; those that meet what they left take the sizes of others.
var (
	keepers = block{6, 2}
	others  = []block{{2, 4}, {1, 4}}
)

// keptRow is the bytes of a row of what is kept: four registers.
const keptRow = 128

// kept is where a row of it lies: nowhere, where it is nil.
type kept struct {
	row GPVirtual
}

// keep leaves the i-th register of those that are converted together.
func (k *kept) keep(i int, v VecVirtual) {
	if k != nil {
		VMOVUPS(v, Mem{Base: k.row, Disp: 32 * i})
	}
}

// next moves on to the next row.
func (k *kept) next() {
	if k != nil {
		ADDQ(imm(keptRow), k.row)
	}
}

// keepScores is the frame of scores that keep keys: as eachScores, where n is more than the keepers are.
func (b blocks) keepScores(add func(first int, rows []Mem, sum []VecVirtual, k *kept)) {
	dst, q, along := load("dst"), load("q"), load("dim")
	SHLQ(Imm(2), along)
	for first := 0; first < 8; first += 4 {
		b.blockScores(keepers, first, first+4, dst, q, along, func(at int, rows []Mem, sum []VecVirtual) {
			k := &kept{load("room")}
			ADDQ(imm(32*(at-first)), k.row)
			add(at, rows, sum, k)
		})
		to, from, n := GP64(), GP64(), load("n")
		LEAQ(Mem{Base: dst, Disp: 256 * keepers.queries}, to)
		MOVQ(q, from)
		for range keepers.queries {
			ADDQ(along, from)
		}
		SUBQ(imm(keepers.queries), n)
		for _, block := range others {
			loop(n, block.queries, func() {
				b.blockScores(block, first, first+4, to, from, along, func(_ int, rows []Mem, sum []VecVirtual) {
					k, dim := &kept{load("room")}, load("dim")
					loop(dim, 1, func() {
						b.meet(sum, rows, func(i int, to VecVirtual) { VMOVUPS(Mem{Base: k.row, Disp: 32 * i}, to) })
						k.next()
						advance(rows, 4)
					})
				})
				ADDQ(imm(256*block.queries), to)
				for range block.queries {
					ADDQ(along, from)
				}
			})
		}
	}
	ret()
}

// keepMix is the frame of mix that keeps values: as eachMix, where n is more than the keepers are and columns are multiples
// of 32.
func (b blocks) keepMix(add func(m *mixing, k *kept)) {
	stride, column, dim := load("dim"), GP64(), load("dim")
	SHLQ(Imm(2), stride)
	XORQ(column, column)
	loop(dim, 32, func() {
		for part := range 2 {
			m := &mixing{p: load("p"), stride: stride, column: column, part: part, queries: keepers.queries}
			b.mixColumns(m, 2, load("acc"), load("corrections"), func(m *mixing) {
				k := &kept{b.keptValues()}
				ADDQ(imm(64*part), k.row)
				add(m, k)
			})
			ADDQ(imm(16), column)
		}
		SUBQ(imm(32), column)
		acc, p, n, corrections := load("acc"), load("p"), load("n"), load("corrections")
		for range keepers.queries {
			ADDQ(stride, acc)
		}
		ADDQ(imm(256*keepers.queries), p)
		ADDQ(imm(4*keepers.queries), corrections)
		SUBQ(imm(keepers.queries), n)
		for _, block := range others {
			loop(n, block.queries, func() {
				m := &mixing{p: p, stride: stride, column: column, queries: block.queries}
				b.mixColumns(m, 4, acc, corrections, func(m *mixing) {
					k, position, count := &kept{b.keptValues()}, load("first"), load("last")
					SUBQ(position, count)
					repeat(count, 1, func() {
						b.meet(m.sum, m.weights(Mem{Base: p, Index: position, Scale: 4}), func(i int, to VecVirtual) {
							VMOVUPS(Mem{Base: k.row, Disp: 32 * i}, to)
						})
						k.next()
						INCQ(position)
					})
				})
				for range block.queries {
					ADDQ(stride, acc)
				}
				ADDQ(imm(256*block.queries), p)
				ADDQ(imm(4*block.queries), corrections)
			})
		}
		ADDQ(imm(32), column)
	})
	ret()
}

// keptValues returns where the first position's row lies.
func (b blocks) keptValues() GPVirtual {
	row, room := load("first"), load("room")
	IMUL3Q(imm(keptRow), row, row)
	ADDQ(room, row)
	return row
}
