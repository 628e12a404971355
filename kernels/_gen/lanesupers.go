package main

import (
	"fmt"

	. "github.com/mmcloughlin/avo/build"
	"github.com/mmcloughlin/avo/ir"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
	"github.com/mmcloughlin/avo/x86"
)

// superLanes is a format of super-blocks as four rows read it. Weights meet activations by VPMADDUBSW, unsigned bytes times
// signed ones (at most 2*127*127 a pair), and the sums of pairs meet the scales of their sub-blocks in 16 bits.
type superLanes struct {
	name       string
	blockBytes int
	d          int  // where the scale of the super-block lies
	minima     bool // and the scale of its minima behind it
	narrow     bool // with 512 bits it is one of packedLaneFormats
	shift      int  // bytes are above the weights by 1<<shift; 0: by nothing

	// scales returns sixteen 16-bit scales of row r; minima those minima that meet the sums of quants, in the order that
	// sums gives them.
	scales func(k *fourRows, r int) (scales, minima VecVirtual)
	word   func(sub int) int // which of the scales is that of weights 16*sub to 16*sub+15
	sums   func(k *fourRows) Op
	// setup returns what calls use for each vector of a row's weights, v counted in vectors. x is nil where the activations
	// are to be taken as they are.
	setup func(k *fourRows) func(r int, use func(v int, bytes VecVirtual, x Op))
}

var superLaneFormats = []superLanes{
	{name: "Q2_K", blockBytes: 84, d: 80, minima: true, scales: laneScalesQ2, word: same, sums: plainSums, setup: laneQuarters(16, none)},
	{name: "Q3_K", blockBytes: 110, d: 108, shift: 2, scales: laneScalesQ3, word: same, sums: plainSums, setup: laneQuarters(32, 0)},
	{name: "Q4_K", narrow: true, blockBytes: 144, minima: true, scales: laneScalesQ4, word: besideMinima, sums: sumsBesideScales, setup: lanePairs(16, none)},
	{name: "Q5_K", narrow: true, blockBytes: 176, minima: true, scales: laneScalesQ4, word: besideMinima, sums: sumsBesideScales, setup: lanePairs(48, 16)},
	{name: "Q6_K", narrow: true, blockBytes: 210, d: 208, shift: 5, scales: laneScalesQ6, word: same, sums: plainSums, setup: laneSixths},
	{name: "IQ4_XS", blockBytes: 136, scales: laneScalesIQ4, word: half, setup: laneCodes},
}

func laneSupers(wide bool) {
	for _, f := range superLaneFormats {
		if !wide || !f.narrow {
			f.write(wide)
		}
	}
}

func (f *superLanes) write(wide bool) {
	var each func(r int, use func(v int, bytes VecVirtual, x Op))
	var picks []Op
	setup := func(k *fourRows) {
		each = f.setup(k)
		picks = f.picks(k)
	}
	emitLaneRows("rows"+f.name, wide, f.blockBytes, 256, setup, laneStep{1, func(k *fourRows, _ int) { f.superBlock(k, picks, each) }})
}

// superBlock adds the products of one super-block of each row.
func (f *superLanes) superBlock(k *fourRows, picks []Op, each func(r int, use func(v int, bytes VecVirtual, x Op))) {
	var sums Op
	if f.sums != nil {
		sums = f.sums(k)
	}
	var total, low [4]VecVirtual
	for r := range total {
		scales, minima := f.scales(k, r)
		total[r] = k.vec()
		started := false
		switch {
		case f.minima:
			low[r] = YMM()
			VPMADDWD(sums, minima, low[r])
		case f.shift > 0:
			// The sum starts at what the bytes are above the weights, times the sums of quants.
			offset := k.vec()
			whole(offset)(x86.VPMADDWD(sums, scales.AsY(), offset.AsY()))
			whole(offset)(x86.VPSLLD(Imm(uint64(f.shift)), offset.AsY(), offset.AsY()))
			k.clear(total[r])
			VPSUBD(offset, total[r], total[r])
			started = true
		}
		each(r, func(v int, bytes VecVirtual, x Op) {
			if x == nil {
				x = Mem{Base: k.q, Disp: v * k.bytes()}
			}
			scale := f.scale(k, scales, picks, v)
			VPMADDUBSW(x, bytes, bytes)
			switch {
			case !started:
				VPMADDWD(scale, bytes, total[r])
				started = true
			case k.wide:
				VPDPWSSD(scale, bytes, total[r])
			default:
				VPMADDWD(scale, bytes, bytes)
				VPADDD(bytes, total[r], total[r])
			}
		})
	}
	dot := addLanes(addTransposed(total))
	d, m := f.superScales(k)
	dx := XMM()
	VBROADCASTSS(Mem{Base: k.scale}, dx)
	VMULPS(dx, d, d)
	VCVTDQ2PS(dot, dot)
	VFMADD231PS(dot, d, k.acc)
	if f.minima {
		dot = addLanes(addTransposed(low))
		VMULPS(dx, m, m)
		VCVTDQ2PS(dot, dot)
		VFNMADD231PS(dot, m, k.acc) // decoding subtracts the minima
	}
}

