package main

import (
	"fmt"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// Words of a kernel's local memory, in bytes: which rows there are, a bit each, and what waits while a register is used otherwise.
const (
	fewLive  = 8
	fewAhead = 16
)

// live writes which rows there are: marks of others mean nothing.
func (k *fewFrame) live() {
	count, rows := load("count"), GP64()
	XORQ(rows, rows)
	BTSQ(count, rows)
	SUBQ(imm(1), rows)
	MOVQ(rows, k.local.Offset(fewLive))
}

// paired is whole for sums that fit 16 bits: two share a word, as ref.pairStarts says, so that one multiplication takes both.
func (k *fewFrame) paired(first int, totals []VecVirtual, beside func()) {
	lines := k.f.per() / 4
	for turn := range 32 / lines {
		sum := zmms(len(totals))
		k.start(turn, first, sum)
		k.dots(2*turn*lines, lines, superWords, first, sum, beside)
		for t := range sum { // not VPROLD, which takes turns with the products on Zen 4
			VPSLLD(Imm(16), sum[t], sum[t])
			if k.f.minima {
				VPORD_BCST(words("half", 0x8000), sum[t], sum[t])
			} else {
				VPADDD_BCST(k.word(superStarts+8+turn, first+t), sum[t], sum[t])
			}
		}
		k.dots((2*turn+1)*lines, lines, superWords, first, sum, beside)
		scale := ZMM()
		VMOVDQU32(Mem{Base: k.from, Disp: 64 * turn}, scale)
		for t := range sum {
			VPXORD_BCST(words("half", 0x8000), sum[t], sum[t])
			VPDPWSSD(sum[t], scale, totals[t])
		}
	}
}

// start sets what the first sums of a turn start with.
func (k *fewFrame) start(turn, first int, sum []VecVirtual) {
	if k.f.minima {
		clearZ(sum...)
		return
	}
	for t := range sum {
		VPBROADCASTD(k.word(superStarts+turn, first+t), sum[t])
	}
}

// again sets totals anew where a row has the mark and so its sums may not have fitted: each is multiplied by its scale as a word. That is
// rare and a loop, and so what was unpacked beside paired need not be written twice.
func (k *fewFrame) again(mark, first int, totals []VecVirtual) {
	done, top := label("quiet"), label("again")
	marks, has, found := YMM(), K(), GP32()
	VBROADCASTI32X4(k.word(superMarks, first), marks)
	if len(totals) > narrowTile {
		VINSERTI32X4(Imm(1), k.word(superMarks, first+narrowTile), marks, marks)
	}
	VPTESTMD_BCST(words(fmt.Sprintf("mark%d", mark), uint32(mark)), marks, has)
	KMOVW(has, found)
	TESTB(found.As8(), k.local.Offset(fewLive+first/8))
	JEQ(LabelRef(done))

	lines := k.f.per() / 4
	clearZ(totals...)
	MOVQ(k.ahead, k.local.Offset(fewAhead))
	at := k.ahead // of the words of a row in a tile
	XORQ(at, at)
	Label(top)
	turn := GP64() // the same of starts, and a quarter or half of that of scales
	MOVQ(at, turn)
	SHRQ(Imm(3), turn)
	for half := range 2 {
		sum, scale := zmms(len(totals)), ZMM()
		if k.f.minima {
			clearZ(sum...)
		} else {
			for t := range sum {
				VPBROADCASTD(k.word(superStarts+8*half, first+t).Idx(turn, 1), sum[t])
				if half == 1 {
					VPSUBD_BCST(words("half", 0x8000), sum[t], sum[t])
				}
			}
		}
		for i := half * lines; i < (half+1)*lines; i++ {
			line := ZMM()
			VMOVDQU32(Mem{Base: k.from, Disp: unpackedLines + 64*i}.Idx(at, 4), line)
			for t := range sum {
				VPDPBUSD_BCST(k.word(superWords+i, first+t).Idx(at, 1), line, sum[t])
			}
		}
		both := Mem{Base: k.from}.Idx(turn, uint8(16/lines))
		if half == 0 {
			VPSRAD(Imm(16), both, scale)
		} else {
			VPSLLD(Imm(16), both, scale)
			VPSRAD(Imm(16), scale, scale)
		}
		for t := range sum {
			VPMULLD(scale, sum[t], sum[t])
			VPADDD(sum[t], totals[t], totals[t])
		}
	}
	ADDQ(imm(2*lines*4*narrowTile), at)
	CMPQ(at, imm(64*4*narrowTile))
	JLT(LabelRef(top))
	MOVQ(k.local.Offset(fewAhead), k.ahead)
	Label(done)
}
