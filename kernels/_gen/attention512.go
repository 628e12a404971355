package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// attention512 writes the three steps of a tile of 64 positions for several queries at a time, on registers of sixteen lanes,
// the first and the last from float32 and from halves.
func attention512() {
	scores512()
	weights512()
	mix512()
	scoresHalves(wide512)
	mixHalves(wide512)
}

// queryBlocks runs body for six queries at a time, then for the three, two or one that are left. n counts the queries.
func queryBlocks(n GPVirtual, sizes []int, body func(m int)) {
	for _, m := range sizes {
		loop(n, m, func() { body(m) })
	}
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

func scores512() {
	TEXT("scores", NOSPLIT, "func(dst, q, keys *float32, n, dim int, scale float32)")
	Doc("scores sets dst to the scores of n queries with 64 keys, which lie across: ref.Scores.")
	Pragma("noescape")
	dst, q, n, stride, scale := load("dst"), load("q"), load("n"), load("dim"), ZMM()
	SHLQ(Imm(2), stride)
	VBROADCASTSS(address("scale"), scale)
	queryBlocks(n, []int{6, 3, 2, 1}, func(m int) {
		rows := queryRows(q, stride, m)
		keys, dim := load("keys"), load("dim")
		acc := zmms(4 * m)
		clearZ(acc...)
		loop(dim, 1, func() {
			key, v := zmms(4), ZMM()
			for i := range key {
				VMOVUPS(Mem{Base: keys, Disp: 64 * i}, key[i])
			}
			for r := range rows {
				VBROADCASTSS(rows[r], v)
				for i := range key {
					VFMADD231PS(key[i], v, acc[4*r+i])
				}
			}
			advance(rows, 4)
			ADDQ(imm(256), keys)
		})
		for i := range acc {
			VMULPS(scale, acc[i], acc[i])
			VMOVUPS(acc[i], Mem{Base: dst, Disp: 64 * i})
		}
		ADDQ(imm(256*m), dst)
		for range m - 1 { // q stands one row on
			ADDQ(stride, q)
		}
	})
	ret()
}

// exponential512 holds the constants of exact.Exp32 for arguments up to 0.
type exponential512 struct {
	log2E, magic, high, low, least, one VecVirtual
	c                                   []VecVirtual
}

func newExponential512() *exponential512 {
	constant := func(name string, v float32) VecVirtual {
		r := ZMM()
		VBROADCASTSS(floats(name, v), r)
		return r
	}
	return &exponential512{
		log2E: constant("expLog2E", 0x1.715476p+0), magic: constant("expMagic", 0x1.8p+23),
		high: constant("expLn2Hi", 0x1.62e43p-1), low: constant("expLn2Lo", -0x1.05c61p-29),
		least: constant("expLow", -0x1.5d589ep+6), one: constant("one", 1),
		c: []VecVirtual{
			constant("expC6", 0x1.6a4eccp-10), constant("expC5", 0x1.12399cp-7), constant("expC4", 0x1.5558bp-5),
			constant("expC3", 0x1.555492p-3), constant("expC2", 0x1.fffffcp-2),
		},
	}
}

// of replaces each lane of x, at most 0 or a NaN, by its exponential, and lanes outside of mask by 0. VSCALEFPS does what
// exact.Exp32 does by adding to the exponent's bits, and keeps a NaN.
func (e *exponential512) of(x VecVirtual, mask Register) {
	n, p, r, seen := ZMM(), ZMM(), ZMM(), K()
	const notLess = 5 // true for a NaN
	VCMPPS(Imm(notLess), e.least, x, mask, seen)
	VMOVAPS(e.magic, n)
	VFMADD231PS(e.log2E, x, n)
	VSUBPS(e.magic, n, n)
	VMOVAPS(x, r)
	VFNMADD231PS(e.high, n, r)
	VFNMADD231PS(e.low, n, r)
	VMOVAPS(e.c[0], p)
	for _, c := range append(e.c[1:len(e.c):len(e.c)], e.one, e.one) {
		VFMADD213PS(c, r, p)
	}
	VSCALEFPS_Z(n, p, seen, x)
}

func weights512() {
	TEXT("weights", NOSPLIT, "func(p *float32, n int, mask uint64, states, corrections *float32)")
	Doc("weights turns the scores of n queries into softmax weights: ref.Weights. mask has a bit for each position that they see.")
	Pragma("noescape")
	p, n, bits, states, corrections := load("p"), load("n"), load("mask"), load("states"), load("corrections")
	masks := make([]Register, 4)
	for i := range masks {
		masks[i] = K()
		KMOVW(bits.As32(), masks[i])
		SHRQ(Imm(16), bits)
	}
	first := K()
	one := GP32()
	MOVL(U32(1), one)
	KMOVW(one, first)
	e := newExponential512()
	loop(n, 1, func() {
		v, largest, before, upper := zmms(4), ZMM(), ZMM(), ZMM()
		VBROADCASTSS(Mem{Base: states}, before)
		VMOVAPS(before, largest)
		for i := range v {
			VMOVUPS(Mem{Base: p, Disp: 64 * i}, v[i])
			VMAXPS(largest, v[i], masks[i], largest) // a score that is NaN leaves largest as it is
		}
		for _, turn := range []uint64{0x4e, 0xb1} { // halves, then quarters change places
			VSHUFF32X4(Imm(turn), largest, largest, upper)
			VMAXPS(upper, largest, largest)
		}
		for _, turn := range []uint64{0x4e, 0xb1} {
			VPERMILPS(Imm(turn), largest, upper)
			VMAXPS(upper, largest, largest)
		}
		for i := range v {
			VSUBPS(largest, v[i], v[i])
			e.of(v[i], masks[i])
			VMOVUPS(v[i], Mem{Base: p, Disp: 64 * i})
		}
		VSUBPS(largest, before, before)
		e.of(before, first)
		for _, more := range v[1:] {
			VADDPS(more, v[0], v[0])
		}
		low, high := v[0].AsY(), YMM()
		VEXTRACTF64X4(Imm(1), v[0], high)
		VADDPS(high, low, low) // i and i+8
		x, half := v[0].AsX(), XMM()
		VEXTRACTF128(Imm(1), low, half)
		VADDPS(half, x, x) // i and i+4
		VMOVHLPS(x, x, half)
		VADDPS(half, x, x) // i and i+2
		VMOVSHDUP(x, half)
		VADDSS(half, x, x) // i and i+1
		sum := XMM()
		VMULSS(Mem{Base: states, Disp: 4}, before.AsX(), sum)
		VADDSS(x, sum, sum)
		VMOVSS(largest.AsX(), Mem{Base: states})
		VMOVSS(sum, Mem{Base: states, Disp: 4})
		VMOVSS(before.AsX(), Mem{Base: corrections})
		ADDQ(imm(256), p)
		ADDQ(imm(8), states)
		ADDQ(imm(4), corrections)
	})
	ret()
}

func mix512() {
	TEXT("mix", NOSPLIT, "func(acc, p, values *float32, n, dim, count int, corrections *float32)")
	Doc("mix adds count weighted values to the sums of n queries, dim elements each, a multiple of sixteen: ref.Mix.")
	Pragma("noescape")
	acc, p, n, stride, corrections := load("acc"), load("p"), load("n"), load("dim"), load("corrections")
	SHLQ(Imm(2), stride)
	queryBlocks(n, []int{6, 3, 2, 1}, func(m int) {
		values, dim := load("values"), load("dim")
		columns := func(wide int) {
			sum := zmms(wide * m)
			rows := queryRows(acc, stride, m)
			for r := range rows {
				v := ZMM()
				VBROADCASTSS(Mem{Base: corrections, Disp: 4 * r}, v)
				for i := range wide {
					VMULPS(at(rows[r], 64*i), v, sum[wide*r+i])
				}
			}
			from, weights, count := GP64(), GP64(), load("count")
			MOVQ(values, from)
			MOVQ(p, weights)
			loop(count, 1, func() {
				value, w := zmms(wide), ZMM()
				for i := range value {
					VMOVUPS(Mem{Base: from, Disp: 64 * i}, value[i])
				}
				for r := range m {
					VBROADCASTSS(Mem{Base: weights, Disp: 256 * r}, w)
					for i := range value {
						VFMADD231PS(value[i], w, sum[wide*r+i])
					}
				}
				ADDQ(imm(4), weights)
				ADDQ(stride, from)
			})
			for r := range rows {
				for i := range wide {
					VMOVUPS(sum[wide*r+i], at(rows[r], 64*i))
				}
			}
			ADDQ(imm(64*wide), acc)
			ADDQ(imm(64*wide), values)
		}
		loop(dim, 64, func() { columns(4) })
		loop(dim, 16, func() { columns(1) })
		for range m - 1 { // acc stands one row on
			ADDQ(stride, acc)
		}
		ADDQ(imm(256*m), p)
		ADDQ(imm(4*m), corrections)
	})
	ret()
}

// at returns the place bytes after m.
func at(m Mem, bytes int) Mem {
	m.Disp += bytes
	return m
}
