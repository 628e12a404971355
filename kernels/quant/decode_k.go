package quant

import "encoding/binary"

// The K types cut a super-block of 256 weights into sub-blocks of 16 or 32, each with a small integer scale (and, in
// Q2_K, Q4_K and Q5_K, a small integer minimum) that one or two halves of the super-block scale again.

// decodeQ2_K reads 16 bytes (scale in the low, minimum in the high 4 bits) for sub-blocks of 16, 64 bytes of 2-bit
// weights, scale f16, minimum f16. Byte k of a half holds weights k, 32+k, 64+k and 96+k of its 128.
func decodeQ2_K(dst []float32, src []byte) {
	scales, qs := src[:16], src[16:80]
	d, dmin := scaleAt(src[80:]), scaleAt(src[82:])
	for sub := range 16 {
		dl := d * float32(scales[sub]&15)
		ml := dmin * float32(scales[sub]>>4)
		q, shift := quarter(qs, sub)
		out := dst[16*sub : 16*sub+16]
		for i := range out {
			out[i] = float32(dl*float32(q[i]>>shift&3)) - ml
		}
	}
}

// quarter returns the 16 bytes and the shift at which sub-block sub of Q2_K and Q3_K finds its two low bits.
func quarter(qs []byte, sub int) ([]byte, int) {
	half, within := sub/8, sub%8
	first := 32*half + 16*(within%2)
	return qs[first : first+16], within / 2 * 2
}

// decodeQ3_K reads 32 bytes of third bits (clear means minus 4), 64 bytes as in Q2_K, 12 bytes with sixteen 6-bit
// scales less 32, scale f16.
func decodeQ3_K(dst []float32, src []byte) {
	high, qs := src[:32], src[32:96]
	scales := unpackQ3Scales(src[96:108])
	d := scaleAt(src[108:])
	for sub := range 16 {
		dl := d * float32(scales[sub])
		q, shift := quarter(qs, sub)
		h := high[16*(sub%2) : 16*(sub%2)+16]
		out := dst[16*sub : 16*sub+16]
		for i := range out {
			v := int(q[i]>>shift&3) - 4 + int(h[i]>>(sub/2)&1)<<2
			out[i] = dl * float32(v)
		}
	}
}

// unpackQ3Scales returns the scales of Q3_K: bytes 0-7 hold the low 4 bits of scales 0-7 and, above them, 8-15;
// bytes 8-11 hold the two high bits of scales j, 4+j, 8+j and 12+j.
func unpackQ3Scales(b []byte) (scales [16]int8) {
	for j := range 16 {
		low := b[j%8] >> (j / 8 * 4) & 15
		high := b[8+j%4] >> (j / 4 * 2) & 3
		scales[j] = int8(low|high<<4) - 32
	}
	return scales
}

// decodeQ4_K reads scale f16, minimum f16, 12 bytes with eight 6-bit scales and minima, 128 bytes: of each 64 weights
// the first 32 are in the low halves of 32 bytes, the others in the high halves.
func decodeQ4_K(dst []float32, src []byte) {
	d, dmin := scaleAt(src), scaleAt(src[2:])
	scales, minima := unpackQ4Scales(src[4:16])
	for pair := range 4 {
		// A sub-block has sixteen values at most, for 32 weights: looking them up takes half the time of computing each.
		var low, high [16]float32
		dl, ml := d*float32(scales[2*pair]), dmin*float32(minima[2*pair])
		dh, mh := d*float32(scales[2*pair+1]), dmin*float32(minima[2*pair+1])
		for q, v := range &fourBits {
			low[q] = float32(dl*v) - ml
			high[q] = float32(dh*v) - mh
		}
		first, second := dst[64*pair:][:32], dst[64*pair+32:][:32]
		for i, q := range src[16+32*pair:][:32] {
			first[i], second[i] = low[q&15], high[q>>4]
		}
	}
}

// fourBits are the values of four bits.
var fourBits = [16]float32{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15}

// unpackQ4Scales returns the scales and minima of Q4_K and Q5_K: the first four of each in the low 6 bits of bytes 0-3
// and 4-7; of the last four the low 4 bits are the two halves of bytes 8-11, the high 2 bits those of bytes 0-3 and 4-7.
func unpackQ4Scales(b []byte) (scales, minima [8]uint8) {
	for j := range 4 {
		scales[j] = b[j] & 63
		minima[j] = b[4+j] & 63
		scales[4+j] = b[8+j]&15 | b[j]>>6<<4
		minima[4+j] = b[8+j]>>4 | b[4+j]>>6<<4
	}
	return scales, minima
}

// decodeQ5_K reads as Q4_K with 32 bytes of fifth bits before the weights: bit sub of byte i belongs to weight i of
// sub-block sub.
func decodeQ5_K(dst []float32, src []byte) {
	d, dmin := scaleAt(src), scaleAt(src[2:])
	scales, minima := unpackQ4Scales(src[4:16])
	high := src[16:48]
	for sub := range 8 {
		dl := d * float32(scales[sub])
		ml := dmin * float32(minima[sub])
		q, shift := src[48+32*(sub/2):][:32], sub%2*4
		out := dst[32*sub : 32*sub+32]
		for i := range out {
			v := q[i]>>shift&15 | high[i]>>sub&1<<4
			out[i] = float32(dl*float32(v)) - ml
		}
	}
}

// decodeQ6_K reads 128 bytes of low 4 bits, 64 bytes of high 2 bits, 16 int8 scales, scale f16; less 32. Each half of
// 128 weights has 64 low bytes (weights 0-63 in low, 64-127 in high halves) and 32 high bytes (weights i, 32+i, ...).
func decodeQ6_K(dst []float32, src []byte) {
	low, high, scales := src[:128], src[128:192], src[192:208]
	d := scaleAt(src[208:])
	for sub := range 16 {
		dl := d * float32(int8(scales[sub]))
		half, within := sub/8, sub%8
		l, lowShift := low[64*half+16*(within%4):][:16], within/4*4
		h, highShift := high[32*half+16*(within%2):][:16], within/2*2
		out := dst[16*sub : 16*sub+16]
		for i := range out {
			v := int(l[i]>>lowShift&15|h[i]>>highShift&3<<4) - 32
			out[i] = dl * float32(v)
		}
	}
}

// decodeIQ4_XS reads scale f16, 8 x 2 high bits and 8 x 4 low bits of scales less 32, then eight sub-blocks of 32 as
// in IQ4_NL.
func decodeIQ4_XS(dst []float32, src []byte) {
	d := scaleAt(src)
	high := binary.LittleEndian.Uint16(src[2:])
	for sub := range 8 {
		low := src[4+sub/2] >> (sub % 2 * 4) & 15
		scale := int(low) | int(high>>(2*sub)&3)<<4
		decodeCodebook(dst[32*sub:32*sub+32], src[8+16*sub:][:16], d*float32(scale-32), &iq4Codebook)
	}
}
