package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// fewFours writes the products of formats with a few rows of activations: a block of sixteen rows of weights is unpacked as
// into a panel, but one that holds two blocks alone and so stays in the first-level cache, and meets the block's words of
// all tiles of four rows. While a super-block does the next one is unpacked, a piece beside each sub-block and tile: unpacking is
// shuffles, shifts and stores, which the processor has room for between multiplications. Weights are read once, in file order.
func fewFours() {
	for _, f := range eightFormats {
		fewOfFours(f)
	}
}

// fewBodies multiply the unpacked block with a tile.
var fewBodies = map[string]func(k *fourProduct, p panelAt){
	"Q4_0":  func(k *fourProduct, p panelAt) { k.block(p, true, false) },
	"Q4_1":  func(k *fourProduct, p panelAt) { k.block(p, false, true) },
	"Q5_0":  func(k *fourProduct, p panelAt) { k.block(p, true, false) },
	"Q5_1":  func(k *fourProduct, p panelAt) { k.block(p, true, true) },
	"MXFP4": func(k *fourProduct, p panelAt) { k.block(p, true, false) },
	"Q2_K":  func(k *fourProduct, p panelAt) { k.super(p, superShape{lines: 4, minima: true}) },
	"Q3_K":  func(k *fourProduct, p panelAt) { k.super(p, superShape{lines: 4, offset: true}) },
	"Q4_K":  func(k *fourProduct, p panelAt) { k.super(p, superShape{lines: 8, minima: true, sums32: true}) },
	"Q5_K": func(k *fourProduct, p panelAt) {
		k.super(p, superShape{lines: 8, again: 4, minima: true, sums32: true})
	},
	"Q6_K":   func(k *fourProduct, p panelAt) { k.super(p, superShape{lines: 4, offset: true}) },
	"Q8_0":   (*fourProduct).splitBlock,
	"IQ4_NL": (*fourProduct).splitBlock,
	"IQ4_XS": (*fourProduct).splitSuper,
}

// fewMost is how many rows of activations a call takes.
const fewMost = 32

// The local memory of these kernels, in bytes from a whole line of the cache on: of two blocks scales and lines, then the sums
// of all tiles, of each float32 ones and those of one super-block.
const (
	fewMins  = 16 * 64 // after pairs
	fewD     = fewMins + 8*64
	fewM     = fewD + 64
	fewLines = fewM + 64
	fewSums  = 2 * 64 * tokens // a tile's
)

func fewOfFours(f eightFormat) {
	name := "few" + f.name
	tileBytes, lines := 16*11, 8
	if f.super() {
		tileBytes, lines = 16*93, 64
	}
	if f.signed {
		lines *= 2
	}
	TEXT(name, 0, "func(dst *float32, dstStride int, w *byte, blocks int, tiles *int32, tileBytes, count int, spans *[2]uintptr)")
	Doc(name+" sets count rows of dst, dstStride bytes apart, to the products of sixteen rows of weights with as many rows",
		"of activations, which are in tiles of four, tileBytes apart: ref.RowsQuant. It asks for the memory between the addresses of",
		"each span too, up to one that begins at 0, and moves what it asked for out of them.")
	Pragma("noescape")
	const words = 12
	block := fewLines + 64*lines
	local := AllocLocal(8*words + 64 + 2*block + fewMost/tokens*fewSums)
	used := 0
	word := func() Mem {
		used++
		return local.Offset(8 * (used - 1))
	}
	u := &foursFrame{
		f: f, size: word(), ahead: word(), last: word(), piece: word(), left: word(), w: word(), from: word(), to: word(),
		half: word(), lines: word(), rows: word(),
	}
	allSums := word()
	base, none, sums := GP64(), YMM(), GP64()
	LEAQ(local.Offset(8*words+63), base)
	ANDQ(I32(-64), base)
	MOVQ(base, u.to)
	ADDQ(imm(block), base)
	MOVQ(base, u.from)
	ADDQ(imm(block), base)
	MOVQ(base, allSums)
	zero(none)
	eachTile := func(body func()) {
		top, count := label("tile"), load("count")
		MOVQ(allSums, sums)
		MOVQ(count, u.rows)
		Label(top)
		body()
		ADDQ(imm(fewSums), sums)
		SUBQ(imm(tokens), u.rows)
		JG(LabelRef(top))
	}
	eachTile(func() {
		for i := range 2 * tokens {
			VMOVUPS(none, Mem{Base: sums, Disp: 32 * i})
		}
	})
	size := load("blocks")
	IMUL3Q(imm(f.blockBytes), size, size)
	MOVQ(size, u.size)
	SHLQ(Imm(4), size) // the next sixteen rows
	ADDQ(load("w"), size)
	MOVQ(size, u.ahead)
	MOVQ(size, u.last)
	u.begin()

	blocks, rest, unpacked, last := label("block"), label("rest"), label("unpacked"), label("last")
	Label(blocks)
	Label(rest)
	CMPQ(u.left, Imm(0))
	JE(LabelRef(unpacked))
	u.unpack()
	JMP(LabelRef(rest))
	Label(unpacked)
	from, to := GP64(), GP64()
	MOVQ(u.from, to)
	MOVQ(u.to, from)
	MOVQ(from, u.from)
	MOVQ(to, u.to)
	CMPQ(NewParamAddr("blocks", 24), Imm(1))
	JE(LabelRef(last))
	u.begin()
	Label(last)
	if f.super() {
		ADDQ(imm(16*f.blockBytes), u.last)
	}
	k := &fourProduct{x: load("tiles"), sums: Mem{Base: sums}, totals: Mem{Base: sums, Disp: 64 * tokens}}
	askLines := 1
	if f.super() {
		askLines = 4
		k.ahead = func() {
			u.ask()
			u.unpack()
		}
	}
	eachTile(func() {
		askSpans(askLines, GP64())
		at := func(disp int) GPVirtual {
			p := GP64()
			MOVQ(u.from, p)
			if disp > 0 {
				ADDQ(imm(disp), p)
			}
			return p
		}
		fewBodies[f.name](k, panelAt{bytes: at(fewLines), pairs: at(0), late: func() (mins, d, m GPVirtual) {
			return at(fewMins), at(fewD), at(fewM)
		}})
		ADDQ(NewParamAddr("tileBytes", 40), k.x)
		SUBQ(imm(tileBytes), k.x) // it stands at the next block of the tile
	})
	tiles := load("tiles")
	ADDQ(imm(tileBytes), tiles)
	Store(tiles, Param("tiles"))
	count := load("blocks")
	SUBQ(imm(1), count)
	Store(count, Param("blocks"))
	JNZ(LabelRef(blocks))

	dst, stride, done := load("dst"), load("dstStride"), label("stored")
	eachTile(func() {
		for t := range tokens {
			for h := range 2 {
				v := YMM()
				VMOVUPS(k.sums.Offset(64*t+32*h), v)
				VMOVUPS(v, Mem{Base: dst, Disp: 32 * h})
			}
			if t < tokens-1 {
				CMPQ(u.rows, Imm(uint64(t+1)))
				JE(LabelRef(done))
			}
			ADDQ(stride, dst)
		}
	})
	Label(done)
	ret()
}

