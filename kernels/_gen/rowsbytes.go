package main

import (
	"fmt"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// rowsFifths writes the row kernel of Q5_0 or, with minima, of Q5_1: a block is its scales, 32 fifth bits and sixteen bytes
// of nibbles. The bytes are unsigned, 16 above the weights in Q5_0.
func rowsFifths(name string, blockBytes int, minima bool) {
	head := blockBytes - 16
	nibble, ones, sixteen := YMM(), YMM(), YMM()
	setup := func() {
		VMOVDQU(words("nibbles", 0x0f0f0f0f), nibble)
		VMOVDQU(words("ones16", 0x00010001), ones)
		VMOVDQU(words("bytes16", 0x10101010), sixteen)
	}
	bit := bytes64("bitofbyte", func(i int) uint8 { return 1 << (i % 8) })
	emitRows(name, blockBytes, setup, func(k *eightRows) {
		xLow, xHigh := YMM(), YMM()
		VBROADCASTI128(Mem{Base: k.q}, xLow)
		VBROADCASTI128(Mem{Base: k.q, Disp: 16}, xHigh)
		sum := addRows(func(r int) VecVirtual {
			low, high, bits, other := YMM(), YMM(), YMM(), YMM()
			VMOVDQU(k.at(r, head), low.AsX())
			VINSERTI128(Imm(1), k.at(r+4, head), low, low)
			VPSRLW(Imm(4), low, high)
			VPAND(nibble, low, low)
			VPAND(nibble, high, high)
			VPBROADCASTD(k.at(r, head-4), bits)
			VPBROADCASTD(k.at(r+4, head-4), other)
			VPBLENDD(Imm(0xf0), other, bits, bits)
			for i, v := range []VecVirtual{low, high} {
				// A byte gets the byte that its fifth bit is in, of which that bit is tested.
				picked := YMM()
				VPSHUFB(bytes64(fmt.Sprintf("fifths%d", i), func(j int) uint8 { return uint8(2*i + j%16/8) }), bits, picked)
				VPAND(bit, picked, picked)
				VPCMPEQB(bit, picked, picked)
				VPAND(sixteen, picked, picked)
				VPOR(picked, v, v)
			}
			VPMADDUBSW(xLow, low, low)
			VPMADDUBSW(xHigh, high, high)
			VPADDW(high, low, low) // at most 4*31*127
			VPMADDWD(ones, low, low)
			return low
		})
		sums := YMM()
		VPBROADCASTD(Mem{Base: k.sums}, sums)
		VPMADDWD(ones, sums, sums)
		if !minima {
			offset := YMM()
			VPSLLD(Imm(4), sums, offset)
			VPSUBD(offset, sum, sum)
			finishRows(k, sum, halvesOfRows(k))
			return
		}
		d, m := scalesAndMinima(k)
		finishRows(k, sum, d)
		finishRows(k, sums, m)
	})
}

// rowsCodes writes the row kernel of a format whose nibbles stand for codes: the magnitude of a code meets the activation
// with the code's sign.
func rowsCodes(name string, blockBytes int, table [16]uint8, scales func(k *eightRows) VecVirtual) {
	head := blockBytes - 16
	nibble, ones, codes := YMM(), YMM(), YMM()
	setup := func() {
		VMOVDQU(words("nibbles", 0x0f0f0f0f), nibble)
		VMOVDQU(words("ones16", 0x00010001), ones)
		VMOVDQU(bytes64(name+"codes", func(i int) uint8 { return table[i%16] - 128 }), codes)
	}
	emitRows(name, blockBytes, setup, func(k *eightRows) {
		var x [2]VecVirtual
		for i := range x {
			x[i] = YMM()
			VBROADCASTI128(Mem{Base: k.q, Disp: 16 * i}, x[i])
		}
		sum := addRows(func(r int) VecVirtual {
			v := [2]VecVirtual{YMM(), YMM()}
			VMOVDQU(k.at(r, head), v[0].AsX())
			VINSERTI128(Imm(1), k.at(r+4, head), v[0], v[0])
			VPSRLW(Imm(4), v[0], v[1])
			for i := range v {
				signed := YMM()
				VPAND(nibble, v[i], v[i])
				VPSHUFB(v[i], codes, v[i])
				VPSIGNB(v[i], x[i], signed)
				VPABSB(v[i], v[i])
				VPMADDUBSW(signed, v[i], v[i])
				VPMADDWD(ones, v[i], v[i])
			}
			VPADDD(v[1], v[0], v[0])
			return v[0]
		})
		finishRows(k, sum, scales(k))
	})
}

// addRows adds the lanes of four registers, of which the r-th has rows r and r+4 in its halves.
func addRows(row func(r int) VecVirtual) VecVirtual {
	var sum [4]VecVirtual
	for r := range sum {
		sum[r] = row(r)
		if r%2 == 1 {
			VPHADDD(sum[r], sum[r-1], sum[r-1])
		}
	}
	VPHADDD(sum[2], sum[0], sum[0])
	return sum[0]
}

// finishRows adds integer sums times both scales to the float32 sums.
func finishRows(k *eightRows, sum, d VecVirtual) {
	dx, f := YMM(), YMM()
	VBROADCASTSS(Mem{Base: k.scale}, dx)
	VMULPS(dx, d, d)
	VCVTDQ2PS(sum, f)
	VFMADD231PS(f, d, k.acc)
}

// exponentsOfRows returns the scales of MXFP4, powers of two of which a byte is the exponent, halved because the codes are
// doubled: those below 2^-126 are subnormal.
func exponentsOfRows(k *eightRows) VecVirtual {
	x, e, tiny, small := XMM(), YMM(), YMM(), YMM()
	VPXOR(x, x, x)
	for r := range 8 {
		VPINSRB(Imm(uint64(r)), k.at(r, 0), x, x)
	}
	VPMOVZXBD(x, e)
	VMOVDQU(words("tiny", 0x00200000), tiny)
	VPSLLVD(e, tiny, tiny)
	VMOVDQU(words("two32", 2), small)
	VPCMPGTD(e, small, small)
	VPSUBD(words("one32", 1), e, e)
	VPSLLD(Imm(23), e, e)
	VPBLENDVB(small, tiny, e, e)
	return e
}
