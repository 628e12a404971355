package main

import (
	"fmt"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// packing writes the functions that put four rows of quantized activations side by side, in the tiles of both widths that
// panel products read.
func packing() {
	packBlocks("packTileBlocks", false)
	packBlocks("packFourBlocks", true)
	packSupers("packTileSupers", false)
	packSupers("packFourSupers", true)
}

// packer is what the functions have in common: four rows of each array, and where the next words go.
type packer struct {
	out, apart, apart3        GPVirtual // in bytes; a tile has words of other rows between those of the four
	q, cols, cols3            GPVirtual
	scale, scales, scales3    GPVirtual
	sums, sumBytes, sumBytes3 GPVirtual
	blocks                    GPVirtual
	ones16, ones8             VecVirtual
}

// newPacker begins a function.
func newPacker(name, doc string) *packer {
	TEXT(name, NOSPLIT, "func(out *int32, apart int, q *int8, scale *float32, sums *int16, blocks, cols int)")
	Doc(name + doc)
	Pragma("noescape")
	p := &packer{out: load("out"), apart: load("apart"), q: load("q"), scale: load("scale"), sums: load("sums"), blocks: load("blocks"), cols: load("cols")}
	p.scales, p.sumBytes = GP64(), GP64()
	MOVQ(p.blocks, p.scales)
	SHLQ(Imm(2), p.scales)
	MOVQ(p.cols, p.sumBytes)
	SHRQ(Imm(3), p.sumBytes)
	p.apart3, p.cols3, p.scales3, p.sumBytes3 = triple(p.apart), triple(p.cols), triple(p.scales), triple(p.sumBytes)
	p.ones16, p.ones8 = YMM(), YMM()
	VMOVDQU(words("ones16", 0x00010001), p.ones16)
	VMOVDQU(words("ones8", 0x01010101), p.ones8)
	return p
}

func triple(r GPVirtual) GPVirtual {
	t := GP64()
	LEAQ(Mem{Base: r, Index: r, Scale: 2}, t)
	return t
}

// rowsAt returns where four rows begin.
func rowsAt(base, size, size3 Register) [4]Mem {
	return [4]Mem{{Base: base}, {Base: base, Index: size, Scale: 1}, {Base: base, Index: size, Scale: 2}, {Base: base, Index: size3, Scale: 1}}
}

// one returns a word of each row.
func one(at [4]Mem) VecVirtual {
	v := XMM()
	VMOVD(at[0], v)
	for i, m := range at[1:] {
		VPINSRD(Imm(uint64(i+1)), m, v, v)
	}
	return v
}

// eight returns eight words of each row, turned: words i and i+4 of the four rows in the halves of register i.
func eight(at [4]Mem) []VecVirtual {
	v, w := ymms(4), ymms(4)
	for i, m := range at {
		VMOVDQU(m, v[i])
	}
	VPUNPCKLDQ(v[1], v[0], w[0])
	VPUNPCKHDQ(v[1], v[0], w[1])
	VPUNPCKLDQ(v[3], v[2], w[2])
	VPUNPCKHDQ(v[3], v[2], w[3])
	VPUNPCKLQDQ(w[2], w[0], v[0])
	VPUNPCKHQDQ(w[2], w[0], v[1])
	VPUNPCKLQDQ(w[3], w[1], v[2])
	VPUNPCKHQDQ(w[3], w[1], v[3])
	return v
}

// put writes words and steps behind them.
func (p *packer) put(v ...VecVirtual) {
	at := rowsAt(p.out, p.apart, p.apart3)
	for i, x := range v {
		VMOVDQU(x.AsX(), at[i])
	}
	LEAQ(Mem{Base: p.out, Index: p.apart, Scale: uint8(len(v))}, p.out)
}

// putEight writes what eight returned.
func (p *packer) putEight(v []VecVirtual) {
	p.put(v...)
	at := rowsAt(p.out, p.apart, p.apart3)
	for i, x := range v {
		VEXTRACTI128(Imm(1), x, at[i])
	}
	LEAQ(Mem{Base: p.out, Index: p.apart, Scale: 4}, p.out)
}

// pairSums returns the sums of the first and of the second two quants of turned words, as two numbers of 16 bits each.
func (p *packer) pairSums(v VecVirtual) VecVirtual {
	sums := YMM()
	VPMADDUBSW(v, p.ones8, sums)
	return sums
}

// addPairs adds all registers of pairs of 16 bits to the first.
func addPairs(v ...VecVirtual) VecVirtual {
	for _, x := range v[1:] {
		VPADDW(x, v[0], v[0])
	}
	return v[0]
}

func packBlocks(name string, fours bool) {
	p := newPacker(name, " packs four rows of blocks of 32: ref.Quants.Pack.")
	loop(p.blocks, 1, func() {
		sum, extra, float := one(rowsAt(p.sums, p.sumBytes, p.sumBytes3)), YMM(), XMM()
		VPMADDWD(p.ones16.AsX(), sum, sum)
		VCVTDQ2PS(sum, float)
		quants := eight(rowsAt(p.q, p.cols, p.cols3))
		if fours {
			pairs, upper := make([]VecVirtual, 4), XMM()
			for i, v := range quants {
				pairs[i] = p.pairSums(v)
			}
			all := addPairs(pairs...)
			VEXTRACTI128(Imm(1), all, upper)
			VPADDW(upper, all.AsX(), extra.AsX())
		} else { // -128 times the sum
			VPSLLD(Imm(7), sum, sum)
			VPXOR(extra, extra, extra)
			VPSUBD(sum, extra.AsX(), extra.AsX())
		}
		p.put(one(rowsAt(p.scale, p.scales, p.scales3)), extra)
		p.put(float)
		p.putEight(quants)
		ADDQ(imm(32), p.q)
		ADDQ(imm(4), p.scale)
		ADDQ(imm(4), p.sums)
	})
	ret()
}

func packSupers(name string, fours bool) {
	p := newPacker(name, " packs four rows of super-blocks: ref.Quants.Pack.")
	loop(p.blocks, 1, func() {
		p.put(one(rowsAt(p.scale, p.scales, p.scales3)))
		sums := eight(rowsAt(p.sums, p.sumBytes, p.sumBytes3))
		p.putEight(sums)
		pairs, turn, mark := GP64(), GP64(), XMM()
		if fours { // the pairs of sums come before the words that they are of
			MOVQ(p.out, pairs)
			ADDQ(imm(16*80), p.out) // those of 32 behind them
			p.putSums32(sums)
			SUBQ(imm(16*(80+4-16)), p.out)
		} else {
			p.putSums32(sums)
			p.putStarts(sums)
			MOVQ(p.out, pairs) // the marks
			ADDQ(p.apart, p.out)
			VPXOR(mark, mark, mark)
		}
		MOVQ(imm(8), turn)
		loop(turn, 1, func() {
			quants := eight(rowsAt(p.q, p.cols, p.cols3))
			if fours { // of the first sixteen quants in the low half, of the others in the high one
				var v []VecVirtual
				for _, x := range quants {
					v = append(v, p.pairSums(x))
				}
				VMOVDQU(addPairs(v...), Mem{Base: pairs})
				ADDQ(imm(32), pairs)
			} else {
				p.addMarks(mark, quants)
			}
			p.putEight(quants)
			ADDQ(imm(32), p.q)
		})
		if fours {
			ADDQ(imm(16*4), p.out)
		} else {
			VMOVDQU(mark, Mem{Base: pairs})
		}
		ADDQ(imm(4), p.scale)
		ADDQ(imm(32), p.sums)
	})
	ret()
}

// putSums32 writes four pairs of sums of 32 quants, from the turned pairs of sums of 16.
func (p *packer) putSums32(sums []VecVirtual) {
	both := ymms(4)
	for i, v := range sums {
		VPMADDWD(p.ones16, v, both[i])
	}
	for i := 0; i < 4; i += 2 {
		VPSLLD(Imm(16), both[i+1], both[i+1])
		VPBLENDW(Imm(0xaa), both[i+1], both[i], both[i])
	}
	at := rowsAt(p.out, p.apart, p.apart3)
	for i, v := range []VecVirtual{both[0], both[2]} { // pairs 0 and 2, then 1 and 3
		VMOVDQU(v.AsX(), at[i])
		VEXTRACTI128(Imm(1), v, at[i+2])
	}
	LEAQ(Mem{Base: p.out, Index: p.apart, Scale: 4}, p.out)
}

// putStarts writes the starts of the first and of the second of eight pairs of sums, from the turned sums of 16 quants: ref.pairStarts.
func (p *packer) putStarts(sums []VecVirtual) {
	base := YMM()
	VPXOR(base, base, base)
	for _, left := range []uint64{16, 0} { // brings the one that is meant to the upper half
		starts := ymms(4)
		for i, v := range sums {
			if left > 0 {
				VPSLLD(Imm(left), v, starts[i])
				v = starts[i]
			}
			VPSRAD(Imm(16), v, starts[i])
			VPSLLD(Imm(7), starts[i], starts[i])
			VPSUBD(starts[i], base, starts[i])
		}
		p.putEight(starts)
		VPBROADCASTD(words("half16", 0x8000), base)
	}
}

// addMarks sets bits of the marks of four rows where 32 quants of theirs ask for it: ref.pairMark.
func (p *packer) addMarks(mark VecVirtual, quants []VecVirtual) {
	magnitudes, positive := ymms(4), ymms(4)
	none := YMM()
	VPXOR(none, none, none)
	for i, v := range quants {
		VPMAXSB(none, v, positive[i])
		VPABSB(v, magnitudes[i])
		VPMADDUBSW(p.ones8, positive[i], positive[i])
		VPMADDUBSW(p.ones8, magnitudes[i], magnitudes[i])
	}
	all, up := addPairs(magnitudes...), addPairs(positive...)
	VPMADDWD(p.ones16, all, all) // of sixteen quants in the low half, of the others in the high one
	VPMADDWD(p.ones16, up, up)
	over := func(v VecVirtual, limit, bit int, name string) {
		x, least := XMM(), XMM()
		VPBROADCASTD(words(fmt.Sprintf("quiet%s", name), uint32(limit)), least)
		VPCMPGTD(least, v.AsX(), x)
		VPSRLD(Imm(31), x, x)
		if bit > 0 {
			VPSLLD(Imm(uint64(bit)), x, x)
		}
		VPOR(x, mark, mark)
	}
	upper, second := XMM(), XMM()
	VEXTRACTI128(Imm(1), all, upper)
	VPMAXSD(upper, all.AsX(), second)
	over(second, 1023, 0, "16")
	VPADDD(upper, all.AsX(), all.AsX())
	VEXTRACTI128(Imm(1), up, upper)
	VPADDD(upper, up.AsX(), up.AsX())
	VPSUBD(up.AsX(), all.AsX(), all.AsX()) // of the negative ones
	VPMAXSD(up.AsX(), all.AsX(), all.AsX())
	over(all, 1057, 1, "32")
	over(all, 2184, 2, "4")
}
