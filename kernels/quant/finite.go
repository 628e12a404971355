package quant

import (
	"encoding/binary"
	"fmt"
	"math"
)

// halves says where a block of each type has its scales and minima, as offsets of halves in the block.
var halves = map[Type][]int{
	F16:  {0},
	Q4_0: {0}, Q4_1: {0, 2}, Q5_0: {0}, Q5_1: {0, 2}, Q8_0: {0}, IQ4_NL: {0},
	Q2_K: {80, 82}, Q3_K: {108}, Q4_K: {0, 2}, Q5_K: {0, 2}, Q6_K: {208}, IQ4_XS: {0},
}

// mostFiniteE8M0 is the largest exponent byte of MXFP4 whose product with every entry of the codebook is finite.
const mostFiniteE8M0 = 252

// NonFinite returns the index of the first block of src in which Decode gives an infinite weight or one that is not a number, and
// -1 where there is none. src holds whole blocks of a type that is Computable. Integers are finite, so only scales and minima are
// looked at: some bytes of each block.
func NonFinite(t Type, src []byte) int {
	size := t.Info().BlockBytes
	if len(src)%size != 0 {
		panic(fmt.Sprintf("BUG: quant: %d bytes are not whole blocks of %v", len(src), t))
	}
	switch t {
	case F32:
		return nonFinite32(src)
	case BF16:
		const exponent = 0x7f80
		for i := 0; i+1 < len(src); i += 2 {
			if binary.LittleEndian.Uint16(src[i:])&exponent == exponent {
				return i / 2
			}
		}
		return -1
	case MXFP4:
		var weights [32]float32
		for i := 0; i < len(src); i += size {
			if src[i] <= mostFiniteE8M0 {
				continue
			}
			decodeMXFP4(weights[:], src[i:i+size])
			for _, w := range weights {
				if math.IsInf(float64(w), 0) {
					return i / size
				}
			}
		}
		return -1
	}
	at, ok := halves[t]
	if !ok {
		panic(fmt.Sprintf("BUG: quant: %v is not computable", t))
	}
	const exponent = 0x7c00
	first := -1
	for _, field := range at {
		end := len(src)
		if first >= 0 {
			end = first * size
		}
		for i := field; i+1 < end; i += size {
			if binary.LittleEndian.Uint16(src[i:])&exponent == exponent {
				first = i / size
				break
			}
		}
	}
	return first
}

// nonFinite32 is NonFinite of plain float32: all of them are looked at, so it goes by pieces.
func nonFinite32(src []byte) int {
	const exponent = 0x7f800000
	const piece = 1 << 10
	for start := 0; start < len(src); start += piece {
		most := uint32(0)
		part := src[start:min(start+piece, len(src))]
		for ; len(part) >= 8; part = part[8:] {
			x := binary.LittleEndian.Uint64(part)
			most = max(most, uint32(x)&exponent, uint32(x>>32)&exponent)
		}
		if len(part) >= 4 {
			most = max(most, binary.LittleEndian.Uint32(part)&exponent)
		}
		if most != exponent {
			continue
		}
		for i := start; ; i += 4 {
			if binary.LittleEndian.Uint32(src[i:])&exponent == exponent {
				return i / 4
			}
		}
	}
	return -1
}
