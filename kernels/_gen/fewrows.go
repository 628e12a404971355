package main

import (
	"fmt"
	"iter"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// fewRows writes the products of formats with a few rows of activations: a block of sixteen rows is unpacked as into a panel,
// but one that holds two blocks alone and so stays in the first-level cache. While one is met by all rows of activations the
// next is unpacked and memory is asked for, a few instructions after each line of weights: shuffles, shifts and stores find
// room between multiplications that a pass of their own would not leave them.
func fewRows() {
	for _, f := range byteFormats {
		for _, n := range []int{4, 8, 12, 16} {
			few(f, n)
		}
	}
}

// narrowTile is ref.NarrowTileRows.
const narrowTile = 4

// The unpacked block, in bytes.
const (
	unpackedPairs = 16 * 64 // after scales of sub-blocks
	unpackedD     = unpackedPairs + 8*64
	unpackedM     = unpackedD + 64
	unpackedLines = unpackedM + 64
	unpackedBytes = unpackedLines + 64*64
)

// fewFrame is what a kernel for n rows of activations has in registers. Tile i of four rows is read from x[i].
type fewFrame struct {
	*sixteenRows
	f        byteFormat
	n        int
	local    Mem
	x        []GPVirtual
	from, to GPVirtual // the block that is met, and the one that is unpacked
	sums     GPVirtual // of each row, as float32
	ahead    GPVirtual // what is asked for next
	emit     emitter
}

func (k *fewFrame) acc(t int) Mem { return Mem{Base: k.sums, Disp: 64 * t} }

// word returns the address of word i of row t.
func (k *fewFrame) word(i, t int) Mem {
	return Mem{Base: k.x[t/narrowTile], Disp: 4 * (narrowTile*i + t%narrowTile)}
}

func few(f byteFormat, n int) {
	name := "few" + f.name
	if n != narrowTile {
		name += fmt.Sprintf("x%d", n)
	}
	TEXT(name, 0, "func(dst *float32, dstStride int, w *byte, groups, blocks int, tiles *int32, tileBytes, count int, spans *[2]uintptr)")
	Doc(fmt.Sprintf("%s sets up to %d rows of dst, dstStride bytes apart, to the products of groups of sixteen rows of weights with", name, n),
		"as many rows of activations: ref.RowsQuant. Tiles of four rows are tileBytes apart. It asks for the memory between the addresses of",
		"each span too, up to one that begins at 0, and moves what it asked for out of them.")
	Pragma("noescape")
	const parked = 8 * 64
	left := AllocLocal(64 + 64 + 2*unpackedBytes + 64*n + parked) // the first words: blocks of the group, fewLive, fewAhead
	k := &fewFrame{sixteenRows: newSixteenRows(f.blockBytes), f: f, n: n, local: left, from: GP64(), to: GP64(), sums: GP64(), ahead: GP64()}
	LEAQ(left.Offset(64+63), k.to)
	ANDQ(I32(-64), k.to)
	LEAQ(Mem{Base: k.to, Disp: unpackedBytes}, k.from)
	LEAQ(Mem{Base: k.to, Disp: 2 * unpackedBytes}, k.sums)
	k.park = Mem{Base: k.sums, Disp: 64 * n}
	k.spread()
	MOVQ(k.size, k.ahead)
	SHLQ(Imm(5), k.ahead) // the next group but one: memory does not bring the next one in time
	ADDQ(k.w[0], k.ahead)
	add := 0
	if !f.minima {
		add = 128 - f.offset // what a tile's -128 times the sum of quants takes back
	}
	k.emit = f.setup(add)
	if _, mark := f.paired(); mark > 0 {
		k.live()
	}
	pieces := 0
	k.unpack(func() { pieces++ })

	group, block, within, stored := label("group"), label("block"), label("within"), label("stored")
	for range n / narrowTile {
		k.x = append(k.x, GP64())
	}
	Label(group)
	for i := range k.x {
		if i == 0 {
			Load(Param("tiles"), k.x[i])
			continue
		}
		Load(Param("tileBytes"), k.x[i])
		ADDQ(k.x[i-1], k.x[i])
	}
	none, blocks := ZMM(), load("blocks")
	MOVQ(blocks, left)
	clearZ(none)
	for t := range n {
		VMOVUPS(none, k.acc(t))
	}
	Label(block)
	// The next block is that behind this one or the first of the next group; behind the last of all this one again.
	by := GP64()
	MOVQ(U32(f.blockBytes), by)
	CMPQ(left, Imm(1))
	JNE(LabelRef(within))
	MOVQ(U32(0), by)
	CMPQ(NewParamAddr("groups", 24), Imm(1))
	JE(LabelRef(within))
	LEAQ(Mem{Base: k.size3, Index: k.size3, Scale: 4, Disp: f.blockBytes}, by)
	Label(within)
	for _, p := range k.w {
		ADDQ(by, p)
	}
	XCHGQ(k.from, k.to)
	k.multiply(pieces)
	for _, x := range k.x {
		ADDQ(imm(4*narrowTile*k.f.tileWords()), x)
	}
	k.askPages()
	SUBQ(imm(1), left)
	JNZ(LabelRef(block))

	dst, stride := load("dst"), load("dstStride")
	next := GP64()
	LEAQ(Mem{Base: dst, Disp: 64}, next)
	Store(next, Param("dst"))
	for t := range n {
		v := ZMM()
		VMOVUPS(k.acc(t), v)
		VMOVUPS(v, Mem{Base: dst})
		if t < n-1 {
			CMPQ(NewParamAddr("count", 56), Imm(uint64(t+1)))
			JLE(LabelRef(stored))
		}
		ADDQ(stride, dst)
	}
	Label(stored)
	SUBQ(imm(1), NewParamAddr("groups", 24))
	JNZ(LabelRef(group))
	ret()
}

// unpack writes the block at w to where to points. It calls pause after every few instructions.
func (k *fewFrame) unpack(pause func()) {
	at := func(disp int) Mem { return Mem{Base: k.to, Disp: disp} }
	k.pause = pause
	if k.f.super {
		k.unpackSuperScales(at)
	} else {
		d, m := k.f.scales(k.sixteenRows)
		VMOVUPS(d, at(unpackedD))
		if m != nil {
			VMOVUPS(m, at(unpackedM))
		}
	}
	pause()
	k.emit(k.sixteenRows, func(i int, v VecVirtual) {
		VMOVDQU32(v, at(unpackedLines+64*i))
		pause()
	})
	k.pause = nil
}

func (k *fewFrame) unpackSuperScales(at func(disp int) Mem) {
	s := k.f.superScales(k.sixteenRows)
	VMOVUPS(s.d, at(unpackedD))
	if k.f.minima {
		VMOVUPS(s.m, at(unpackedM))
	}
	paired, _ := k.f.paired()
	if paired {
		for turn := range 128 / k.f.per() {
			VMOVDQU32(s.both(turn), at(64*turn))
			k.pause()
		}
		if !k.f.minima {
			return // sums start with offsets
		}
	} else {
		for sub := 0; sub < 16; sub += k.f.per() / 16 {
			VMOVDQU32(s.scale(sub), at(64*sub))
			k.pause()
		}
	}
	pairs, pairAt, _ := s.pairs(128)
	for i := range pairs {
		VMOVDQU32(pairAt(i), at(unpackedPairs+64*i))
		k.pause()
	}
}

// multiply meets the block at from with all rows, eight after eight, and unpacks the next one meanwhile, which takes so
// many pieces.
func (k *fewFrame) multiply(pieces int) {
	next, stop := iter.Pull(func(yield func(struct{}) bool) {
		k.unpack(func() { yield(struct{}{}) })
	})
	defer stop()
	written, asked, met := 0, 0, 0
	lines, ask := k.f.lines()*((k.n+7)/8), (16*k.f.blockBytes+63)/64
	beside := func() { // what is written after a line
		met++
		for ; written < met*(pieces+1)/lines; written++ {
			next()
		}
		for ; asked < met*ask/lines; asked++ {
			PREFETCHT1(Mem{Base: k.ahead, Disp: 64 * asked})
			// The block after the one that is unpacked has been asked for so: it comes closer, sixteen rows a line each.
			if near := asked / 16 * 64; near < k.f.blockBytes+63 {
				PREFETCHT0(k.at(asked%16, k.f.blockBytes+near))
			}
		}
		if met%min(16, k.f.lines()) == 0 {
			k.askSpans()
		}
	}
	for first := 0; first < k.n; first += 8 {
		if n := min(8, k.n-first); k.f.super {
			k.meetSuper(first, n, beside)
		} else {
			k.meet(first, n, beside)
		}
	}
	for _, more := next(); more; _, more = next() {
	}
}

// askSpans is the function of that name for what is beside weights: of a change of rank 16 for each row, as many lines as fall to a block
// of a row of 2048. No register is left for it.
func (k *fewFrame) askSpans() {
	MOVQ(k.ahead, k.local.Offset(fewAhead))
	lines := 1
	if k.f.super {
		lines = 2
	}
	askSpans(lines, k.ahead)
	MOVQ(k.local.Offset(fewAhead), k.ahead)
}

// askPages moves on to what is asked for beside the next block. Where that enters another 256 KB it asks for a line of each page of the
// 256 KB behind them, so that what asks for the others later finds translations of addresses: an instruction that waits for one holds up
// all behind it. Here many wait at once. Eight pages have their entries in one line of a page table: first it asks for one of each eight.
func (k *fewFrame) askPages() {
	const page, table, stretch = 12, 15, 18 // log2 of bytes: of a page, of those with entries in a line, of what is asked for at once
	at, again, within := GP64(), label("pages"), label("nopages")
	MOVQ(k.ahead, at)
	ADDQ(imm(16*k.f.blockBytes), k.ahead)
	XORQ(k.ahead, at)
	SHRQ(Imm(stretch), at)
	JEQ(LabelRef(within))
	MOVQ(k.ahead, at)
	ANDQ(I32(-1<<stretch), at)
	Label(again)
	for line := 1 << stretch; line < 2<<stretch; line += 1 << table {
		PREFETCHT1(Mem{Base: at, Disp: line})
	}
	ADDQ(imm(1<<page), at)
	TESTQ(U32(1<<table-1<<page), at)
	JNE(LabelRef(again))
	Label(within)
}
