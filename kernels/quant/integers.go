package quant

import (
	"encoding/binary"
	"fmt"
)

// Integers is a block in the form in which products read it: weight i is D*Q[i] + M*Mins[i/16], where the scales of
// sub-blocks are already multiplied into Q. Only the first BlockLen entries of Q and the first BlockLen/16 of Scales and,
// in types with minima, of Mins have a meaning.
type Integers struct {
	Q      [superBlock]int16      // magnitudes up to 4096
	Scales [superBlock / 16]int16 // what Q was multiplied by
	Mins   [superBlock / 16]int16
	D, M   float32
}

// HasMinima says whether blocks of t carry minima beside their scales.
func (t Type) HasMinima() bool {
	switch t {
	case Q4_1, Q5_1, Q2_K, Q4_K, Q5_K:
		return true
	}
	return false
}

// Unpack sets b to the block that src begins with. t must be a computable quantized type.
func (b *Integers) Unpack(t Type, src []byte) {
	b.UnpackScales(t, src)
	switch t {
	case Q8_0:
		b.unpackQ8_0(src[2:34])
	case Q4_0:
		b.unpackHalves(src[2:18], 8)
	case Q4_1:
		b.unpackHalves(src[4:20], 0)
	case Q5_0:
		b.unpackHalves(src[6:22], 16)
		b.addFifthBits(binary.LittleEndian.Uint32(src[2:]))
	case Q5_1:
		b.unpackHalves(src[8:24], 0)
		b.addFifthBits(binary.LittleEndian.Uint32(src[4:]))
	case IQ4_NL:
		b.unpackCodebook(src[2:18], 1, &iq4Codebook)
	case MXFP4:
		b.unpackCodebook(src[1:17], 1, &mxfp4Codebook)
	case Q2_K:
		b.unpackQ2_K(src[16:80])
	case Q3_K:
		b.unpackQ3_K(src[:32], src[32:96])
	case Q4_K:
		b.unpackQ4_K(src[16:144])
	case Q5_K:
		b.unpackQ5_K(src[16:48], src[48:176])
	case Q6_K:
		b.unpackQ6_K(src[:128], src[128:192])
	case IQ4_XS:
		b.unpackCodebook(src[8:136], 8, &iq4Codebook)
	}
}

// UnpackScales sets everything but Q to that of the block that src begins with.
func (b *Integers) UnpackScales(t Type, src []byte) {
	switch t {
	case Q8_0, Q4_0, Q5_0, IQ4_NL:
		b.D = scaleAt(src)
		b.Scales[0], b.Scales[1] = 1, 1
	case MXFP4:
		b.D = halfE8M0(src[0])
		b.Scales[0], b.Scales[1] = 1, 1
	case Q4_1, Q5_1:
		b.D, b.M = scaleAt(src), scaleAt(src[2:])
		b.Scales[0], b.Scales[1] = 1, 1
		b.Mins[0], b.Mins[1] = 1, 1
	case Q2_K:
		b.D, b.M = scaleAt(src[80:]), -scaleAt(src[82:])
		for sub, v := range src[:16] {
			b.Scales[sub], b.Mins[sub] = int16(v&15), int16(v>>4)
		}
	case Q3_K:
		b.D = scaleAt(src[108:])
		for sub, v := range unpackQ3Scales(src[96:108]) {
			b.Scales[sub] = int16(v)
		}
	case Q4_K, Q5_K:
		b.D, b.M = scaleAt(src), -scaleAt(src[2:])
		scales, minima := unpackQ4Scales(src[4:16])
		for sub := range 8 {
			b.Scales[2*sub], b.Scales[2*sub+1] = int16(scales[sub]), int16(scales[sub])
			b.Mins[2*sub], b.Mins[2*sub+1] = int16(minima[sub]), int16(minima[sub])
		}
	case Q6_K:
		b.D = scaleAt(src[208:])
		for sub, v := range src[192:208] {
			b.Scales[sub] = int16(int8(v))
		}
	case IQ4_XS:
		b.D = scaleAt(src)
		high := binary.LittleEndian.Uint16(src[2:])
		for sub := range 8 {
			low := src[4+sub/2] >> (sub % 2 * 4) & 15
			scale := int16(low) | int16(high>>(2*sub)&3)<<4
			b.Scales[2*sub], b.Scales[2*sub+1] = scale-32, scale-32
		}
	default:
		panic(fmt.Sprintf("BUG: quant: %s has no blocks of integers", t))
	}
}

