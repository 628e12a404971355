package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// fourProducts writes what multiplies a panel of sixteen rows of bytes with tiles of four rows of activations
// (ref.Quants.PackFours) by VPMADDUBSW. Lane = weight row.
//
// Sums wait in 16 bits as long as their end cannot leave them. They may wrap on the way: that they begin at -16 or -32
// times the sums of the same quants makes the end that of the signed weights, half as large as of the unsigned.
func fourProducts() {
	mulFours("mulBytes", func(k *fourProduct, p panelAt) { k.block(p, true, false) })
	mulFours("mulBytesMinima4", func(k *fourProduct, p panelAt) { k.block(p, false, true) })
	mulFours("mulBytesMinima5", func(k *fourProduct, p panelAt) { k.block(p, true, true) })
	mulFours("mulSupers", func(k *fourProduct, p panelAt) { k.super(p, superShape{lines: 4, offset: true}) })
	mulFours("mulSupersMinima2", func(k *fourProduct, p panelAt) { k.super(p, superShape{lines: 4, minima: true}) })
	mulFours("mulSupersMinima4", func(k *fourProduct, p panelAt) { k.super(p, superShape{lines: 8, minima: true}) })
	mulFours("mulSupersMinima5", func(k *fourProduct, p panelAt) { k.super(p, superShape{lines: 8, again: 4, minima: true}) })
}

// fourProduct is the frame of a product with one tile of four rows.
type fourProduct struct {
	x      GPVirtual // the tile, read from one end to the other
	sums   Mem       // float32 sums, [tokens][16]
	totals Mem       // 32-bit integer sums of super-blocks, as many
	ahead  func()    // does some of what is needed next, once for each scale; nil: there is nothing
}

// panelAt is where the current block of a panel lies.
type panelAt struct {
	bytes, pairs GPVirtual
	late         func() (mins, d, m GPVirtual) // what is met last
}

func mulFours(name string, body func(k *fourProduct, p panelAt)) {
	TEXT(name, 0, "func(dst *float32, dstStride int, panel *uint8, pairs, mins *int16, d, m *float32, blocks int, tiles *int32, count int)")
	Doc(name + " multiplies a panel of bytes with count rows of activations: ref.MulBytes. dstStride is in bytes.")
	Pragma("noescape")
	local := AllocLocal(2 * 64 * tokens)
	k := &fourProduct{x: load("tiles"), sums: local, totals: local.Offset(64 * tokens)}
	top, done := label("tile"), label("end")
	Label(top)
	none := YMM()
	zero(none)
	for i := range 2 * tokens {
		VMOVUPS(none, k.sums.Offset(32*i))
	}
	blocks, mins, d, m := load("blocks"), load("mins"), load("d"), load("m")
	p := panelAt{bytes: load("panel"), pairs: load("pairs"), late: func() (_, _, _ GPVirtual) { return mins, d, m }}
	loop(blocks, 1, func() { body(k, p) })
	dst, stride, left := load("dst"), load("dstStride"), load("count")
	for t := range tokens {
		for h := range 2 {
			v := YMM()
			VMOVUPS(k.sums.Offset(64*t+32*h), v)
			VMOVUPS(v, Mem{Base: dst, Disp: 32 * h})
		}
		ADDQ(stride, dst)
		SUBQ(imm(1), left)
		JZ(LabelRef(done))
	}
	Store(dst, Param("dst"))
	Store(left, Param("count"))
	JMP(LabelRef(top))
	Label(done)
	ret()
}

type fourSums [tokens][2]VecVirtual

func newFourSums() *fourSums {
	s := &fourSums{}
	for t := range s {
		copy(s[t][:], ymms(2))
	}
	return s
}

// at returns the address of word i of the tile for token t.
func (k *fourProduct) at(i, t int) Mem { return Mem{Base: k.x, Disp: 16*i + 4*t} }

// start sets the second sum of each token to factor times the pair at word i of the tile: what both begin with, unless dots is
// told otherwise.
func (k *fourProduct) start(acc *fourSums, i int, factor Mem) {
	for t := range acc {
		VPBROADCASTD(k.at(i, t), acc[t][1])
		VPMULLW(factor, acc[t][1], acc[t][1])
	}
}

