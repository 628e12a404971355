package main

import (
	"fmt"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// What follows turns a row's bits into vectors of unsigned bytes, one weight in each, weights ascending. With 512 bits the two
// halves of a vector are one piece of 32 bytes, shifted differently.

type vectorsOf = func(r int, use func(v int, bytes VecVirtual, x Op))

// both returns 32 bytes in both halves of a wide register, each 16 bits of the lower shifted right by low bits and of the
// upper by high.
func both(piece VecVirtual, low, high int) VecVirtual {
	v := ZMM()
	VPSRLVW(shifts(low, high), piece, v)
	return v
}

// shifts returns counts for the 16-bit lanes of both halves.
func shifts(low, high int) Mem {
	return bytes64(fmt.Sprintf("shifts%d_%d", low, high), func(i int) uint8 {
		if i < 32 {
			return uint8((1 - i%2) * low)
		}
		return uint8((1 - i%2) * high)
	})
}

// piece reads 32 bytes, into both halves of a wide register.
func (k *fourRows) piece(m Mem) VecVirtual {
	if k.wide {
		v := ZMM()
		VBROADCASTI64X4(m, v)
		return v
	}
	return k.load(m)
}

// moved returns v shifted right (or, if negative, left) by n bits and masked; n may cross bytes because of the mask.
func (k *fourRows) moved(v, mask VecVirtual, n int) VecVirtual {
	out := k.vec()
	k.and(mask, k.shifted(v, n), out)
	return out
}

// shifted returns v shifted right (or, if negative, left) by n bits, across bytes.
func (k *fourRows) shifted(v VecVirtual, n int) VecVirtual {
	if n == 0 {
		return v
	}
	out := k.vec()
	if n > 0 {
		VPSRLW(Imm(uint64(n)), v, out)
	} else {
		VPSLLW(Imm(uint64(-n)), v, out)
	}
	return out
}

// withBits adds value to the bytes of v where bit low (upper half of a wide register: bit low+1) of the byte in bits is set.
// In a narrow register value is 1<<at.
func (k *fourRows) withBits(v, bits, value VecVirtual, low, at int) {
	if k.wide {
		mask := K()
		VPTESTMB(bytes64(fmt.Sprintf("bits%d", low), func(i int) uint8 { return uint8(1 << (low + i/32)) }), bits, mask)
		VPADDB(value, v, mask, v)
		return
	}
	VPOR(k.moved(bits, value, low-at), v, v)
}

// lanePairs reads 128 bytes of nibbles at disp and, unless high is none, 32 bytes of fifth bits there, with 256 bits.
func lanePairs(disp, high int) func(k *fourRows) vectorsOf {
	return func(k *fourRows) vectorsOf {
		nibble := k.repeat("nibbles", 0x0f0f0f0f)
		sixteen := VecVirtual(nil)
		if high != none {
			sixteen = k.repeat("bytes16", 0x10101010)
		}
		return func(r int, use func(v int, bytes VecVirtual, x Op)) {
			var bits VecVirtual
			if high != none {
				bits = k.load(k.at(r, high))
			}
			for c := range 4 {
				piece := k.load(k.at(r, disp+32*c))
				for h := range 2 {
					v := k.moved(piece, nibble, 4*h)
					if high != none {
						k.withBits(v, bits, sixteen, 2*c+h, 4)
					}
					use(2*c+h, v, nil)
				}
			}
		}
	}
}

// laneQuarters reads 64 bytes of two low bits at disp and, unless high is none, 32 bytes of third bits there.
func laneQuarters(disp, high int) func(k *fourRows) vectorsOf {
	return func(k *fourRows) vectorsOf {
		threes := k.repeat("bytes3", 0x03030303)
		four := VecVirtual(nil)
		if high != none {
			four = k.repeat("bytes4", 0x04040404)
		}
		return func(r int, use func(v int, bytes VecVirtual, x Op)) {
			var bits VecVirtual
			if high != none {
				bits = k.piece(k.at(r, high))
			}
			for n := range 2 {
				piece := k.piece(k.at(r, disp+32*n))
				if k.wide {
					for j := range 2 {
						v := both(piece, 4*j, 4*j+2)
						k.and(threes, v, v)
						if high != none {
							k.withBits(v, bits, four, 4*n+2*j, 2)
						}
						use(2*n+j, v, nil)
					}
					continue
				}
				for j := range 4 {
					v := k.moved(piece, threes, 2*j)
					if high != none {
						k.withBits(v, bits, four, 4*n+j, 2)
					}
					use(4*n+j, v, nil)
				}
			}
		}
	}
}

// laneSixths reads 128 bytes of low 4 bits and 64 bytes of high 2 bits, with 256 bits.
func laneSixths(k *fourRows) vectorsOf {
	nibble, upper := k.repeat("nibbles", 0x0f0f0f0f), k.repeat("bytes48", 0x30303030)
	return func(r int, use func(v int, bytes VecVirtual, x Op)) {
		for n := range 2 {
			bits := k.load(k.at(r, 128+32*n))
			for i := range 2 {
				low := k.load(k.at(r, 64*n+32*i))
				for h := range 2 {
					v := k.moved(low, nibble, 4*h)
					VPOR(k.moved(bits, upper, 4*h+2*i-4), v, v)
					use(4*n+2*h+i, v, nil)
				}
			}
		}
	}
}

// laneCodes reads 128 bytes of nibbles that stand for the codes of IQ4: sixteen bytes hold weights 0-15 of a sub-block in their
// low, 16-31 in their high halves. The magnitude of a code meets the activation with the code's sign.
func laneCodes(k *fourRows) vectorsOf {
	nibble, magnitudes := k.repeat("nibbles", 0x0f0f0f0f), k.vec()
	table := bytes64("magnitudes", func(i int) uint8 {
		c := int(iq4Codes[i%16]) - 128
		return uint8(max(c, -c))
	})
	if !k.wide {
		VMOVDQU(table, magnitudes)
		codes := YMM()
		VMOVDQU(bytes64("codes", func(i int) uint8 { return iq4Codes[i%16] - 128 }), codes)
		return func(r int, use func(v int, bytes VecVirtual, x Op)) {
			for c := range 8 {
				v, x, bytes := YMM(), YMM(), YMM()
				VBROADCASTI128(k.at(r, 8+16*c), v)
				VPSRLVD(dwords8("halfshifts", func(i int) uint32 { return uint32(i / 4 * 4) }), v, v)
				VPAND(nibble, v, v)
				VPSHUFB(v, magnitudes, bytes)
				VPSHUFB(v, codes, v)
				VMOVDQU(Mem{Base: k.q, Disp: 32 * c}, x)
				VPSIGNB(v, x, x)
				use(c, bytes, x)
			}
		}
	}
	VMOVDQU32(table, magnitudes)
	order, eight, zeros := ZMM(), k.repeat("bytes8", 0x08080808), ZMM()
	VMOVDQU32(bytes64("twice", func(i int) uint8 { return [8]uint8{0, 1, 0, 1, 2, 3, 2, 3}[i/8] * uint8(1-min(i%8, 1)) }), order)
	clearZ(zeros)
	return func(r int, use func(v int, bytes VecVirtual, x Op)) {
		for c := range 4 {
			v, x, negative := ZMM(), ZMM(), K()
			VBROADCASTI64X4(k.at(r, 8+32*c), v)
			VPERMQ(v, order, v)
			VPSRLVW(bytes64("alternate", func(i int) uint8 { return uint8((1 - i%2) * (i / 16 % 2 * 4)) }), v, v)
			VPANDD(nibble, v, v)
			VPTESTNMB(eight, v, negative)
			VPSHUFB(v, magnitudes, v)
			VMOVDQU32(Mem{Base: k.q, Disp: 64 * c}, x)
			VPSUBB(x, zeros, negative, x)
			use(c, v, x)
		}
	}
}
