package main

import (
	"fmt"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
	"github.com/mmcloughlin/avo/x86"
)

// packedLanes is a format of super-blocks as four rows read it with 512 bits where the sum of four products fits 16 bits. VPDPBUSD adds
// four products into each lane, the lanes of two vectors are packed into words, and words meet the scales of their sub-blocks: four
// multiplications for 128 weights and one VPERMW, where pairs of products (superLanes) take four and two, and half as many constants.
type packedLanes struct {
	name       string
	blockBytes int
	order      [4][2]int // which 32 weights are in the halves of each vector
	words      [2]int    // how many words of scales lie before those of the next row in one register, and how many rows are there
	word       func(sub int) int

	// begin reads what belongs to a super-block of all four rows.
	begin func(k *fourRows) packedBlock
	// setup returns what calls use for each of the four vectors of a row's weights.
	setup func(k *fourRows) func(r int, use func(v int, bytes VecVirtual))
}

// packedBlock is a super-block of four rows.
type packedBlock struct {
	// scales returns the register with the words of row r.
	scales func(r int) VecVirtual
	// total returns the sum that row r starts with, or nil.
	total func(r int, scales VecVirtual) VecVirtual
	// d are the scales of the super-blocks and m those of their minima, one in each lane, low the sums of minima; m and low may be nil.
	d, m, low VecVirtual
}

var packedLaneFormats = []packedLanes{
	{name: "Q4_K", blockBytes: 144, order: crossed, words: [2]int{8, 4}, word: half, begin: packedFours, setup: crossedPairs(16, none)},
	{name: "Q5_K", blockBytes: 176, order: crossed, words: [2]int{8, 4}, word: half, begin: packedFours, setup: crossedPairs(48, 16)},
	{name: "Q6_K", blockBytes: 210, order: straight, words: [2]int{0, 1}, word: same, begin: packedSixteens, setup: packedSixths},
}

// crossed is the order of two pieces of 32 bytes in one vector: their low nibbles, then their high ones.
var crossed = [4][2]int{{0, 2}, {1, 3}, {4, 6}, {5, 7}}

var straight = [4][2]int{{0, 1}, {2, 3}, {4, 5}, {6, 7}}

func lanePacked() {
	for _, f := range packedLaneFormats {
		f.write()
	}
}

func (f *packedLanes) write() {
	var each func(r int, use func(v int, bytes VecVirtual))
	var picks [][2]VecVirtual
	setup := func(k *fourRows) {
		each = f.setup(k)
		picks = f.picks()
	}
	emitLaneRows("rows"+f.name, true, f.blockBytes, 256, setup, laneStep{1, func(k *fourRows, _ int) { f.superBlock(k, picks, each) }})
}

// picks returns, for each row of a register of scales, the orders of VPERMW that give the scales of the first and of the last two vectors.
func (f *packedLanes) picks() [][2]VecVirtual {
	picks := make([][2]VecVirtual, f.words[1])
	for r := range picks {
		for pair := range 2 {
			at := func(i int) int { // word i of the packed vector
				v, sub := 2*pair+i/4%2, i/8
				return f.words[0]*r + f.word(2*f.order[v][sub/2]+sub%2)
			}
			picks[r][pair] = ZMM()
			VMOVDQU32(bytes64(fmt.Sprintf("packed%s_%d_%d", f.name, r, pair), func(i int) uint8 { return uint8((1 - i%2) * at(i/2)) }), picks[r][pair])
		}
	}
	return picks
}

// quants returns the activations in the order of the weights.
func (f *packedLanes) quants(k *fourRows) (x [4]VecVirtual) {
	for v, groups := range f.order {
		x[v] = ZMM()
		if groups[1] == groups[0]+1 {
			VMOVDQU32(Mem{Base: k.q, Disp: 32 * groups[0]}, x[v])
			continue
		}
		lower := YMM()
		VMOVDQU(Mem{Base: k.q, Disp: 32 * groups[0]}, lower)
		VINSERTI64X4(Imm(1), Mem{Base: k.q, Disp: 32 * groups[1]}, lower.AsZ(), x[v])
	}
	return x
}