// dots adds products of lines from word first of the tile on, in 16 bits. Sums without a start begin with them.
func (k *fourProduct) dots(acc *fourSums, panel GPVirtual, first, lines int, started ...bool) {
	for i := range lines {
		w := ymms(2)
		VMOVDQU(Mem{Base: panel, Disp: 64 * i}, w[0])
		VMOVDQU(Mem{Base: panel, Disp: 64*i + 32}, w[1])
		for t := range acc {
			x := YMM()
			VPBROADCASTD(k.at(first+i, t), x)
			for h := range 2 {
				if i == 0 && !started[h%len(started)] {
					VPMADDUBSW(x, w[h], acc[t][h])
					continue
				}
				product := x
				if h == 0 {
					product = YMM()
				}
				VPMADDUBSW(x, w[h], product)
				if i == 0 {
					VPADDW(product, acc[t][1], acc[t][h])
					continue
				}
				VPADDW(product, acc[t][h], acc[t][h])
			}
		}
	}
	ADDQ(imm(64*lines), panel)
}

// finish adds integer sums times both scales to the float32 sums. The tile's scales are at word dx.
func (k *fourProduct) finish(acc *fourSums, scales GPVirtual, dx int, convert bool) {
	d := ymms(2)
	VMOVUPS(Mem{Base: scales}, d[0])
	VMOVUPS(Mem{Base: scales, Disp: 32}, d[1])
	ADDQ(imm(64), scales)
	for t, halves := range acc {
		x := YMM()
		VBROADCASTSS(k.at(dx, t), x)
		for h, sum := range halves {
			if convert {
				VCVTDQ2PS(sum, sum)
			}
			k.finishOne(sum, x, d[h], t, h)
		}
	}
}

// finishOne adds converted sums of eight rows of weights and one of activations times both scales to the float32 sums.
func (k *fourProduct) finishOne(sum, x, d VecVirtual, t, h int) {
	both, total := YMM(), YMM()
	VMULPS(x, d, both)
	VMOVUPS(k.sums.Offset(64*t+32*h), total)
	VFMADD231PS(sum, both, total)
	VMOVUPS(total, k.sums.Offset(64*t+32*h))
}

// block multiplies a block of 32. A word of the tile holds, for four rows, 0 the scale, 1 the pair of sums, 2 the sum
// as float32, 3-10 the quants. Nibbles need no start: eight times 2*15*127 are 30480.
func (k *fourProduct) block(p panelAt, start, minima bool) {
	acc := newFourSums()
	if start {
		k.start(acc, 1, words("minus16", 0xfff0fff0))
	}
	k.dots(acc, p.bytes, 3, 8, start)
	ones := YMM()
	VMOVDQU(words("ones16", 0x00010001), ones)
	for t := range acc {
		for h := range 2 {
			VPMADDWD(ones, acc[t][h], acc[t][h])
		}
		if start && minima { // their bytes have no offset
			back := YMM()
			VPBROADCASTD(k.at(1, t), back)
			VPMADDWD(words("plus16", 0x00100010), back, back)
			for h := range 2 {
				VPADDD(back, acc[t][h], acc[t][h])
			}
		}
	}
	_, d, m := p.late()
	k.finish(acc, d, 0, true)
	if minima {
		for t := range acc {
			VBROADCASTSS(k.at(2, t), acc[t][0])
			VMOVAPS(acc[t][0], acc[t][1])
		}
		k.finish(acc, m, 0, false)
	}
	ADDQ(imm(16*11), k.x)
}

// superShape is what super-blocks differ in: lines share a scale; after again lines 16 bits are full; the bytes have an
// offset of 32; there are minima.
type superShape struct {
	lines, again   int
	offset, minima bool
	sums32         bool // minima meet the sums of 32 quants
}