func (b *Integers) unpackQ8_0(qs []byte) {
	q := b.Q[:32]
	for i, v := range qs[:32] {
		q[i] = int16(int8(v))
	}
}

// unpackHalves sets 32 weights from the halves of 16 bytes, less an offset.
func (b *Integers) unpackHalves(qs []byte, offset int16) {
	lo, hi := b.Q[0:16], b.Q[16:32]
	for i, v := range qs[:16] {
		lo[i] = int16(v&15) - offset
		hi[i] = int16(v>>4) - offset
	}
}

// addFifthBits adds 16 to the weights whose bit is set.
func (b *Integers) addFifthBits(bits uint32) {
	q := b.Q[:32]
	for i := range q {
		q[i] += int16(bits >> i & 1 << 4)
	}
}

// unpackCodebook sets n times 32 weights to scaled values of a codebook.
func (b *Integers) unpackCodebook(qs []byte, n int, codebook *[16]int8) {
	for sub := range n {
		scale := b.Scales[2*sub]
		lo, hi := b.Q[32*sub:32*sub+16], b.Q[32*sub+16:32*sub+32]
		for i, v := range qs[16*sub : 16*sub+16] {
			lo[i] = scale * int16(codebook[v&15])
			hi[i] = scale * int16(codebook[v>>4])
		}
	}
}

func (b *Integers) unpackQ2_K(qs []byte) {
	for sub, scale := range b.Scales {
		q, shift := quarter(qs, sub)
		out := b.Q[16*sub : 16*sub+16]
		for i, v := range q[:16] {
			out[i] = scale * int16(v>>(shift&7)&3)
		}
	}
}

func (b *Integers) unpackQ3_K(high, qs []byte) {
	for sub, scale := range b.Scales {
		q, shift := quarter(qs, sub)
		h := high[16*(sub%2) : 16*(sub%2)+16]
		out := b.Q[16*sub : 16*sub+16]
		for i, v := range q[:16] {
			out[i] = scale * (int16(v>>(shift&7)&3) - 4 + int16(h[i]>>(sub/2&7)&1<<2))
		}
	}
}

func (b *Integers) unpackQ4_K(qs []byte) {
	for pair := range 4 {
		sLo, sHi := b.Scales[4*pair], b.Scales[4*pair+2]
		lo, hi := b.Q[64*pair:64*pair+32], b.Q[64*pair+32:64*pair+64]
		for i, v := range qs[32*pair : 32*pair+32] {
			lo[i] = sLo * int16(v&15)
			hi[i] = sHi * int16(v>>4)
		}
	}
}

func (b *Integers) unpackQ5_K(high, qs []byte) {
	high = high[:32]
	for pair := range 4 {
		sLo, sHi := b.Scales[4*pair], b.Scales[4*pair+2]
		lo, hi := b.Q[64*pair:64*pair+32], b.Q[64*pair+32:64*pair+64]
		for i, v := range qs[32*pair : 32*pair+32] {
			h := high[i] >> (2 * pair & 7)
			lo[i] = sLo * int16(v&15|h&1<<4)
			hi[i] = sHi * int16(v>>4|h>>1&1<<4)
		}
	}
}

func (b *Integers) unpackQ6_K(low, high []byte) {
	for sub, scale := range b.Scales {
		half, within := sub/8, sub%8
		l, lowShift := low[64*half+16*(within%4):][:16], within/4*4
		h, highShift := high[32*half+16*(within%2):][:16], within/2*2
		out := b.Q[16*sub : 16*sub+16]
		for i := range out {
			out[i] = scale * (int16(l[i]>>(lowShift&7)&15|h[i]>>(highShift&7)&3<<4) - 32)
		}
	}
}

// Codebook returns the sixteen values that the 4-bit codes of t stand for, or nil when t has no codebook.
func (t Type) Codebook() *[16]int8 {
	switch t {
	case IQ4_NL, IQ4_XS:
		return &iq4Codebook
	case MXFP4:
		return &mxfp4Codebook
	}
	return nil
}
