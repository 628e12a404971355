package main

import (
	"fmt"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// cacheBlocks is a type whose blocks are 32 elements: a scale, and quants of a byte each or of half a byte.
type cacheBlocks struct {
	name string
	size int // bytes of a block
}

// quantizedCaches are those that caches can be.
var quantizedCaches = []cacheBlocks{{"Q8_0", 34}, {"Q4_0", 18}}

// scoresHead begins ref.ScoresPaged for the type, mixHead ref.MixPaged.
func (f cacheBlocks) scoresHead() {
	TEXT("scores"+f.name, NOSPLIT, "func(dst, q *float32, keys, next **byte, n, dim, tokens int, scale float32)")
	Doc("scores"+f.name+" sets dst to the scores of n queries with 64 keys, sixteen at each of four places, across in pages of tokens: the scales",
		"begin at the first four of keys and of next, the quants at the last four. dim is a multiple of 32: ref.ScoresPaged.")
	Pragma("noescape")
}

func (f cacheBlocks) mixHead() {
	TEXT("mix"+f.name, NOSPLIT, "func(acc, p *float32, values, next **byte, n, dim, first, last int, corrections *float32)")
	Doc("mix"+f.name+" adds the weighted values of positions first to last-1, sixteen at each of four places, to the sums of n queries,",
		"dim elements each, a multiple of 32: ref.MixPaged.")
	Pragma("noescape")
}

// bytes makes a number of elements, of whole blocks, that of their bytes.
func (f cacheBlocks) bytes(elements GPVirtual) {
	SHRQ(Imm(5), elements)
	IMUL3Q(imm(f.size), elements, elements)
}

// columns returns what adds to a pointer the bytes before the column of m.
func (f cacheBlocks) columns(m *mixing) func(from GPVirtual) {
	return func(from GPVirtual) {
		columns := GP64()
		MOVQ(m.column, columns)
		f.bytes(columns)
		ADDQ(columns, from)
	}
}

// nibbles says whether quants are halves of bytes, less 8.
func (f cacheBlocks) nibbles() bool { return f.size == 18 }

// unit is what quants, as floats makes them, are times themselves: they stand at the top of 32 bits.
func (f cacheBlocks) unit() float32 {
	if f.nibbles() {
		return 1 << 28
	}
	return 1 << 24
}

// converter makes quants floats. Its constants are in registers as far as a loop leaves some, or in memory.
type converter struct {
	f         cacheBlocks
	spread    []Op // moves the first eight of sixteen bytes to the tops of eight words; the others
	mask, top Op   // of nibbles: those at the top of a byte; its highest bit
	constants int
	sixteen   VecVirtual
}

func (f cacheBlocks) converter(room int) *converter {
	needed := []Mem{spread(0), spread(8)}
	if f.nibbles() {
		needed = append(needed, words("upperNibbles", 0xf0f0f0f0), words("highestBits", 0x80808080))
	}
	all := hold(room, needed)
	c := &converter{f: f, spread: all[:2], constants: len(all)}
	if f.nibbles() {
		c.mask, c.top = all[2], all[3]
	}
	return c
}

// spread returns the shuffle that moves eight bytes from first on, which lie in both lanes, to the tops of eight words.
func spread(first int) Mem {
	name := fmt.Sprintf("spread%d", first)
	if m, ok := constants[name]; ok {
		return m
	}
	m := GLOBL(name, RODATA|NOPTR)
	for i := range 8 {
		DATA(4*i, U32(uint32(first+i)<<24|0x808080))
	}
	constants[name] = m
	return m
}

// hold fetches as many constants to registers as there is room for.
func hold(room int, constants []Mem) []Op {
	held := make([]Op, len(constants))
	for i, m := range constants {
		held[i] = m
		if i < room {
			v := YMM()
			VMOVDQU(m, v)
			held[i] = v
		}
	}
	return held
}

// read makes eight of the sixteen quants at from floats times unit, the first ones before the others. Of nibbles it takes the
// lower ones of bytes, or the upper.
func (c *converter) read(from Mem, others, upper bool, to VecVirtual) {
	if !others {
		c.sixteen = YMM()
		VBROADCASTI128(from, c.sixteen)
		if c.f.nibbles() {
			if !upper {
				VPSLLW(Imm(4), c.sixteen, c.sixteen)
			}
			VPAND(c.mask, c.sixteen, c.sixteen)
			VPXOR(c.top, c.sixteen, c.sixteen) // less 8
		}
		VPSHUFB(c.spread[0], c.sixteen, to)
	} else {
		VPSHUFB(c.spread[1], c.sixteen, to)
	}
	VCVTDQ2PS(to, to)
}

// room is how many registers a loop leaves beside its sums, the values that they meet, and one more.
func room(sum []VecVirtual, queries int) int {
	if queries == 1 {
		return 16 - len(sum) - 3
	}
	return 16 - len(sum) - len(sum)/queries - 1
}

// scoresQuants writes ref.ScoresPaged for a quantized type. The scales of 32 elements of the keys, as floats, are too many for
// the registers beside the sums of six queries: they wait on the stack.
func (b blocks) scoresQuants(f cacheBlocks) {
	var stack Mem
	add := func(first int, rows []Mem, sum []VecVirtual, k *kept) {
		tokens := load("tokens")
		place, wide := first/2, len(sum)/len(rows)
		n, room := wide/2, room(sum, len(rows))
		keys, row, dim, count := places("keys", 4+place, n), GP64(), load("dim"), GP64()
		XORQ(row, row)
		c, next := f.converter(room), newAhead(4+place, n)
		var scales []Op
		quants := func(turns int, upper bool) {
			MOVQ(U32(uint32(turns)), count)
			repeat(count, 4, func() {
				for d := range 4 {
					b.meet(sum, elements(rows, d), func(i int, to VecVirtual) {
						c.read(Mem{Base: keys[i/2], Index: row, Scale: 1}, i%2 > 0, upper, to)
						VMULPS(scales[i], to, to)
						k.keep(i, to)
					})
					if !upper {
						next.ask(d, row)
					}
					ADDQ(tokens, row)
					k.next()
				}
				advance(rows, 16)
			})
		}
		loop(dim, 32, func() {
			waiting := make([]Mem, wide)
			for i := range waiting {
				from, v := places("keys", place+i/2, 1)[0], YMM()
				if i%2 == 0 {
					PREFETCHT1(Mem{Base: places("next", place+i/2, 1)[0], Index: row, Scale: 1})
				}
				VCVTPH2PS(Mem{Base: from, Index: row, Scale: 1, Disp: 16 * (i % 2)}, v)
				VMULPS(floats("unit"+f.name, 1/f.unit()), v, v)
				waiting[i] = at(stack, 32*i)
				VMOVUPS(v, waiting[i])
			}
			scales = hold(room-c.constants, waiting)
			quants(f.size-2, false)
			if f.nibbles() {
				MOVQ(tokens, count)
				SHLQ(Imm(4), count)
				SUBQ(count, row)
				quants(16, true)
			}
			LEAQ(Mem{Base: row, Index: tokens, Scale: 2}, row)
		})
	}
	f.scoresHead()
	stack = AllocLocal(256)
	b.eachScores(func(first int, rows []Mem, sum []VecVirtual) { add(first, rows, sum, nil) })

	TEXT("keepScores"+f.name, NOSPLIT, "func(dst, q *float32, keys, next **byte, room *float32, n, dim, tokens int, scale float32)")
	Doc("keepScores" + f.name + " is scores" + f.name + " for more than six queries. Keys are converted once, to room, which is for dim rows of 32.")
	Pragma("noescape")
	stack = AllocLocal(256)
	b.keepScores(add)
}

// mixQuants writes ref.MixPaged for a quantized type. The scales of 64 positions, as floats, wait on the stack.
func (b blocks) mixQuants(f cacheBlocks) {
	var stack Mem
	add := func(m *mixing, k *kept) {
		row := load("dim")
		f.bytes(row)
		addColumns := f.columns(m)
		wide := len(m.sum) / m.queries
		if wide < 4 && m.part == 0 {
			f.valueScales(row, addColumns, stack)
		}
		c := f.converter(room(m.sum, m.queries))
		b.eachPosition(m, row, addColumns, func(from, ahead Mem, numbers []Mem) {
			var scale VecVirtual
			b.meet(m.sum, numbers, func(i int, to VecVirtual) {
				element := 8 * (wide*m.part + i)
				block, within := element/32, element%32
				if i == 0 || within == 0 {
					scale = YMM()
					if wide < 4 {
						scales := stack
						scales.Index, scales.Scale = numbers[0].Index, 4
						VBROADCASTSS(scales, scale)
					} else {
						VPBROADCASTW(at(from, f.size*block), scale.AsX())
						VCVTPH2PS(scale.AsX(), scale)
						VMULPS(floats("unit"+f.name, 1/f.unit()), scale, scale)
					}
				}
				upper := f.nibbles() && within >= 16
				if upper {
					within -= 16
				}
				c.read(at(from, f.size*block+2+within), i%2 > 0, upper, to)
				VMULPS(scale, to, to)
				k.keep(i, to)
			})
			k.next()
			for block := 0; m.part == 0 && block < max(1, wide/4); block++ {
				PREFETCHT1(at(ahead, f.size*block))
			}
		})
	}
	f.mixHead()
	stack = AllocLocal(256)
	b.eachMix(32, func(m *mixing) { add(m, nil) })

	TEXT("keepMix"+f.name, NOSPLIT, "func(acc, p *float32, values, next **byte, room *float32, n, dim, first, last int, corrections *float32)")
	Doc("keepMix"+f.name+" is mix"+f.name+" for more than six queries and for a position at least. Values are converted once, to room, which is for",
		"64 rows of 32.")
	Pragma("noescape")
	stack = AllocLocal(256)
	b.keepMix(add)
}

// valueScales writes the scales of a block of 64 positions to memory.
func (f cacheBlocks) valueScales(row GPVirtual, addColumns func(from GPVirtual), to Mem) {
	for place := range 4 {
		from := places("values", place, 1)[0]
		addColumns(from)
		for half := range 2 {
			scales, wide := XMM(), YMM()
			VPXOR(scales, scales, scales)
			for i := range 8 {
				VPINSRW(Imm(uint64(i)), Mem{Base: from}, scales, scales)
				ADDQ(row, from)
			}
			VCVTPH2PS(scales, wide)
			VMULPS(floats("unit"+f.name, 1/f.unit()), wide, wide)
			VMOVUPS(wide, at(to, 64*place+32*half))
		}
	}
}