// superBlock adds the products of one super-block of each row.
func (f *packedLanes) superBlock(k *fourRows, picks [][2]VecVirtual, each func(r int, use func(v int, bytes VecVirtual))) {
	block := f.begin(k)
	x := f.quants(k)
	var total [4]VecVirtual
	for r := range total {
		scales := block.scales(r)
		total[r] = block.total(r, scales)
		var sum [4]VecVirtual
		each(r, func(v int, bytes VecVirtual) {
			sum[v] = ZMM()
			clearZ(sum[v])
			VPDPBUSD(x[v], bytes, sum[v])
			if v%2 == 0 {
				return
			}
			VPACKSSDW(sum[v], sum[v-1], sum[v])
			scale := ZMM()
			VPERMW(scales, picks[r%len(picks)][v/2], scale)
			if total[r] == nil {
				total[r] = ZMM()
				VPMADDWD(scale, sum[v], total[r])
			} else {
				VPDPWSSD(scale, sum[v], total[r])
			}
		})
	}
	dot := addLanes(addTransposed(total))
	dx := XMM()
	VBROADCASTSS(Mem{Base: k.scale}, dx)
	VMULPS(dx, block.d, block.d)
	VCVTDQ2PS(dot, dot)
	VFMADD231PS(dot, block.d, k.acc)
	if block.low != nil {
		VMULPS(dx, block.m, block.m)
		VCVTDQ2PS(block.low, block.low)
		VFNMADD231PS(block.low, block.m, k.acc) // decoding subtracts the minima
	}
}

// packedFours unpacks the 6-bit scales and minima of four super-blocks of Q4_K or Q5_K, each row in 128 bits: scales 0-3, 4-7, minima 0-3, 4-7.
func packedFours(k *fourRows) packedBlock {
	head := k.heads(0)
	bytes, top := ZMM(), ZMM()
	VPSHUFD(Imm(1|3<<2|2<<4|3<<6), head, bytes) // 4-7 have their lower four bits in the third word: scales in its low nibbles, minima in its high ones
	VPSRLVD(dwords16("packedshifts", 0, 0, 0, 4), bytes, bytes)
	VPANDD(dwords16("packedlower", 0x3f3f3f3f, 0x0f0f0f0f, 0x3f3f3f3f, 0x0f0f0f0f), bytes, bytes)
	VPSHUFD(Imm(0|1<<2|0<<4|2<<6), head, top)
	VPSRLD(Imm(2), top, top)
	VPTERNLOGD(Imm(0xf8), dwords16("packedupper", 0, 0x30303030, 0, 0x30303030), top, bytes) // bytes | top & upper

	zeros, scales, minima := ZMM(), ZMM(), ZMM()
	clearZ(zeros)
	VPUNPCKLBW(zeros, bytes, scales)
	VPUNPCKHBW(zeros, bytes, minima)

	sums, four := XMM(), ZMM()
	VMOVDQU(Mem{Base: k.sums}, sums)
	VPHADDW(Mem{Base: k.sums, Disp: 16}, sums, sums)
	VSHUFI32X4(Imm(0), sums.AsZ(), sums.AsZ(), four)
	VPMADDWD(four, minima, minima)
	for _, order := range []uint64{2 | 3<<2 | 0<<4 | 1<<6, 1 | 0<<2 | 3<<4 | 2<<6} {
		moved := ZMM()
		VPSHUFD(Imm(order), minima, moved)
		VPADDD(moved, minima, minima)
	}
	d, m := halvesOf(firstWords(head))
	return packedBlock{
		scales: func(int) VecVirtual { return scales },
		total:  func(int, VecVirtual) VecVirtual { return nil },
		d:      d, m: m, low: firstWords(minima),
	}
}