// super multiplies a super-block of 256. A word of the tile holds, for four rows, 0 the scale, 1-8 pairs of sums of 16
// quants, 9-24 the pairs of sums inside each 16, 25-88 the quants, 89-92 pairs of sums of 32.
func (k *fourProduct) super(p panelAt, s superShape) {
	subs, inside := GP64(), GP64()
	total := func(t, h int) Mem { return k.totals.Offset(64*t + 32*h) }
	none := YMM()
	zero(none)
	for t := range tokens {
		VMOVDQU(none, total(t, 0))
		VMOVDQU(none, total(t, 1))
	}
	if s.offset {
		LEAQ(k.at(9, 0), inside)
	}
	MOVQ(U32(64/s.lines), subs)
	loop(subs, 1, func() {
		if k.ahead != nil {
			k.ahead()
		}
		acc := newFourSums()
		flush := func() {
			scale := ymms(2)
			VMOVDQU(Mem{Base: p.pairs}, scale[0])
			VMOVDQU(Mem{Base: p.pairs, Disp: 32}, scale[1])
			for t := range acc {
				for h, sum := range acc[t] {
					VPMADDWD(scale[h], sum, sum)
					VPADDD(total(t, h), sum, sum)
					VMOVDQU(sum, total(t, h))
				}
			}
		}
		if s.offset {
			quants := k.x
			k.x = inside
			k.start(acc, 0, words("minus32", 0xffe0ffe0))
			k.x = quants
			ADDQ(imm(16), inside)
		}
		if s.again > 0 {
			k.dots(acc, p.bytes, 25, s.again, s.offset)
			flush()
			k.dots(acc, p.bytes, 25+s.again, s.lines-s.again, s.offset)
		} else {
			k.dots(acc, p.bytes, 25, s.lines, s.offset)
		}
		flush()
		ADDQ(imm(64), p.pairs)
		ADDQ(imm(16*s.lines), k.x)
	})
	if s.lines == 8 {
		ADDQ(imm(512), p.pairs) // the panel has room for sixteen
	}
	const head = -64 // the words of quants are behind the pointer now
	acc := newFourSums()
	mins, d, m := p.late()
	if s.minima {
		if s.sums32 {
			k.minima(acc, mins, head+89, 4)
		} else {
			k.minima(acc, mins, head+1, 8)
		}
		k.finishTwice(acc, d, m, head, total)
	} else {
		for t := range acc {
			for h := range 2 {
				VMOVDQU(total(t, h), acc[t][h])
			}
		}
		k.finish(acc, d, head, true)
	}
	ADDQ(imm(16*29), k.x)
}

// finishTwice is finish for the sums in memory and then, with the scales of minima, for acc.
func (k *fourProduct) finishTwice(acc *fourSums, d, m GPVirtual, dx int, total func(t, h int) Mem) {
	for t, halves := range acc {
		x := YMM()
		VBROADCASTSS(k.at(dx, t), x)
		for h, low := range halves {
			both, sum, to := YMM(), YMM(), YMM()
			VMOVUPS(k.sums.Offset(64*t+32*h), to)
			VMULPS(Mem{Base: d, Disp: 32 * h}, x, both)
			VCVTDQ2PS(total(t, h), sum)
			VFMADD231PS(sum, both, to)
			VMULPS(Mem{Base: m, Disp: 32 * h}, x, both)
			VCVTDQ2PS(low, low)
			VFMADD231PS(low, both, to)
			VMOVUPS(to, k.sums.Offset(64*t+32*h))
		}
	}
	ADDQ(imm(64), d)
	ADDQ(imm(64), m)
}

// minima sets sums to the products of lines of minima with the pairs of sums from a word of the tile on. The panel has room
// for eight lines.
func (k *fourProduct) minima(acc *fourSums, mins GPVirtual, word, lines int) {
	for i := range lines {
		w := ymms(2)
		VMOVDQU(Mem{Base: mins, Disp: 64 * i}, w[0])
		VMOVDQU(Mem{Base: mins, Disp: 64*i + 32}, w[1])
		for t := range acc {
			x := YMM()
			VPBROADCASTD(k.at(word+i, t), x)
			for h := range 2 {
				if i == 0 {
					VPMADDWD(x, w[h], acc[t][h])
					continue
				}
				product := x
				if h == 0 {
					product = YMM()
				}
				VPMADDWD(x, w[h], product)
				VPADDD(product, acc[t][h], acc[t][h])
			}
		}
	}
	ADDQ(imm(512), mins)
}
