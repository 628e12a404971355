package main

import (
	"fmt"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// blocks is how a level meets a tile of 64 positions with several queries at a time: so many that each register of keys or
// values, converted once if they are halves, serves as many queries as there are registers for sums.
type blocks struct {
	bytes    int // of a register
	register func() VecVirtual
	zero     func(...VecVirtual)
	sizes    []block
}

// block is queries that are met together with so many registers of keys or of elements of values.
type block struct {
	queries, wide int
}

var (
	wide512 = blocks{bytes: 64, register: ZMM, zero: clearZ, sizes: []block{{6, 4}, {3, 4}, {2, 4}, {1, 4}}}
	wide256 = blocks{bytes: 32, register: YMM, zero: zero, sizes: []block{{6, 2}, {4, 2}, {3, 2}, {2, 4}, {1, 8}}}
)

// registers returns n registers.
func (b blocks) registers(n int) []VecVirtual {
	v := make([]VecVirtual, n)
	for i := range v {
		v[i] = b.register()
	}
	return v
}

// read fills a register with what lies i registers behind from.
func (b blocks) read(to VecVirtual, from Mem, i int, halves bool) {
	if halves {
		VCVTPH2PS(at(from, b.bytes/2*i), to)
	} else {
		VMOVUPS(at(from, b.bytes*i), to)
	}
}

// meet adds to the sums of each query the product of its number with each register that read fills. A single query takes each
// register as soon as it is there: eight of them, eight sums and the number are one register more than AVX2 has.
func (b blocks) meet(sum []VecVirtual, numbers []Mem, read func(i int, to VecVirtual)) {
	wide := len(sum) / len(numbers)
	value, number := b.registers(wide), b.register()
	if len(numbers) == 1 {
		VBROADCASTSS(numbers[0], number)
		for i, v := range value {
			read(i, v)
			VFMADD231PS(v, number, sum[i])
		}
		return
	}
	for i, v := range value {
		read(i, v)
	}
	for r, from := range numbers {
		VBROADCASTSS(from, number)
		for i, v := range value {
			VFMADD231PS(v, number, sum[wide*r+i])
		}
	}
}

// scores writes ref.Scores, or ref.ScoresHalves: sixteen keys lie at each of four places then, and those of the next tile at
// the same place are asked for on the way.
func (b blocks) scores(halves bool) {
	step, perPlace := 1, 256/b.bytes // registers of keys at a place
	if halves {
		step, perPlace = 2, 64/b.bytes
		TEXT("scoresHalves", NOSPLIT, "func(dst, q *float32, keys, next **uint16, n, dim, stride int, scale float32)")
		Doc("scoresHalves sets dst to the scores of n queries with 64 keys, sixteen at each of four places, across and stride elements",
			"apart; dim is even: ref.ScoresHalves.")
	} else {
		TEXT("scores", NOSPLIT, "func(dst, q, keys *float32, n, dim int, scale float32)")
		Doc("scores sets dst to the scores of n queries with 64 keys, which lie across: ref.Scores.")
	}
	Pragma("noescape")
	dst, q, n, along := load("dst"), load("q"), load("n"), load("dim")
	SHLQ(Imm(2), along)
	var across Op = imm(256)
	if halves {
		stride := load("stride")
		SHLQ(Imm(1), stride)
		across = stride
	}
	for _, block := range b.sizes {
		m, wide := block.queries, block.wide
		loop(n, m, func() {
			for first := 0; first < 256/b.bytes; first += wide {
				keys := []GPVirtual{load("keys")}
				if halves {
					list := keys[0]
					keys = make([]GPVirtual, wide/perPlace)
					for i := range keys {
						keys[i] = GP64()
						MOVQ(Mem{Base: list, Disp: 8 * (first/perPlace + i)}, keys[i])
					}
				}
				start, row, dim := GP64(), GP64(), load("dim")
				MOVQ(q, start)
				XORQ(row, row)
				rows, sum := queryRows(start, along, m), b.registers(m*wide)
				b.zero(sum...)
				loop(dim, step, func() {
					for d := range step {
						each := wide / len(keys)
						numbers := make([]Mem, m)
						for r := range rows {
							numbers[r] = at(rows[r], 4*d)
						}
						b.meet(sum, numbers, func(i int, to VecVirtual) {
							from := Mem{Base: keys[i/each], Index: row, Scale: 1}
							if !halves {
								from.Disp = b.bytes * first
							}
							b.read(to, from, i%each, halves)
						})
						for i := 0; halves && i < len(keys); i++ {
							ahead := load("next")
							MOVQ(Mem{Base: ahead, Disp: 8 * (first/perPlace + i)}, ahead)
							PREFETCHT1(Mem{Base: ahead, Index: row, Scale: 1})
						}
						ADDQ(across, row)
					}
					advance(rows, 4*step)
				})
				scale := b.register()
				VBROADCASTSS(address("scale"), scale)
				for i, s := range sum {
					VMULPS(scale, s, s)
					VMOVUPS(s, Mem{Base: dst, Disp: 256*(i/wide) + b.bytes*(first+i%wide)})
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

// mix writes ref.Mix, or ref.MixHalves: sixteen positions lie at each of four places then, and those of the next tile at the
// same place are asked for on the way.
func (b blocks) mix(halves bool) {
	least, size := b.bytes/4, 4 // elements at a time, bytes of one
	if halves {
		least, size = 16, 2
		TEXT("mixHalves", NOSPLIT, "func(acc, p *float32, values, next **uint16, n, dim, first, last int, corrections *float32)")
		Doc("mixHalves adds the weighted values of positions first to last-1, sixteen at each of four places, to the sums of n queries,",
			"dim elements each, a multiple of sixteen: ref.MixHalves.")
	} else {
		TEXT("mix", NOSPLIT, "func(acc, p, values *float32, n, dim, count int, corrections *float32)")
		Doc(fmt.Sprintf("mix adds count weighted values to the sums of n queries, dim elements each, a multiple of %d: ref.Mix.", least))
	}
	Pragma("noescape")
	acc, p, n, stride, corrections := load("acc"), load("p"), load("n"), load("dim"), load("corrections")
	SHLQ(Imm(2), stride)
	for _, block := range b.sizes {
		m := block.queries
		loop(n, m, func() {
			column, dim := GP64(), load("dim") // column is in elements
			XORQ(column, column)
			columns := func(wide int) {
				sums := func() []Mem {
					start := GP64()
					LEAQ(Mem{Base: acc, Index: column, Scale: 4}, start)
					return queryRows(start, stride, m)
				}
				sum := b.registers(wide * m)
				for r, row := range sums() {
					v := b.register()
					VBROADCASTSS(Mem{Base: corrections, Disp: 4 * r}, v)
					for i := range wide {
						VMULPS(at(row, b.bytes*i), v, sum[wide*r+i])
					}
				}
				along := func(count, from GPVirtual, weights Mem, next func()) {
					loop(count, 1, func() {
						numbers := make([]Mem, m)
						for r := range numbers {
							numbers[r] = at(weights, 256*r)
						}
						b.meet(sum, numbers, func(i int, to VecVirtual) { b.read(to, Mem{Base: from}, i, halves) })
						next()
					})
				}
				if halves {
					places(column, stride, func(count, from, ahead, position, row GPVirtual) {
						along(count, from, Mem{Base: p, Index: position, Scale: 4}, func() {
							for line := 0; line < b.bytes/4*size*wide; line += 64 {
								PREFETCHT1(Mem{Base: ahead, Disp: line})
							}
							INCQ(position)
							ADDQ(row, from)
							ADDQ(row, ahead)
						})
					})
				} else {
					from, weights, values := GP64(), GP64(), load("values")
					LEAQ(Mem{Base: values, Index: column, Scale: 4}, from)
					MOVQ(p, weights)
					along(load("count"), from, Mem{Base: weights}, func() {
						ADDQ(imm(4), weights)
						ADDQ(stride, from)
					})
				}
				for r, row := range sums() {
					for i := range wide {
						VMOVUPS(sum[wide*r+i], at(row, b.bytes*i))
					}
				}
				ADDQ(imm(b.bytes/4*wide), column)
			}
			loop(dim, b.bytes/4*block.wide, func() { columns(block.wide) })
			loop(dim, least, func() { columns(4 * least / b.bytes) })
			for range m {
				ADDQ(stride, acc)
			}
			ADDQ(imm(256*m), p)
			ADDQ(imm(4*m), corrections)
		})
	}
	ret()
}

// places runs body for each of the places of a tile of halves at which positions first to last-1 lie: with how many of
// them lie there, the address of a column of the first of them, that of the next tile's at the same place, its number, and the
// bytes from one to the next. body counts the position up.
func places(column, stride GPVirtual, body func(count, from, ahead, position, row GPVirtual)) {
	next, done := label("place"), label("done")
	position, row := load("first"), GP64()
	MOVQ(stride, row)
	SHRQ(Imm(1), row)
	Label(next)
	count := load("last")
	SUBQ(position, count)
	JLE(LabelRef(done))
	from, rest := GP64(), GP64()
	MOVQ(position, from)
	ANDQ(Imm(15), from) // within the place
	MOVQ(U32(16), rest)
	SUBQ(from, rest)
	CMPQ(count, rest)
	CMOVQGT(rest, count)
	IMULQ(row, from)
	LEAQ(Mem{Base: from, Index: column, Scale: 2}, from)
	place, ahead, list := GP64(), GP64(), load("next")
	MOVQ(position, place)
	SHRQ(Imm(4), place)
	MOVQ(from, ahead)
	ADDQ(Mem{Base: list, Index: place, Scale: 8}, ahead)
	Load(Param("values"), list)
	ADDQ(Mem{Base: list, Index: place, Scale: 8}, from)
	body(count, from, ahead, position, row)
	JMP(LabelRef(next))
	Label(done)
}

// queryRows returns the addresses of element 0 of m rows that lie stride bytes apart from base on.
func queryRows(base, stride GPVirtual, m int) []Mem {
	rows := make([]Mem, m)
	b := base
	for i := range rows {
		if i > 0 && i%3 == 0 {
			third := GP64()
			LEAQ(Mem{Base: b, Index: stride, Scale: 2}, third)
			ADDQ(stride, third)
			b = third
		}
		rows[i] = Mem{Base: b}
		if i%3 > 0 {
			rows[i].Index, rows[i].Scale = stride, uint8(i%3)
		}
	}
	return rows
}

// advance moves the rows of queryRows on by bytes.
func advance(rows []Mem, bytes int) {
	for i := 0; i < len(rows); i += 3 {
		ADDQ(imm(bytes), rows[i].Base)
	}
}

// at returns the place bytes after m.
func at(m Mem, bytes int) Mem {
	m.Disp += bytes
	return m
}
