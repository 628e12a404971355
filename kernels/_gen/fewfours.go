package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// fewFours writes the products of formats with a few rows of activations: a block of sixteen rows of weights is unpacked as
// into a panel, but one that holds this block alone and so stays in the first-level cache, and meets the block's words of
// all tiles of four rows. Weights are read once, in file order, while the block before is multiplied.
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

// The local memory of these kernels, in bytes from a whole line of the cache on: scales of one block, sums, then lines.
const (
	fewMins   = 16 * 64 // after pairs
	fewD      = fewMins + 8*64
	fewM      = fewD + 64
	fewTotals = fewM + 64
	fewSums   = fewTotals + 64*tokens
	fewLines  = fewSums + 64*fewMost
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
	local := AllocLocal(16 + fewLines + 64*lines + 64)
	sizeAt, aheadAt := local, local.Offset(8)
	base, none := GP64(), YMM()
	LEAQ(local.Offset(16+63), base)
	ANDQ(I32(-64), base)
	at := func(disp int) Mem { return Mem{Base: base, Disp: disp} }
	sums, left := GP64(), load("count")
	LEAQ(at(fewSums), sums)
	zero(none)
	eachTile := func(body func()) {
		top := label("tile")
		Label(top)
		body()
		ADDQ(imm(64*tokens), sums)
		SUBQ(imm(tokens), left)
		JG(LabelRef(top))
	}
	eachTile(func() {
		for i := range 2 * tokens {
			VMOVUPS(none, Mem{Base: sums, Disp: 32 * i})
		}
	})
	size, ahead := load("blocks"), GP64()
	IMUL3Q(imm(f.blockBytes), size, size)
	MOVQ(size, sizeAt)
	SHLQ(Imm(4), size) // the next sixteen rows
	MOVQ(load("w"), ahead)
	ADDQ(size, ahead)
	MOVQ(ahead, aheadAt)

	blocks := label("block")
	Label(blocks)
	fewUnpack(f, base, sizeAt, aheadAt)
	k := &fourProduct{x: load("tiles"), totals: at(fewTotals)}
	LEAQ(at(fewSums), sums)
	Load(Param("count"), left)
	k.sums = Mem{Base: sums}
	if f.super() {
		k.ahead = fewAhead(f, aheadAt)
	}
	pointer := func(disp int) GPVirtual {
		p := GP64()
		LEAQ(at(disp), p)
		return p
	}
	askLines := 1
	if f.super() {
		askLines = 4
	}
	eachTile(func() {
		askSpans(askLines)
		fewBodies[f.name](k, panelAt{bytes: pointer(fewLines), pairs: pointer(0), mins: pointer(fewMins), d: pointer(fewD), m: pointer(fewM)})
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

	dst, stride, rows := load("dst"), load("dstStride"), load("count")
	loop(rows, 1, func() {
		v := ymms(2)
		for h := range v {
			VMOVUPS(at(fewSums+32*h), v[h])
			VMOVUPS(v[h], Mem{Base: dst, Disp: 32 * h})
		}
		ADDQ(imm(64), base)
		ADDQ(stride, dst)
	})
	ret()
}

// fewAhead returns what asks, once for each sub-block that is multiplied, for some lines of the weights that lie as far behind
// the super-block as sixteen rows are long, until all that the sixteen super-blocks after it take are asked for. That is spread
// over the tiles: many at once fill the buffers that loads wait for.
func fewAhead(f eightFormat, aheadAt Mem) func() {
	next, limit := GP64(), GP64()
	MOVQ(aheadAt, next)
	LEAQ(Mem{Base: next, Disp: 16 * f.blockBytes}, limit)
	MOVQ(limit, aheadAt)
	lines, subs := 16*f.blockBytes/64+1, 8
	if f.per16 {
		subs = 16
	}
	return func() {
		asked, count, i := label("asked"), NewParamAddr("count", 48), 0
		CMPQ(next, aheadAt)
		JGE(LabelRef(asked))
		for tiles := 3; tiles > 0; tiles-- {
			for ; i < (lines+tiles*subs-1)/(tiles*subs); i++ {
				PREFETCHT1(Mem{Base: next})
				ADDQ(imm(64), next)
			}
			if tiles > 1 {
				CMPQ(count, Imm(uint64((tiles-1)*tokens)))
				JG(LabelRef(asked))
			}
		}
		Label(asked)
	}
}

// fewUnpack unpacks the next block of sixteen rows, eight at a time. Of a block of 32, of which sixteen rows are few lines, it
// also asks for what fewAhead asks for.
func fewUnpack(f eightFormat, base GPVirtual, sizeAt, aheadAt Mem) {
	k := &eightRows{w: load("w"), w4: GP64(), size: GP64(), size3: GP64()}
	MOVQ(sizeAt, k.size)
	LEAQ(Mem{Base: k.size, Index: k.size, Scale: 2}, k.size3)
	w := GP64()
	LEAQ(Mem{Base: k.w, Disp: f.blockBytes}, w)
	Store(w, Param("w"))
	half, lines, turns, ahead := GP64(), GP64(), GP64(), GP64()
	MOVQ(base, half)
	LEAQ(Mem{Base: base, Disp: fewLines}, lines)
	MOVQ(imm(2), turns)
	out := func(disp int) Mem { return Mem{Base: half, Disp: disp} }
	loop(turns, 1, func() {
		if !f.super() {
			MOVQ(aheadAt, ahead)
			prefetchGroup(ahead, 8*f.blockBytes)
			MOVQ(ahead, aheadAt)
		}
		LEAQ(Mem{Base: k.w, Index: k.size, Scale: 4}, k.w4)
		f.scales(k, &panelOut{d: out(fewD), m: out(fewM), pairs: out(0), mins: out(fewMins), sums32: true})
		count := 0
		f.emit(k, func(i int, v VecVirtual) {
			count++
			if !f.signed {
				VMOVDQU(v, Mem{Base: lines, Disp: 64 * i})
				return
			}
			VPXOR(constant8(128), v, v)
			for part := range 2 {
				VMOVDQU(picked(v, 15, 4*part), Mem{Base: lines, Disp: 64*i + 32*part})
			}
		})
		LEAQ(Mem{Base: k.w, Index: k.size, Scale: 8}, k.w)
		ADDQ(imm(32), half)
		if f.signed {
			ADDQ(imm(64*count), lines)
		} else {
			ADDQ(imm(32), lines)
		}
	})
}

func (f *eightFormat) super() bool { return f.blockBytes > 34 }

// splitBlock multiplies a block of 32 whose bytes are weights and 128, split: lines hold the lower and the upper halves of the
// bytes of eight rows, first those of rows 0-7, then of the others. Sums of upper halves begin at -8 times the sums of the quants.
func (k *fourProduct) splitBlock(p panelAt) {
	for half := range 2 {
		acc := newFourSums()
		k.start(acc, 1, words("minus8", 0xfff8fff8))
		k.dots(acc, p.bytes, 3, 8, false, true)
		d := YMM()
		VMOVUPS(Mem{Base: p.d, Disp: 32 * half}, d)
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
	head, inside, subs := GP64(), GP64(), GP64()
	total := func(t, h int) Mem { return k.totals.Offset(64*t + 32*h) }
	MOVQ(k.x, head)
	LEAQ(Mem{Base: head, Disp: 16 * 9}, inside)
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
	k.finish(acc, p.d, head, true)
	ADDQ(imm(16*29), k.x)
}
