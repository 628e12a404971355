package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// Scores and mix on a cache where it lies: sixteen positions at each of four places. Keys and values are converted in
// registers, and those of the next tile at the same place are asked for on the way.

// attentionPaged writes them for halves and for both quantized types, in registers of eight lanes: two hold the keys of a place. attentionPaged512
// does so in registers of sixteen.
func (b blocks) attentionPaged() {
	b.scoresHalves()
	b.mixHalves()
	for _, f := range quantizedCaches {
		b.scoresQuants(f)
		b.mixQuants(f)
	}
}

// places returns the addresses that a list of them has from first on.
func places(list string, first, n int) []GPVirtual {
	all, v := load(list), make([]GPVirtual, n)
	for i := range v {
		v[i] = GP64()
		MOVQ(Mem{Base: all, Disp: 8 * (first + i)}, v[i])
	}
	return v
}

// ahead is what lies at n places of the next tile, from first on: in registers as far as there are some.
type ahead struct {
	first, n int
	places   []GPVirtual
}

func newAhead(first, n int) ahead {
	a := ahead{first: first, n: n}
	if n <= 2 {
		a.places = places("next", first, n)
	}
	return a
}

// ask asks for row d, index bytes after the places. Two neighboring places are in the same lines, or two rows of a place are, or
// both: each of two takes every other row.
func (a ahead) ask(d int, index GPVirtual) {
	for i := range a.n {
		if (a.first+i)%2 != d%2 {
			continue
		}
		var place GPVirtual
		if a.places != nil {
			place = a.places[i]
		} else {
			place = places("next", a.first+i, 1)[0]
		}
		PREFETCHT1(Mem{Base: place, Index: index, Scale: 1})
	}
}

// elements returns where element d of each query lies.
func elements(rows []Mem, d int) []Mem {
	numbers := make([]Mem, len(rows))
	for r := range rows {
		numbers[r] = at(rows[r], 4*d)
	}
	return numbers
}

// scoresHalves writes ref.ScoresPaged for F16.
func (b blocks) scoresHalves() {
	TEXT("scoresHalves", NOSPLIT, "func(dst, q *float32, keys, next **byte, n, dim, stride int, scale float32)")
	Doc("scoresHalves sets dst to the scores of n queries with 64 keys, sixteen at each of four places, across and stride elements",
		"apart; dim is even: ref.ScoresPaged.")
	Pragma("noescape")
	stride := load("stride")
	SHLQ(Imm(1), stride)
	b.eachScores(func(first int, rows []Mem, sum []VecVirtual) {
		per := 64 / b.bytes // registers of a place's keys
		place, n := first/per, len(sum)/len(rows)/per
		keys, row, dim := places("keys", place, n), GP64(), load("dim")
		XORQ(row, row)
		next := newAhead(place, n)
		loop(dim, 2, func() {
			for d := range 2 {
				b.meet(sum, elements(rows, d), func(i int, to VecVirtual) {
					VCVTPH2PS(Mem{Base: keys[i/per], Index: row, Scale: 1, Disp: b.bytes / 2 * (i % per)}, to)
				})
				next.ask(d, row)
				ADDQ(stride, row)
			}
			advance(rows, 8)
		})
	})
}

// mixHalves writes ref.MixPaged for F16.
func (b blocks) mixHalves() {
	TEXT("mixHalves", NOSPLIT, "func(acc, p *float32, values, next **byte, n, dim, first, last int, corrections *float32)")
	Doc("mixHalves adds the weighted values of positions first to last-1, sixteen at each of four places, to the sums of n queries,",
		"dim elements each, a multiple of sixteen: ref.MixPaged.")
	Pragma("noescape")
	b.eachMix(16, func(m *mixing) {
		row := GP64()
		MOVQ(m.stride, row)
		SHRQ(Imm(1), row)
		addColumns := func(from GPVirtual) { LEAQ(Mem{Base: from, Index: m.column, Scale: 2}, from) }
		b.eachPosition(m, row, addColumns, func(from, ahead Mem, numbers []Mem) {
			b.meet(m.sum, numbers, func(i int, to VecVirtual) { VCVTPH2PS(at(from, b.bytes/2*i), to) })
			for line := 0; line < b.bytes/2*len(m.sum)/m.queries; line += 64 {
				PREFETCHT1(at(ahead, line))
			}
		})
	})
}

// eachPosition runs body for positions first to last-1 of a tile, place by place: with where a column of it lies, where the
// next tile's at the same place does, and where its weights are. A position takes row bytes; addColumns adds those before the column.
func (b blocks) eachPosition(m *mixing, row GPVirtual, addColumns func(from GPVirtual), body func(from, ahead Mem, numbers []Mem)) {
	next, done := label("place"), label("done")
	position := load("first")
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
	addColumns(from)
	place, ahead, list := GP64(), GP64(), load("next")
	MOVQ(position, place)
	SHRQ(Imm(4), place)
	MOVQ(Mem{Base: list, Index: place, Scale: 8}, ahead)
	Load(Param("values"), list)
	MOVQ(Mem{Base: list, Index: place, Scale: 8}, place)
	ADDQ(place, from)
	SUBQ(place, ahead)
	repeat(count, 1, func() {
		body(Mem{Base: from}, Mem{Base: from, Index: ahead, Scale: 1}, m.weights(Mem{Base: m.p, Index: position, Scale: 4}))
		INCQ(position)
		ADDQ(row, from)
	})
	JMP(LabelRef(next))
	Label(done)
}
