package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// halfTiles is how a level meets a cache of halves where it lies, sixteen positions at a place: ref.HalfTile.
type halfTiles struct {
	bytes    int // of a register
	register func() VecVirtual
	zero     func(...VecVirtual)
	scores   []halfBlock
	mix      []halfBlock
}

// halfBlock is queries that are met together with so many registers of keys or of elements of values, as registers permit.
type halfBlock struct {
	queries, wide int
}

var (
	wide512 = halfTiles{
		bytes: 64, register: ZMM, zero: clearZ,
		scores: []halfBlock{{8, 2}, {4, 4}, {3, 4}, {2, 4}, {1, 4}},
		mix:    []halfBlock{{8, 2}, {4, 4}, {3, 4}, {2, 4}, {1, 4}},
	}
	wide256 = halfTiles{
		bytes: 32, register: YMM, zero: zero,
		scores: []halfBlock{{4, 2}, {3, 2}, {2, 4}, {1, 8}},
		mix:    []halfBlock{{4, 2}, {3, 2}, {2, 4}, {1, 8}},
	}
)

// registers returns n registers.
func (h halfTiles) registers(n int) []VecVirtual {
	v := make([]VecVirtual, n)
	for i := range v {
		v[i] = h.register()
	}
	return v
}

// scoresHalves writes the scores of queries with keys that are converted on their way into registers.
func scoresHalves(h halfTiles) {
	TEXT("scoresHalves", NOSPLIT, "func(dst, q *float32, keys, next **uint16, n, dim, stride int, scale float32)")
	Doc("scoresHalves sets dst to the scores of n queries with 64 keys, sixteen at each of four places, across and stride elements",
		"apart; dim is even: ref.ScoresHalves.")
	Pragma("noescape")
	dst, q, n := load("dst"), load("q"), load("n")
	across, along := load("stride"), load("dim")
	SHLQ(Imm(1), across)
	SHLQ(Imm(2), along)
	perQuarter := 64 / h.bytes // registers that hold sixteen keys
	for _, block := range h.scores {
		m, wide := block.queries, block.wide
		loop(n, m, func() {
			for first := 0; first < 64*4/h.bytes; first += wide {
				keys := make([]GPVirtual, wide/perQuarter)
				list := load("keys")
				for i := range keys {
					keys[i] = GP64()
					MOVQ(Mem{Base: list, Disp: 8 * (first/perQuarter + i)}, keys[i])
				}
				start, dim := GP64(), load("dim")
				MOVQ(q, start)
				rows := queryRows(start, along, m)
				sum := h.registers(m * wide)
				h.zero(sum...)
				row := GP64()
				XORQ(row, row)
				loop(dim, 2, func() {
					for d := range 2 {
						key, v := h.registers(wide), h.register()
						for i := range key {
							VCVTPH2PS(Mem{Base: keys[i/perQuarter], Index: row, Scale: 1, Disp: h.bytes / 2 * (i % perQuarter)}, key[i])
						}
						for i := range keys {
							ahead := load("next")
							MOVQ(Mem{Base: ahead, Disp: 8 * (first/perQuarter + i)}, ahead)
							PREFETCHT1(Mem{Base: ahead, Index: row, Scale: 1})
						}
						for r := range rows {
							VBROADCASTSS(at(rows[r], 4*d), v)
							for i := range key {
								VFMADD231PS(key[i], v, sum[wide*r+i])
							}
						}
						ADDQ(across, row)
					}
					advance(rows, 8)
				})
				scale := h.register()
				VBROADCASTSS(address("scale"), scale)
				for r := range rows {
					for i := range wide {
						VMULPS(scale, sum[wide*r+i], sum[wide*r+i])
						VMOVUPS(sum[wide*r+i], Mem{Base: dst, Disp: 256*r + h.bytes*(first+i)})
					}
				}
			}
			ADDQ(imm(256*m), dst)
			for range m {
				ADDQ(along, q)
			}
		})
	}
	ret()
}

// mixHalves writes the sums of values that are converted on their way into registers.
func mixHalves(h halfTiles) {
	TEXT("mixHalves", NOSPLIT, "func(acc, p *float32, values, next **uint16, n, dim, first, last int, corrections *float32)")
	Doc("mixHalves adds the weighted values of positions first to last-1, sixteen at each of four places, to the sums of n queries,",
		"dim elements each, a multiple of sixteen: ref.MixHalves.")
	Pragma("noescape")
	acc, p, n, stride, corrections := load("acc"), load("p"), load("n"), load("dim"), load("corrections")
	SHLQ(Imm(1), stride)
	for _, block := range h.mix {
		m := block.queries
		loop(n, m, func() {
			column, dim := GP64(), load("dim") // column is in bytes of halves
			XORQ(column, column)
			columns := func(wide int) {
				sums := func() []Mem {
					start, along := GP64(), GP64()
					LEAQ(Mem{Base: acc, Index: column, Scale: 2}, start)
					LEAQ(Mem{Base: stride, Index: stride, Scale: 1}, along)
					return queryRows(start, along, m)
				}
				sum := h.registers(wide * m)
				for r, row := range sums() {
					v := h.register()
					VBROADCASTSS(Mem{Base: corrections, Disp: 4 * r}, v)
					for i := range wide {
						VMULPS(at(row, h.bytes*i), v, sum[wide*r+i])
					}
				}
				next, done := label("quarter"), label("done")
				position := load("first")
				Label(next)
				count := load("last")
				SUBQ(position, count)
				JLE(LabelRef(done))
				from, whole := GP64(), GP64()
				MOVQ(position, from)
				ANDQ(Imm(15), from) // within the quarter
				MOVQ(U32(16), whole)
				SUBQ(from, whole)
				CMPQ(count, whole)
				CMOVQGT(whole, count)
				IMULQ(stride, from)
				ADDQ(column, from)
				quarter, ahead, list := GP64(), GP64(), load("next")
				MOVQ(position, quarter)
				SHRQ(Imm(4), quarter)
				MOVQ(from, ahead)
				ADDQ(Mem{Base: list, Index: quarter, Scale: 8}, ahead)
				Load(Param("values"), list)
				ADDQ(Mem{Base: list, Index: quarter, Scale: 8}, from)
				loop(count, 1, func() {
					value, w := h.registers(wide), h.register()
					for i := range value {
						VCVTPH2PS(Mem{Base: from, Disp: h.bytes / 2 * i}, value[i])
					}
					for line := 0; line < h.bytes/2*wide; line += 64 {
						PREFETCHT1(Mem{Base: ahead, Disp: line})
					}
					ADDQ(stride, ahead)
					for r := range m {
						VBROADCASTSS(Mem{Base: p, Index: position, Scale: 4, Disp: 256 * r}, w)
						for i := range value {
							VFMADD231PS(value[i], w, sum[wide*r+i])
						}
					}
					INCQ(position)
					ADDQ(stride, from)
				})
				JMP(LabelRef(next))
				Label(done)
				for r, row := range sums() {
					for i := range wide {
						VMOVUPS(sum[wide*r+i], at(row, h.bytes*i))
					}
				}
				ADDQ(imm(h.bytes/2*wide), column)
			}
			loop(dim, block.wide*h.bytes/4, func() { columns(block.wide) })
			loop(dim, 16, func() { columns(64 / h.bytes) })
			for range m {
				LEAQ(Mem{Base: acc, Index: stride, Scale: 2}, acc)
			}
			ADDQ(imm(256*m), p)
			ADDQ(imm(4*m), corrections)
		})
	}
	ret()
}