// packedSixteens reads the sixteen scales of each row of Q6_K, whose weights lie 32 above their values: a row's sum starts at what they are
// above them, times the sums of quants.
func packedSixteens(k *fourRows) packedBlock {
	above, sums := YMM(), YMM()
	VMOVDQU(Mem{Base: k.sums}, above)
	VPSLLW(Imm(4), above, above)
	zero(sums)
	VPSUBW(above, sums, sums) // at least -16*16*127: 32 times would not fit
	return packedBlock{
		scales: func(r int) VecVirtual {
			scales, _ := laneScalesQ6(k, r)
			return scales
		},
		total: func(_ int, scales VecVirtual) VecVirtual {
			total := ZMM()
			whole(total)(x86.VPMADDWD(sums, scales.AsY(), total.AsY()))
			VPADDD(total, total, total)
			return total
		},
		d: k.halves(208),
	}
}

// heads returns sixteen bytes of each row, at disp in its super-block.
func (k *fourRows) heads(disp int) VecVirtual {
	head := ZMM()
	whole(head)(x86.VMOVDQU(k.at(0, disp), head.AsX()))
	for r := 1; r < 4; r++ {
		VINSERTI32X4(Imm(uint64(r)), k.at(r, disp), head, head)
	}
	return head
}

// firstWords returns the first 32 bits of each 128.
func firstWords(v VecVirtual) VecVirtual {
	out := ZMM()
	VMOVDQU32(dwords16("firsts", 0, 4, 8, 12), out)
	VPERMD(v, out, out)
	return out.AsX().(VecVirtual)
}

// dwords16 returns four words, four times.
func dwords16(name string, w ...uint32) Mem {
	return bytes64(name, func(i int) uint8 { return uint8(w[i/4%4] >> (8 * (i % 4))) })
}

// crossedPairs reads 128 bytes of nibbles at disp, 64 at a time, and, unless high is none, 32 bytes of fifth bits there.
func crossedPairs(disp, high int) func(k *fourRows) func(r int, use func(v int, bytes VecVirtual)) {
	return func(k *fourRows) func(r int, use func(v int, bytes VecVirtual)) {
		nibble := k.repeat("nibbles", 0x0f0f0f0f)
		sixteen := VecVirtual(nil)
		if high != none {
			sixteen = k.repeat("bytes16", 0x10101010)
		}
		return func(r int, use func(v int, bytes VecVirtual)) {
			var fifths VecVirtual
			if high != none {
				fifths = both(k.piece(k.at(r, high)), 0, 2) // the upper half of a vector has the 32 weights after the next
			}
			for n := range 2 {
				pieces := k.load(k.at(r, disp+64*n))
				for h := range 2 {
					v := k.moved(pieces, nibble, 4*h)
					if high != none {
						VPTERNLOGD(Imm(0xf8), sixteen, k.shifted(fifths, crossed[2*n+h][0]-4), v) // v | bit & sixteen
					}
					use(2*n+h, v)
				}
			}
		}
	}
}

// packedSixths reads 128 bytes of low 4 bits and 64 bytes of high 2 bits.
func packedSixths(k *fourRows) func(r int, use func(v int, bytes VecVirtual)) {
	nibble, upper := k.repeat("nibbles", 0x0f0f0f0f), k.repeat("bytes48", 0x30303030)
	return func(r int, use func(v int, bytes VecVirtual)) {
		for n := range 2 {
			low, top := k.load(k.at(r, 64*n)), both(k.piece(k.at(r, 128+32*n)), 0, 2)
			for h := range 2 {
				v := k.moved(low, nibble, 4*h)
				VPTERNLOGD(Imm(0xf8), upper, k.shifted(top, 4*h-4), v) // v | top & upper
				use(2*n+h, v)
			}
		}
	}
}
