package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// foursFrame is what these kernels keep in memory, as registers are few.
type foursFrame struct {
	f           eightFormat
	size        Mem // of a row of weights
	ahead, last Mem // what is asked for next, and up to where
	piece, left Mem // which piece of eight rows is unpacked next, and how many times eight rows there are
	w           Mem // the rows that are unpacked
	from, to    Mem // the block that is met, and the one that is unpacked
	half, lines Mem // where in that one the next piece goes
	rows        Mem // of activations, from this tile on
}

// begin makes the next block that is to be unpacked the one at w.
func (u *foursFrame) begin() {
	w, to := load("w"), GP64()
	MOVQ(w, u.w)
	ADDQ(imm(u.f.blockBytes), w)
	Store(w, Param("w"))
	MOVQ(u.to, to)
	MOVQ(to, u.half)
	ADDQ(imm(fewLines), to)
	MOVQ(to, u.lines)
	zero := GP64()
	XORQ(zero, zero)
	MOVQ(zero, u.piece)
	ADDQ(imm(2), zero)
	MOVQ(zero, u.left)
}

// ask asks, once for each sub-block that is multiplied, for some lines of the weights that lie as far behind the super-block as
// sixteen rows are long, until all that the sixteen super-blocks after it take are asked for. That is spread over the tiles:
// many at once fill the buffers that loads wait for.
func (u *foursFrame) ask() {
	next, asked, count, i := GP64(), label("asked"), NewParamAddr("count", 48), 0
	lines, subs := 16*u.f.blockBytes/64+1, 8
	if u.f.per16 {
		subs = 16
	}
	MOVQ(u.ahead, next)
	CMPQ(next, u.last)
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
	MOVQ(next, u.ahead)
}

// unpack unpacks the next piece of the next block, if there is one. Of a block of 32, of which sixteen rows are few lines, it
// also asks for what ask asks for.
func (u *foursFrame) unpack() {
	f, done := u.f, label("nothing")
	CMPQ(u.left, Imm(0))
	JE(LabelRef(done))
	k := &eightRows{w: GP64(), w4: GP64(), size: GP64(), size3: GP64()}
	lines, piece, after := GP64(), GP64(), label("piece")
	MOVQ(u.w, k.w)
	MOVQ(u.size, k.size)
	LEAQ(Mem{Base: k.size, Index: k.size, Scale: 2}, k.size3)
	LEAQ(Mem{Base: k.w, Index: k.size, Scale: 4}, k.w4)
	MOVQ(u.lines, lines)
	MOVQ(u.piece, piece)
	others := make([]string, f.pieces)
	for i := range others {
		others[i] = label("piece")
		if i > 0 {
			CMPQ(piece, Imm(uint64(i)))
			JE(LabelRef(others[i]))
		}
	}
	for i := range f.pieces {
		if i > 0 {
			Label(others[i])
		} else {
			if !f.super() {
				ahead := GP64()
				MOVQ(u.ahead, ahead)
				prefetchGroup(ahead, 8*f.blockBytes)
				MOVQ(ahead, u.ahead)
			}
			half := GP64()
			MOVQ(u.half, half)
			out := func(disp int) Mem { return Mem{Base: half, Disp: disp} }
			f.scales(k, &panelOut{d: out(fewD), m: out(fewM), pairs: out(0), mins: out(fewMins), sums32: true})
		}
		f.emit(k, i, func(i int, v VecVirtual) {
			if !f.signed {
				VMOVDQU(v, Mem{Base: lines, Disp: 64 * i})
				return
			}
			VPXOR(constant8(128), v, v)
			for part := range 2 {
				VMOVDQU(picked(v, 15, 4*part), Mem{Base: lines, Disp: 64*i + 32*part})
			}
		})
		if i < f.pieces-1 {
			JMP(LabelRef(after))
		}
	}
	Label(after)
	if f.pieces > 1 {
		ADDQ(imm(1), piece)
		MOVQ(piece, u.piece)
		CMPQ(piece, Imm(uint64(f.pieces)))
		JL(LabelRef(done))
		XORQ(piece, piece)
		MOVQ(piece, u.piece)
	}
	LEAQ(Mem{Base: k.w, Index: k.size, Scale: 8}, k.w)
	MOVQ(k.w, u.w)
	ADDQ(imm(32), u.half)
	switch {
	case !f.signed:
		ADDQ(imm(32), u.lines)
	case f.super():
		ADDQ(imm(64*64), u.lines)
	default:
		ADDQ(imm(64*8), u.lines)
	}
	SUBQ(imm(1), u.left)
	Label(done)
}
