package main

import (
	"fmt"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// superScales are the scales of a super-block of sixteen rows.
type superScales struct {
	d, m  VecVirtual                        // m is nil in formats without minima
	scale func(sub int) VecVirtual          // of sixteen weights, as 32-bit integers
	both  func(turn int) VecVirtual         // of two runs of weights in a word, the first one's in the upper half; nil where no kernel asks
	pair  func(line, factor int) VecVirtual // what meets two sums of 16 quants: minima, or scales times -factor
	wide  func(line int) VecVirtual         // minima that meet two sums of 32 quants, where a minimum is for so many; nil elsewhere
}

// pairs returns how many vectors meet the sums of a super-block, each of them, and which word of a row in a tile of
// activations comes first among those that they meet.
func (s *superScales) pairs(factor int) (n int, at func(line int) VecVirtual, word int) {
	if s.wide != nil {
		return 4, s.wide, 9
	}
	return 8, func(line int) VecVirtual { return s.pair(line, factor) }, 1
}

// superStarts and superMarks are where starts and marks begin among the words of a row in a tile (ref.Quants.PackRow), superWords where words
// of quants do, superTile is how many there are.
const (
	superStarts = 13
	superMarks  = 29
	superWords  = 30
	superTile   = superWords + 64
)

// shuffled returns v with the bytes of each word moved.
func shuffled(v VecVirtual, order [4]int) VecVirtual {
	out := ZMM()
	VPSHUFB(within(fmt.Sprintf("order%d_%d_%d_%d", order[0]+1, order[1]+1, order[2]+1, order[3]+1), order), v, out)
	return out
}

func unsignedScale(v VecVirtual, i int) VecVirtual { return shuffled(v, [4]int{i, none, none, none}) }

// unsignedScales returns byte i of each word in its upper half and the next one in the lower.
func unsignedScales(v VecVirtual, i int) VecVirtual {
	return shuffled(v, [4]int{i + 1, none, i, none})
}

func signedScale(v VecVirtual, i int) VecVirtual {
	out := shuffled(v, [4]int{none, none, none, i})
	VPSRAD(Imm(24), out, out)
	return out
}

// scaled returns words with signed scales in their odd bytes times -factor, a power of two.
func scaled(v VecVirtual, factor int) VecVirtual {
	zeros, shift := ZMM(), 0
	for 256>>shift > factor {
		shift++
	}
	VPSRAW(Imm(uint64(shift)), v, v)
	clearZ(zeros)
	VPSUBW(v, zeros, v)
	return v
}

// signedScales are sixteen signed scales, four of each row in a word.
func signedScales(d VecVirtual, v [4]VecVirtual) *superScales {
	return &superScales{
		d:     d,
		scale: func(sub int) VecVirtual { return signedScale(v[sub/4], sub%4) },
		both: func(turn int) VecVirtual {
			out := shuffled(v[turn/2], [4]int{none, turn%2*2 + 1, none, turn % 2 * 2})
			VPSRAW(Imm(8), out, out)
			return out
		},
		pair: func(line, factor int) VecVirtual {
			return scaled(shuffled(v[line/2], [4]int{none, line % 2 * 2, none, line%2*2 + 1}), factor)
		},
	}
}

func negated(v VecVirtual) VecVirtual {
	sign := ZMM()
	VPBROADCASTD(words("sign", 0x80000000), sign)
	VPXORD(sign, v, v)
	return v
}

// lessThirtyTwo subtracts 32 of each byte.
func lessThirtyTwo(v ...VecVirtual) {
	add := repeated("bytes224", 224)
	for _, r := range v {
		VPADDB(add, r, r)
	}
}

func scalesQ2(k *sixteenRows) *superScales {
	nibble := repeated("nibbles", 15)
	scales := k.lines(0)
	var mins [4]VecVirtual
	for i, v := range scales {
		mins[i] = masked(v, nibble, 4)
		VPANDD(nibble, v, v)
	}
	d, m := splitHalves(k.words(80))
	return &superScales{
		d: d, m: negated(m),
		scale: func(sub int) VecVirtual { return unsignedScale(scales[sub/4], sub%4) },
		both:  func(turn int) VecVirtual { return unsignedScales(scales[turn/2], turn%2*2) },
		pair: func(line, _ int) VecVirtual {
			return shuffled(mins[line/2], [4]int{line % 2 * 2, none, line%2*2 + 1, none})
		},
	}
}

// scalesQ3 reads twelve bytes: the low 4 bits of scales 0-7 and, above them, 8-15, then the high 2 bits of all.
func scalesQ3(k *sixteenRows) *superScales {
	nibble, upper := repeated("nibbles", 15), repeated("bytes48", 48)
	b := k.lines(92) // four bytes of weights come before them, so that nothing behind the block is read
	var v [4]VecVirtual
	for i := range v {
		v[i] = masked(b[1+i%2], nibble, 4*(i/2))
		VPORD(masked(b[3], upper, 2*i-4), v[i], v[i])
	}
	lessThirtyTwo(v[:]...)
	return signedScales(k.halves(108), v)
}

func scalesQ6(k *sixteenRows) *superScales { return signedScales(k.halves(208), k.lines(192)) }

// scalesQ4 reads the scales and minima of Q4_K and Q5_K: six bits each for 32 weights.
func scalesQ4(k *sixteenRows) *superScales {
	v := k.lines(0)
	low, six, two := repeated("nibbles", 15), repeated("bytes63", 63), repeated("bytes48", 48)
	fours := func(first, last VecVirtual, shift int) [2]VecVirtual {
		head, tail, upper := ZMM(), masked(last, low, shift), masked(first, two, 2)
		VPANDD(six, first, head)
		VPORD(upper, tail, tail)
		return [2]VecVirtual{head, tail}
	}
	scales := fours(v[1], v[3], 0)
	mins := fours(v[2], v[3], 4)
	d, m := splitHalves(v[0])
	return &superScales{
		d: d, m: negated(m),
		scale: func(sub int) VecVirtual { return unsignedScale(scales[sub/8], sub/2%4) },
		both:  func(turn int) VecVirtual { return unsignedScales(scales[turn/2], turn%2*2) },
		wide: func(line int) VecVirtual {
			return shuffled(mins[line/2], [4]int{line % 2 * 2, none, line%2*2 + 1, none})
		},
	}
}

// scalesIQ4 reads 16 bits with the high two of eight scales and 32 bits with their low four.
func scalesIQ4(k *sixteenRows) *superScales {
	v := k.lines(0)
	masks := func(name string, value uint32) VecVirtual {
		m := ZMM()
		VPBROADCASTD(words(name, value), m)
		return m
	}
	even, odd := masks("evennibbles", 0x000f000f), masks("oddnibbles", 0x0f000f00)
	var s [2]VecVirtual
	for i := range s {
		b := shuffled(v[1], [4]int{2 * i, 2 * i, 2*i + 1, 2*i + 1})
		s[i] = masked(b, odd, 4)
		VPANDD(even, b, b)
		VPORD(b, s[i], s[i])
		high := shuffled(v[0], [4]int{2 + i, 2 + i, 2 + i, 2 + i})
		for j := range 4 {
			VPORD(masked(high, masks(fmt.Sprintf("high%d", j), 0x30<<(8*j)), 2*j-4), s[i], s[i])
		}
	}
	lessThirtyTwo(s[:]...)
	d, _ := splitHalves(v[0])
	return &superScales{
		d:     d,
		scale: func(sub int) VecVirtual { return signedScale(s[sub/8], sub/2%4) },
		pair: func(line, factor int) VecVirtual {
			return scaled(shuffled(s[line/4], [4]int{none, line % 4, none, line % 4}), factor)
		},
	}
}

// scaleE8M0 returns the scale of MXFP4: 2 to the power of a byte less 128, the two smallest being subnormal.
func scaleE8M0(k *sixteenRows) (d, m VecVirtual) {
	x, e, ones, twos, tiny, small := XMM(), ZMM(), ZMM(), ZMM(), ZMM(), K()
	clearZ(x)
	for r := range 16 {
		VPINSRB(Imm(uint64(r)), k.at(r, 0), x, x)
	}
	VPMOVZXBD(x, e)
	VPBROADCASTD(words("one32", 1), ones)
	VPBROADCASTD(words("two32", 2), twos)
	VPBROADCASTD(words("tiny", 0x00200000), tiny)
	VPSLLVD(e, tiny, tiny)
	VPCMPUD(Imm(1), twos, e, small)
	VPSUBD(ones, e, e)
	VPSLLD(Imm(23), e, e)
	VMOVDQU32(tiny, small, e)
	return e, nil
}
