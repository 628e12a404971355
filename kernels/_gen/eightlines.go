package main

import (
	"fmt"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// eightFormat is how eight rows of a format become halves of lines: four consecutive weights of each row, a row in each
// lane, as unsigned bytes. It is byteFormat for half the rows and half the registers: a block is read in an order that
// keeps few of its bits at a time, in pieces that share no register.
type eightFormat struct {
	name       string
	blockBytes int
	pieces     int // in which a block is unpacked
	emit       func(k *eightRows, piece int, line func(i int, bytes VecVirtual))
	scales     func(k *eightRows, out *panelOut)
	signed     bool // lines are of signed bytes
	per16      bool // scales of 16 weights; of other super-blocks, of 32
}

// eightFormats are the formats whose bytes VPMADDUBSW multiplies. Where there are no minima, 16 or 32 is added to the
// weights, whatever the offset of the format itself.
var eightFormats = []eightFormat{
	{name: "Q4_0", blockBytes: 18, pieces: 1, emit: eightNibbles(2, 8, nil), scales: eightHalves},
	{name: "Q4_1", blockBytes: 20, pieces: 1, emit: eightNibbles(4, 0, nil), scales: eightPairs},
	{name: "Q5_0", blockBytes: 22, pieces: 1, emit: eightFifths(2), scales: eightHalves},
	{name: "Q5_1", blockBytes: 24, pieces: 1, emit: eightFifths(4), scales: eightPairs},
	{name: "MXFP4", blockBytes: 17, pieces: 1, emit: eightNibbles(1, 0, &mxfp4Sixteen), scales: eightE8M0},
	{name: "Q2_K", blockBytes: 84, pieces: 2, emit: eightQuarters(16, none, 0), scales: eightScalesQ2, per16: true},
	{name: "Q3_K", blockBytes: 110, pieces: 2, emit: eightQuarters(32, 0, 28), scales: eightScalesQ3, per16: true},
	{name: "Q4_K", blockBytes: 144, pieces: 2, emit: eightHalfBytes(16), scales: eightScalesQ4},
	{name: "Q5_K", blockBytes: 176, pieces: 4, emit: eightFiveBits(48, 16), scales: eightScalesQ4},
	{name: "Q6_K", blockBytes: 210, pieces: 4, emit: eightSixes, scales: eightScalesQ6, per16: true},
	{name: "Q8_0", blockBytes: 34, pieces: 1, emit: eightBytes, scales: eightHalves, signed: true},
	{name: "IQ4_NL", blockBytes: 18, pieces: 1, emit: eightNibbles(2, 128, &iq4Codes), scales: eightHalves, signed: true},
	{name: "IQ4_XS", blockBytes: 136, pieces: 8, emit: eightCodes, scales: eightScalesIQ4, signed: true},
}

// mxfp4Sixteen is the codebook, 16 added.
var mxfp4Sixteen = [16]uint8{16, 17, 18, 19, 20, 22, 24, 28, 16, 15, 14, 13, 12, 10, 8, 4}

// eightLines returns sixteen bytes of each row: register i holds bytes 4i to 4i+3 of all rows, row r in lane r.
func eightLines(k *eightRows, disp int) [4]VecVirtual {
	var v [4]VecVirtual
	for r := range v {
		v[r] = YMM()
		VBROADCASTI128(k.at(r, disp), v[r]) // the whole register: avo would take the rest for an input
		VINSERTI128(Imm(1), k.at(r+4, disp), v[r], v[r])
	}
	return transpose(v)
}

// constant8 returns a byte repeated, in memory.
func constant8(value int) Mem {
	return words(fmt.Sprintf("bytes%d", value), uint32(value)*0x01010101)
}

// picked returns v shifted right (or, if negative, left) by n bits and masked.
func picked(v VecVirtual, mask, n int) VecVirtual {
	out := YMM()
	switch {
	case n > 0:
		VPSRLW(Imm(uint64(n)), v, out)
		VPAND(constant8(mask), out, out)
	case n < 0:
		VPSLLW(Imm(uint64(-n)), v, out)
		VPAND(constant8(mask), out, out)
	default:
		VPAND(constant8(mask), v, out)
	}
	return out
}

func addBytes(v VecVirtual, add int) {
	if add != 0 {
		VPADDB(constant8(add), v, v)
	}
}

// eightNibbles reads 16 bytes: weights 0-15 in the low, 16-31 in the high halves.
func eightNibbles(disp, add int, codes *[16]uint8) func(k *eightRows, _ int, line func(i int, bytes VecVirtual)) {
	return func(k *eightRows, _ int, line func(i int, bytes VecVirtual)) {
		for i, v := range eightLines(k, disp) {
			for half := range 2 {
				code := picked(v, 15, 4*half)
				if codes != nil {
					table := YMM()
					VMOVDQU(table16(fmt.Sprintf("codes%d", codes[0]), *codes), table)
					VPSHUFB(code, table, code)
				}
				addBytes(code, add)
				line(4*half+i, code)
			}
		}
	}
}

// eightCodes reads 128 bytes of indices of the codebook.
func eightCodes(k *eightRows, sub int, line func(i int, bytes VecVirtual)) {
	eightNibbles(8+16*sub, 128, &iq4Codes)(k, 0, func(i int, v VecVirtual) { line(8*sub+i, v) })
}

// eightBytes reads int8.
func eightBytes(k *eightRows, _ int, line func(i int, bytes VecVirtual)) {
	for half := range 2 {
		for i, v := range eightLines(k, 2+16*half) {
			line(4*half+i, v)
		}
	}
}

// eightFifths reads 32 fifth bits, then nibbles.
func eightFifths(disp int) func(k *eightRows, _ int, line func(i int, bytes VecVirtual)) {
	return func(k *eightRows, _ int, line func(i int, bytes VecVirtual)) {
		bits, sixteen := eightWords(k, disp), YMM()
		VMOVDQU(constant8(16), sixteen)
		eightNibbles(disp+4, 0, nil)(k, 0, func(i int, v VecVirtual) {
			// Byte j gets the byte with bits 8*(i/2) to 8*(i/2)+7, of which bit 4*(i%2)+j is tested.
			tested, test := YMM(), YMM()
			VPSHUFB(within(fmt.Sprintf("all%d", i/2), [4]int{i / 2, i / 2, i / 2, i / 2}), bits, tested)
			VMOVDQU(words(fmt.Sprintf("tests%d", i%2), 0x08040201<<(4*(i%2))), test)
			VPAND(test, tested, tested)
			VPCMPEQB(test, tested, tested)
			VPAND(sixteen, tested, tested)
			VPOR(tested, v, v)
			line(i, v)
		})
	}
}

// eightWords returns the 32-bit words at disp of all rows.
func eightWords(k *eightRows, disp int) VecVirtual {
	v := YMM()
	VPBROADCASTD(k.at(0, disp), v)
	upper := XMM()
	VMOVD(k.at(4, disp), upper)
	for r := 1; r < 4; r++ {
		VPINSRD(Imm(uint64(r)), k.at(r, disp), v.AsX(), v.AsX())
		VPINSRD(Imm(uint64(r)), k.at(4+r, disp), upper, upper)
	}
	VINSERTI128(Imm(1), upper, v, v)
	return v
}

// eightQuarters reads 64 bytes of two low bits at disp and, unless high is none, 32 bytes of third bits there.
func eightQuarters(disp, high, add int) func(k *eightRows, chunk int, line func(i int, bytes VecVirtual)) {
	return func(k *eightRows, chunk int, line func(i int, bytes VecVirtual)) {
		var bits [4]VecVirtual
		if high != none {
			bits = eightLines(k, high+16*chunk)
		}
		for half := range 2 {
			for i, v := range eightLines(k, disp+32*half+16*chunk) {
				for quarter := range 4 {
					sub := 8*half + 2*quarter + chunk
					code := picked(v, 3, 2*quarter)
					if high != none {
						// Bit sub/2 of each byte to bit 2.
						VPOR(picked(bits[i], 4, sub/2-2), code, code)
					}
					addBytes(code, add)
					line(4*sub+i, code)
				}
			}
		}
	}
}

// eightHalfBytes reads 128 bytes of nibbles at disp, in two pieces.
func eightHalfBytes(disp int) func(k *eightRows, chunk int, line func(i int, bytes VecVirtual)) {
	return func(k *eightRows, chunk int, line func(i int, bytes VecVirtual)) {
		for pair := range 4 {
			for i, v := range eightLines(k, disp+32*pair+16*chunk) {
				for half := range 2 {
					line(16*pair+8*half+4*chunk+i, picked(v, 15, 4*half))
				}
			}
		}
	}
}

// eightFiveBits reads 128 bytes of nibbles at disp and 32 bytes of fifth bits at high, in four pieces.
func eightFiveBits(disp, high int) func(k *eightRows, piece int, line func(i int, bytes VecVirtual)) {
	return func(k *eightRows, piece int, line func(i int, bytes VecVirtual)) {
		chunk, first := piece/2, piece%2*2
		bits := eightLines(k, high+16*chunk)
		for pair := first; pair < first+2; pair++ {
			for i, v := range eightLines(k, disp+32*pair+16*chunk) {
				for half := range 2 {
					code := picked(v, 15, 4*half)
					// Bit 2*pair+half of each byte to bit 4.
					VPOR(picked(bits[i], 16, 2*pair+half-4), code, code)
					line(16*pair+8*half+4*chunk+i, code)
				}
			}
		}
	}
}

// eightSixes reads 128 bytes of low 4 bits and 64 bytes of high 2 bits, in four pieces.
func eightSixes(k *eightRows, piece int, line func(i int, bytes VecVirtual)) {
	half, chunk := piece/2, piece%2
	bits := eightLines(k, 128+32*half+16*chunk)
	for j := chunk; j < 4; j += 2 {
		for i, v := range eightLines(k, 64*half+16*j) {
			for high := range 2 {
				code := picked(v, 15, 4*high)
				VPOR(picked(bits[i], 48, 4*high+j/2*2-4), code, code)
				line(4*(8*half+4*high+j)+i, code)
			}
		}
	}
}
