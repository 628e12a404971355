package main

import (
	"fmt"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// byteFormat is how sixteen rows of a format become lines of unsigned bytes: a line holds four consecutive weights of
// each row, a row in each lane.
type byteFormat struct {
	name       string
	blockBytes int
	super      bool // blocks of 256, scales for each 16 or 32
	minima     bool
	offset     int // what bytes are above the weights, before setup's own addition

	// emit calls line for each line of a block, in an order of its own.
	setup func(add int) (emit func(k *sixteenRows, line func(i int, bytes VecVirtual)))

	// scales returns d and m of a block of 32, superScales what a super-block has.
	scales      func(k *sixteenRows) (d, m VecVirtual)
	superScales func(k *sixteenRows) *superScales
}

// per is how many weights share a scale.
func (f *byteFormat) per() int {
	if f.name == "Q2_K" || f.name == "Q3_K" || f.name == "Q6_K" {
		return 16
	}
	return 32
}

// paired says whether two sums share a word where a few rows are met, and which mark forbids it. Weights from -4 to 3 or from 0 to 3
// need none: 16*127*4 fits 16 bits.
func (f *byteFormat) paired() (is bool, mark int) {
	switch f.name {
	case "Q4_K":
		return true, quiet4
	case "Q6_K":
		return true, quiet16
	case "Q5_K":
		return true, quiet32
	case "Q2_K", "Q3_K":
		return true, 0
	}
	return false, 0
}

// lines is how many lines a block has, tileWords how many words it has of a row in a tile of activations.
func (f *byteFormat) lines() int {
	if f.super {
		return 64
	}
	return 8
}

func (f *byteFormat) tileWords() int {
	if f.super {
		return superTile
	}
	return 11
}

// plus returns what adds a constant to each byte.
func plus(add int) func(v VecVirtual) {
	if add == 0 {
		return func(VecVirtual) {}
	}
	c := repeated(fmt.Sprintf("bytes%d", add), uint32(add))
	return func(v VecVirtual) { VPADDB(c, v, v) }
}

func onlyHalves(k *sixteenRows) (d, m VecVirtual) { return k.halves(0), nil }

func halvesAndMinima(k *sixteenRows) (d, m VecVirtual) { return splitHalves(k.words(0)) }

// masked returns v shifted right (or, if negative, left) by n bits and masked; n may cross bytes because of the mask.
func masked(v Op, mask VecVirtual, n int) VecVirtual {
	out := ZMM()
	switch {
	case n > 0:
		VPSRLW(Imm(uint64(n)), v, out)
		VPANDD(mask, out, out)
	case n < 0:
		VPSLLW(Imm(uint64(-n)), v, out)
		VPANDD(mask, out, out)
	default:
		VPANDD(v, mask, out)
	}
	return out
}

// byteFormats are the formats with unpacking of their own.
var byteFormats = []byteFormat{
	{name: "Q4_0", blockBytes: 18, offset: 8, setup: nibbleLines(2, nil), scales: onlyHalves},
	{name: "Q4_1", blockBytes: 20, minima: true, setup: nibbleLines(4, nil), scales: halvesAndMinima},
	{name: "Q5_0", blockBytes: 22, offset: 16, setup: fifthLines(2), scales: onlyHalves},
	{name: "Q5_1", blockBytes: 24, minima: true, setup: fifthLines(4), scales: halvesAndMinima},
	{name: "Q8_0", blockBytes: 34, offset: 128, setup: byteLines, scales: onlyHalves},
	{name: "IQ4_NL", blockBytes: 18, offset: 128, setup: nibbleLines(2, &iq4Codes), scales: onlyHalves},
	{name: "MXFP4", blockBytes: 17, offset: 128, setup: nibbleLines(1, &mxfp4Codes), scales: scaleE8M0},
	{name: "Q2_K", blockBytes: 84, super: true, minima: true, setup: quarterLines(16, none), superScales: scalesQ2},
	{name: "Q3_K", blockBytes: 110, super: true, offset: 4, setup: quarterLines(32, 0), superScales: scalesQ3},
	{name: "Q4_K", blockBytes: 144, super: true, minima: true, setup: pairLines(16, none), superScales: scalesQ4},
	{name: "Q5_K", blockBytes: 176, super: true, minima: true, setup: pairLines(48, 16), superScales: scalesQ4},
	{name: "Q6_K", blockBytes: 210, super: true, offset: 32, setup: sixLines, superScales: scalesQ6},
	{name: "IQ4_XS", blockBytes: 136, super: true, offset: 128, setup: codebookLines, superScales: scalesIQ4},
}

type emitter = func(k *sixteenRows, line func(i int, bytes VecVirtual))

// Codebooks, 128 added.
var (
	iq4Codes   = [16]uint8{1, 24, 45, 63, 79, 93, 106, 118, 129, 141, 153, 166, 181, 197, 217, 241}
	mxfp4Codes = [16]uint8{128, 129, 130, 131, 132, 134, 136, 140, 128, 127, 126, 125, 124, 122, 120, 116}
)

// nibbleLines reads 16 bytes: weights 0-15 in the low, 16-31 in the high halves.
func nibbleLines(disp int, codes *[16]uint8) func(add int) emitter {
	return func(add int) emitter {
		nibble, up := repeated("nibbles", 15), plus(add)
		if codes != nil {
			up = codebook(codes)
		}
		return func(k *sixteenRows, line func(i int, bytes VecVirtual)) {
			emitNibbles(k, disp, 0, nibble, up, line)
		}
	}
}

func emitNibbles(k *sixteenRows, disp, first int, nibble VecVirtual, up func(VecVirtual), line func(i int, bytes VecVirtual)) {
	for i, v := range k.lines(disp) {
		high := masked(v, nibble, 4)
		VPANDD(nibble, v, v)
		up(v)
		line(first+i, v)
		up(high)
		line(first+4+i, high)
	}
}

func codebook(codes *[16]uint8) func(VecVirtual) {
	table := ZMM()
	VMOVDQU32(table16(fmt.Sprintf("codes%d", codes[0]), *codes), table)
	return func(v VecVirtual) { VPSHUFB(v, table, v) }
}

func codebookLines(int) emitter {
	nibble, up := repeated("nibbles", 15), codebook(&iq4Codes)
	return func(k *sixteenRows, line func(i int, bytes VecVirtual)) {
		for sub := range 8 {
			emitNibbles(k, 8+16*sub, 8*sub, nibble, up, line)
		}
	}
}

// fifthLines reads 32 fifth bits, then nibbles.
func fifthLines(disp int) func(add int) emitter {
	return func(add int) emitter {
		nibble, sixteen, up := repeated("nibbles", 15), repeated("bytes16", 16), plus(add)
		return func(k *sixteenRows, line func(i int, bytes VecVirtual)) {
			bits := k.words(disp)
			emitNibbles(k, disp+4, 0, nibble, up, func(i int, v VecVirtual) {
				// Byte j gets the byte with bits 8*(i/2) to 8*(i/2)+7, of which bit 4*(i%2)+j is tested.
				picked, mask := ZMM(), K()
				VPSHUFB(within(fmt.Sprintf("all%d", i/2), [4]int{i / 2, i / 2, i / 2, i / 2}), bits, picked)
				test := ZMM()
				VPBROADCASTD(words(fmt.Sprintf("tests%d", i%2), 0x08040201<<(4*(i%2))), test)
				VPTESTMB(test, picked, mask)
				VPADDB(sixteen, v, mask, v)
				line(i, v)
			})
		}
	}
}

// byteLines reads int8 and adds 128.
func byteLines(int) emitter {
	high := repeated("bytes128", 128)
	return func(k *sixteenRows, line func(i int, bytes VecVirtual)) {
		for half := range 2 {
			for i, v := range k.lines(2 + 16*half) {
				VPXORD(high, v, v)
				line(4*half+i, v)
			}
		}
	}
}

// quarterLines reads 64 bytes of two low bits at disp and, unless high is none, 32 bytes of third bits there.
func quarterLines(disp, high int) func(add int) emitter {
	return func(add int) emitter {
		threes, up := repeated("bytes3", 3), plus(add)
		four := VecVirtual(nil)
		if high != none {
			four = repeated("bytes4", 4)
		}
		return func(k *sixteenRows, line func(i int, bytes VecVirtual)) {
			for chunk := range 2 {
				var bits [4]Op
				if high != none {
					bits = k.parked(0, k.lines(high+16*chunk))
				}
				for half := range 2 {
					v := k.lines(disp + 32*half + 16*chunk)
					for quarter := range 4 {
						sub := 8*half + 2*quarter + chunk
						for i := range v {
							code := masked(v[i], threes, 2*quarter)
							if high != none {
								// Bit sub/2 of each byte to bit 2.
								VPORD(masked(bits[i], four, sub/2-2), code, code)
							}
							up(code)
							line(4*sub+i, code)
						}
					}
				}
			}
		}
	}
}

// pairLines reads 128 bytes of nibbles at disp and, unless high is none, 32 bytes of fifth bits there.
func pairLines(disp, high int) func(add int) emitter {
	return func(int) emitter {
		nibble := repeated("nibbles", 15)
		sixteen := VecVirtual(nil)
		if high != none {
			sixteen = repeated("bytes16", 16)
		}
		return func(k *sixteenRows, line func(i int, bytes VecVirtual)) {
			var bits [2][4]Op
			if high != none {
				bits = [2][4]Op{k.parked(0, k.lines(high)), k.parked(4, k.lines(high+16))}
			}
			for pair := range 4 {
				emitLine := func(half, chunk, i int, v VecVirtual) {
					code := masked(v, nibble, 4*half)
					if high != none {
						// Bit 2*pair+half of each byte to bit 4.
						VPORD(masked(bits[chunk][i], sixteen, 2*pair+half-4), code, code)
					}
					line(16*pair+8*half+4*chunk+i, code)
				}
				for chunk := range 2 {
					for i, v := range k.lines(disp + 32*pair + 16*chunk) {
						emitLine(0, chunk, i, v)
						emitLine(1, chunk, i, v)
					}
				}
			}
		}
	}
}

// sixLines reads 128 bytes of low 4 bits and 64 bytes of high 2 bits.
func sixLines(add int) emitter {
	nibble, upper, up := repeated("nibbles", 15), repeated("bytes48", 48), plus(add)
	return func(k *sixteenRows, line func(i int, bytes VecVirtual)) {
		for half := range 2 {
			for chunk := range 2 {
				bits := k.parked(0, k.lines(128+32*half+16*chunk))
				for j := chunk; j < 4; j += 2 {
					lines := k.lines(64*half + 16*j)
					for high := range 2 {
						for i, v := range lines {
							code := masked(v, nibble, 4*high)
							VPORD(masked(bits[i], upper, 4*high+j/2*2-4), code, code)
							up(code)
							line(4*(8*half+4*high+j)+i, code)
						}
					}
				}
			}
		}
	}
}