func (f *eightFormat) super() bool { return f.blockBytes > 34 }

// splitBlock multiplies a block of 32 whose bytes are weights and 128, split: lines hold the lower and the upper halves of the
// bytes of eight rows, first those of rows 0-7, then of the others. Sums of upper halves begin at -8 times the sums of the quants.
func (k *fourProduct) splitBlock(p panelAt) {
	_, scales, _ := p.late()
	for half := range 2 {
		acc := newFourSums()
		k.start(acc, 1, words("minus8", 0xfff8fff8))
		k.dots(acc, p.bytes, 3, 8, false, true)
		d := YMM()
		VMOVUPS(Mem{Base: scales, Disp: 32 * half}, d)
		for t := range acc {
			sum, x := acc[t][0], YMM()
			VPMADDWD(words("ones16", 0x00010001), sum, sum)
			VPMADDWD(words("plus16", 0x00100010), acc[t][1], acc[t][1])
			VPADDD(acc[t][1], sum, sum)
			VCVTDQ2PS(sum, sum)
			VBROADCASTSS(k.at(0, t), x)
			k.finishOne(sum, x, d, t, half)
		}
	}
	ADDQ(imm(16*11), k.x)
}

// splitSuper is splitBlock for a super-block with a scale for each 32 weights.
func (k *fourProduct) splitSuper(p panelAt) {
	inside, subs := GP64(), GP64()
	total := func(t, h int) Mem { return k.totals.Offset(64*t + 32*h) }
	LEAQ(k.at(9, 0), inside)
	none := YMM()
	zero(none)
	for t := range tokens {
		VMOVDQU(none, total(t, 0))
		VMOVDQU(none, total(t, 1))
	}
	MOVQ(U32(8), subs)
	loop(subs, 1, func() {
		k.ahead()
		for half := range 2 {
			acc := newFourSums()
			for t := range acc {
				VPBROADCASTD(Mem{Base: inside, Disp: 4 * t}, acc[t][1])
				VPBROADCASTD(Mem{Base: inside, Disp: 16 + 4*t}, acc[t][0])
				VPADDW(acc[t][0], acc[t][1], acc[t][1])
				VPMULLW(words("minus8", 0xfff8fff8), acc[t][1], acc[t][1])
			}
			bytes := GP64()
			LEAQ(Mem{Base: p.bytes, Disp: 64 * 64 * half}, bytes)
			k.dots(acc, bytes, 25, 8, false, true)
			scale, upper := YMM(), YMM()
			VMOVDQU(Mem{Base: p.pairs, Disp: 32 * half}, scale)
			VPSLLW(Imm(4), scale, upper)
			for t := range acc {
				VPMADDWD(scale, acc[t][0], acc[t][0])
				VPMADDWD(upper, acc[t][1], acc[t][1])
				VPADDD(acc[t][1], acc[t][0], acc[t][0])
				VPADDD(total(t, half), acc[t][0], acc[t][0])
				VMOVDQU(acc[t][0], total(t, half))
			}
		}
		ADDQ(imm(64*8), p.bytes)
		ADDQ(imm(64), p.pairs)
		ADDQ(imm(16*2), inside)
		ADDQ(imm(16*8), k.x)
	})
	acc := newFourSums()
	for t := range acc {
		for h := range 2 {
			VMOVDQU(total(t, h), acc[t][h])
		}
	}
	_, d, _ := p.late()
	k.finish(acc, d, -64, true) // the words of quants are behind the pointer now
	ADDQ(imm(16*29), k.x)
}
