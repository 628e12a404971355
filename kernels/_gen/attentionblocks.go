package main

import (
	"fmt"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// blocks is how a level meets a tile of 64 positions with several queries at a time: so many that each register of keys or
// values, converted once if they are no float32, serves as many queries as there are registers for sums.
type blocks struct {
	bytes    int // of a register
	register func() VecVirtual
	zero     func(...VecVirtual)
	sizes    []block
	there    bool // multiplications spread the queries' numbers themselves
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

// meet adds to the sums of each query the product of its number with each register that read fills. A single query takes each
// register as soon as it is there: eight of them, eight sums and the number are one register more than AVX2 has. Where the
// multiplications spread the numbers themselves, conversions cost nothing beside them: a broadcast to a register would take
// their places.
func (b blocks) meet(sum []VecVirtual, numbers []Mem, read func(i int, to VecVirtual)) {
	wide := len(sum) / len(numbers)
	value, number := b.registers(wide), b.register()
	if len(numbers) == 1 && !b.there {
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
		if b.there {
			for i, v := range value {
				VFMADD231PS_BCST(from, v, sum[wide*r+i])
			}
			continue
		}
		VBROADCASTSS(from, number)
		for i, v := range value {
			VFMADD231PS(v, number, sum[wide*r+i])
		}
	}
}

// eachScores is the frame of scores: add adds to the sums of the queries whose elements begin at rows, which it moves on,
// their products with the keys of as many registers, from first on.
func (b blocks) eachScores(add func(first int, rows []Mem, sum []VecVirtual)) {
	dst, q, n, along := load("dst"), load("q"), load("n"), load("dim")
	SHLQ(Imm(2), along)
	for _, block := range b.sizes {
		m := block.queries
		loop(n, m, func() {
			b.blockScores(block, 0, 256/b.bytes, dst, q, along, add)
			ADDQ(imm(256*m), dst)
			for range m {
				ADDQ(along, q)
			}
		})
	}
	ret()
}

// blockScores is eachScores for one block of queries, whose elements begin at q, along bytes apart, and for the keys of
// registers from to to-1.
func (b blocks) blockScores(m block, from, to int, dst, q, along GPVirtual, add func(first int, rows []Mem, sum []VecVirtual)) {
	for first := from; first < to; first += m.wide {
		start := GP64()
		MOVQ(q, start)
		rows, sum := queryRows(start, along, m.queries), b.registers(m.queries*m.wide)
		b.zero(sum...)
		add(first, rows, sum)
		scale := b.register()
		VBROADCASTSS(address("scale"), scale)
		for i, s := range sum {
			VMULPS(scale, s, s)
			VMOVUPS(s, Mem{Base: dst, Disp: 256*(i/m.wide) + b.bytes*(first+i%m.wide)})
		}
	}
}

// scores writes ref.Scores.
func (b blocks) scores() {
	TEXT("scores", NOSPLIT, "func(dst, q, keys *float32, n, dim int, scale float32)")
	Doc("scores sets dst to the scores of n queries with 64 keys, which lie across: ref.Scores.")
	Pragma("noescape")
	b.eachScores(func(first int, rows []Mem, sum []VecVirtual) {
		keys, dim := load("keys"), load("dim")
		loop(dim, 1, func() {
			b.meet(sum, rows, func(i int, to VecVirtual) { VMOVUPS(Mem{Base: keys, Disp: b.bytes * (first + i)}, to) })
			ADDQ(imm(256), keys)
			advance(rows, 4)
		})
	})
}

// mixing is where a frame of mix stands: at the sums of queries from p on, from column on, which is the part-th of columns that
// add takes together.
type mixing struct {
	p, stride, column GPVirtual // the weights, the bytes of a query's sums, the first column
	part              int
	sum               []VecVirtual
	queries           int
}

// weights returns where the weights of each query lie whose first is at from.
func (m *mixing) weights(from Mem) []Mem {
	numbers := make([]Mem, m.queries)
	for r := range numbers {
		numbers[r] = at(from, 256*r)
	}
	return numbers
}

// eachMix is the frame of mix: add adds the weighted values of as many columns as it has sums of each query. The columns are a
// multiple of least, which begin where one does.
func (b blocks) eachMix(least int, add func(m *mixing)) {
	acc, p, n, stride, corrections := load("acc"), load("p"), load("n"), load("dim"), load("corrections")
	SHLQ(Imm(2), stride)
	for _, block := range b.sizes {
		m := block.queries
		loop(n, m, func() {
			b.blockMix(block, least, acc, p, stride, corrections, add)
			for range m {
				ADDQ(stride, acc)
			}
			ADDQ(imm(256*m), p)
			ADDQ(imm(4*m), corrections)
		})
	}
	ret()
}

// blockMix is eachMix for one block of queries, whose sums are stride bytes apart.
func (b blocks) blockMix(block block, least int, acc, p, stride, corrections GPVirtual, add func(m *mixing)) {
	lanes := b.bytes / 4
	column, dim := GP64(), load("dim") // column is in elements
	XORQ(column, column)
	each := func(count, wide int) {
		loop(dim, count, func() {
			for part := range count / (lanes * wide) {
				m := &mixing{p: p, stride: stride, column: column, part: part, queries: block.queries}
				b.mixColumns(m, wide, acc, corrections, add)
				ADDQ(imm(lanes*wide), column)
			}
		})
	}
	most := max(least, lanes*block.wide)
	each(most, block.wide)
	if most > least {
		each(least, min(block.wide, least/lanes))
	}
}

// mixColumns is blockMix for so many registers of columns.
func (b blocks) mixColumns(m *mixing, wide int, acc, corrections GPVirtual, add func(m *mixing)) {
	sums := func() []Mem {
		start := GP64()
		LEAQ(Mem{Base: acc, Index: m.column, Scale: 4}, start)
		return queryRows(start, m.stride, m.queries)
	}
	m.sum = b.registers(wide * m.queries)
	for r, row := range sums() {
		v := b.register()
		VBROADCASTSS(Mem{Base: corrections, Disp: 4 * r}, v)
		for i := range wide {
			VMULPS(at(row, b.bytes*i), v, m.sum[wide*r+i])
		}
	}
	add(m)
	for r, row := range sums() {
		for i := range wide {
			VMOVUPS(m.sum[wide*r+i], at(row, b.bytes*i))
		}
	}
}

// mix writes ref.Mix.
func (b blocks) mix() {
	TEXT("mix", NOSPLIT, "func(acc, p, values *float32, n, dim, count int, corrections *float32)")
	Doc(fmt.Sprintf("mix adds count weighted values to the sums of n queries, dim elements each, a multiple of %d: ref.Mix.", b.bytes/4))
	Pragma("noescape")
	b.eachMix(b.bytes/4, func(m *mixing) {
		from, weights, values := GP64(), GP64(), load("values")
		LEAQ(Mem{Base: values, Index: m.column, Scale: 4}, from)
		MOVQ(m.p, weights)
		count := load("count")
		loop(count, 1, func() {
			b.meet(m.sum, m.weights(Mem{Base: weights}), func(i int, to VecVirtual) { VMOVUPS(Mem{Base: from, Disp: b.bytes * i}, to) })
			ADDQ(imm(4), weights)
			ADDQ(m.stride, from)
		})
	})
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
