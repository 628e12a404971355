package quant

import "math"

// iq4Codebook is the set of values of IQ4_NL and IQ4_XS: sixteen int8, denser near zero.
var iq4Codebook = [16]int8{-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113}

// mxfp4Codebook is twice the set of values of E2M1 (OCP Microscaling Formats 1.0): sign, two bits of exponent, one of mantissa.
var mxfp4Codebook = [16]int8{0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12}

// decodeCodebook reads 16 bytes of 4-bit indices: weight i in the low half of byte i, weight 16+i in the high half.
func decodeCodebook(dst []float32, qs []byte, d float32, codebook *[16]int8) {
	dst = dst[:32]
	for i, q := range qs[:16] {
		dst[i] = d * float32(codebook[q&15])
		dst[i+16] = d * float32(codebook[q>>4])
	}
}

// decodeIQ4_NL reads scale f16, 16 bytes of indices.
func decodeIQ4_NL(dst []float32, src []byte) {
	decodeCodebook(dst, src[2:18], scaleAt(src), &iq4Codebook)
}

// decodeMXFP4 reads scale E8M0, 16 bytes of indices.
func decodeMXFP4(dst []float32, src []byte) {
	decodeCodebook(dst, src[1:17], halfE8M0(src[0]), &mxfp4Codebook)
}

// halfE8M0 returns half of the power of two that e stands for, 2^(e-128): half, because the codebook is doubled. The
// format's NaN, 255, is read as 2^127, as ggml does.
func halfE8M0(e byte) float32 {
	if e < 2 {
		return math.Float32frombits(0x00200000 << e)
	}
	return math.Float32frombits(uint32(e-1) << 23)
}
