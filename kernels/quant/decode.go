package quant

import (
	"encoding/binary"
	"fmt"
	"math"
)

// Decode sets dst to the weights that src holds. Every weight is defined to the bit: products and sums are rounded to
// float32 one by one, in the order of the gguf Python package. Any bytes decode to something; scales that are NaN or
// infinite give NaN or infinite weights. len(dst) must be whole blocks of t, len(src) their size.
func Decode(t Type, dst []float32, src []byte) {
	checkLengths("Decode", t, len(dst), len(src))
	switch t {
	case F32:
		for i := range dst {
			dst[i] = math.Float32frombits(binary.LittleEndian.Uint32(src[4*i:]))
		}
	case F16:
		for i := range dst {
			dst[i] = F16ToF32(binary.LittleEndian.Uint16(src[2*i:]))
		}
	case BF16:
		for i := range dst {
			dst[i] = BF16ToF32(binary.LittleEndian.Uint16(src[2*i:]))
		}
	case Q8_0:
		eachBlock(dst, src, 32, 34, decodeQ8_0)
	case Q4_0:
		eachBlock(dst, src, 32, 18, decodeQ4_0)
	case Q4_1:
		eachBlock(dst, src, 32, 20, decodeQ4_1)
	case Q5_0:
		eachBlock(dst, src, 32, 22, decodeQ5_0)
	case Q5_1:
		eachBlock(dst, src, 32, 24, decodeQ5_1)
	case Q2_K:
		eachBlock(dst, src, superBlock, 84, decodeQ2_K)
	case Q3_K:
		eachBlock(dst, src, superBlock, 110, decodeQ3_K)
	case Q4_K:
		eachBlock(dst, src, superBlock, 144, decodeQ4_K)
	case Q5_K:
		eachBlock(dst, src, superBlock, 176, decodeQ5_K)
	case Q6_K:
		eachBlock(dst, src, superBlock, 210, decodeQ6_K)
	case IQ4_NL:
		eachBlock(dst, src, 32, 18, decodeIQ4_NL)
	case IQ4_XS:
		eachBlock(dst, src, superBlock, 136, decodeIQ4_XS)
	case MXFP4:
		eachBlock(dst, src, 32, 17, decodeMXFP4)
	default:
		panic(fmt.Sprintf("BUG: quant: Decode of %s, which is not computable", t))
	}
}

// eachBlock calls f for each block of n weights in size bytes, in order.
func eachBlock(dst []float32, src []byte, n, size int, f func(dst []float32, src []byte)) {
	for len(dst) > 0 {
		f(dst[:n:n], src[:size:size])
		dst, src = dst[n:], src[size:]
	}
}

func checkLengths(what string, t Type, weights, bytes int) {
	if want := t.RowBytes(weights); bytes != want {
		panic(fmt.Sprintf("BUG: quant: %s of %d weights of %s with %d bytes, want %d", what, weights, t, bytes, want))
	}
}

// scaleAt returns the half at the beginning of b.
func scaleAt(b []byte) float32 {
	return F16ToF32(binary.LittleEndian.Uint16(b))
}

// decodeQ8_0 reads scale f16, 32 int8.
func decodeQ8_0(dst []float32, src []byte) {
	d := scaleAt(src)
	for i, q := range src[2:34] {
		dst[i] = float32(int8(q)) * d
	}
}

// decodeQ4_0 reads scale f16, 16 bytes: weight i in the low half of byte i, weight 16+i in the high half, less 8.
func decodeQ4_0(dst []float32, src []byte) {
	d := scaleAt(src)
	for i, q := range src[2:18] {
		dst[i] = d * float32(int(q&15)-8)
		dst[i+16] = d * float32(int(q>>4)-8)
	}
}

// decodeQ4_1 reads scale f16, minimum f16, 16 bytes as in Q4_0 without the offset.
func decodeQ4_1(dst []float32, src []byte) {
	d, m := scaleAt(src), scaleAt(src[2:])
	for i, q := range src[4:20] {
		dst[i] = float32(d*float32(q&15)) + m
		dst[i+16] = float32(d*float32(q>>4)) + m
	}
}

// decodeQ5_0 reads scale f16, 32 fifth bits (bit i for weight i), 16 bytes as in Q4_0; less 16.
func decodeQ5_0(dst []float32, src []byte) {
	d := scaleAt(src)
	high := binary.LittleEndian.Uint32(src[2:])
	for i, q := range src[6:22] {
		lo := uint32(q&15) | high>>i&1<<4
		hi := uint32(q>>4) | high>>(i+16)&1<<4
		dst[i] = d * float32(int(lo)-16)
		dst[i+16] = d * float32(int(hi)-16)
	}
}

// decodeQ5_1 reads scale f16, minimum f16, then as Q5_0 without the offset.
func decodeQ5_1(dst []float32, src []byte) {
	d, m := scaleAt(src), scaleAt(src[2:])
	high := binary.LittleEndian.Uint32(src[4:])
	for i, q := range src[8:24] {
		lo := uint32(q&15) | high>>i&1<<4
		hi := uint32(q>>4) | high>>(i+16)&1<<4
		dst[i] = float32(d*float32(lo)) + m
		dst[i+16] = float32(d*float32(hi)) + m
	}
}