// superScales returns the scales of the four super-blocks as float32.
func (f *superLanes) superScales(k *fourRows) (d, m VecVirtual) {
	if !f.minima {
		return k.halves(f.d), nil
	}
	pairs := XMM()
	VMOVD(k.at(0, f.d), pairs)
	for r := 1; r < 4; r++ {
		VPINSRD(Imm(uint64(r)), k.at(r, f.d), pairs, pairs)
	}
	return halvesOf(pairs)
}

// halves returns the float16 at disp of each row as float32.
func (k *fourRows) halves(disp int) VecVirtual {
	d := XMM()
	zero(d)
	for r := range 4 {
		VPINSRW(Imm(uint64(r)), k.at(r, disp), d, d)
	}
	VCVTPH2PS(d, d)
	return d
}

// halvesOf returns the lower and the upper halves of four words as float32, the lower ones in place of the words.
func halvesOf(v VecVirtual) (low, high VecVirtual) {
	high = XMM()
	VPSHUFB(constant128("pickhalves", 0x0d0c090805040100, 0x0f0e0b0a07060302), v, v)
	VPSRLDQ(Imm(8), v, high)
	VCVTPH2PS(v, v)
	VCVTPH2PS(high, high)
	return v, high
}

// picks returns what spreads scales over vectors: an order of VPERMW for each vector, or of VPSHUFB for each pair of words.
func (f *superLanes) picks(k *fourRows) []Op {
	if k.wide {
		picks := make([]Op, 4)
		for v := range picks {
			pick := ZMM()
			VMOVDQU32(bytes64(fmt.Sprintf("pick%d_%d_%d_%d", f.word(4*v), f.word(4*v+1), f.word(4*v+2), f.word(4*v+3)), func(i int) uint8 {
				return uint8((1 - i%2) * f.word(4*v+i/16))
			}), pick)
			picks[v] = pick
		}
		return picks
	}
	picks := make([]Op, 8)
	for v := range picks {
		low, high := f.word(2*v)%8, f.word(2*v+1)%8
		picks[v] = bytes64(fmt.Sprintf("words%d_%d", low, high), func(i int) uint8 {
			if i%32 < 16 {
				return uint8(2*low + i%2)
			}
			return uint8(2*high + i%2)
		})
	}
	return picks
}

// scale returns the scales of vector v, one in each 16 bits.
func (f *superLanes) scale(k *fourRows, scales VecVirtual, picks []Op, v int) VecVirtual {
	out := k.vec()
	if k.wide {
		VPERMW(scales, picks[v], out)
		return out
	}
	// Both halves get the eight words among which this vector's scales are.
	VPERM2I128(Imm(uint64(0x11*(f.word(2*v)/8))), scales, scales, out)
	VPSHUFB(picks[v], out, out)
	return out
}

// whole adds an instruction whose result in a narrow register clears the rest of the wide one, which avo does not know.
func whole(v VecVirtual) func(i *ir.Instruction, err error) {
	return func(i *ir.Instruction, err error) {
		if err != nil {
			panic(err)
		}
		i.Outputs = []Op{v}
		Instruction(i)
	}
}
