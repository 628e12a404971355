package quant

import "math"

// encodeCodebook writes the indices of the entries that, times d, are nearest to src; the first of equals.
func encodeCodebook(qs []byte, src []float32, d float32, codebook *[16]int8) {
	for i := range qs {
		qs[i] = nearestEntry(src[i], d, codebook) | nearestEntry(src[i+16], d, codebook)<<4
	}
}

func nearestEntry(v, d float32, codebook *[16]int8) uint8 {
	best, distance := 0, float32(math.Inf(1))
	for k, c := range codebook {
		if e := absolute(v - float32(d*float32(c))); e < distance {
			best, distance = k, e
		}
	}
	return uint8(best)
}

func encodeIQ4_NL(dst []byte, src []float32) {
	putScale(dst, largest(src)/float32(iq4Codebook[0]))
	encodeCodebook(dst[2:], src, scaleAt(dst), &iq4Codebook)
}

func encodeMXFP4(dst []byte, src []float32) {
	// The largest value of E2M1 is 6 = 1.5 * 2^2: the scale is two powers below that of the largest weight.
	e := 0
	if m := absolute(largest(src)); m > 0 {
		_, exponent := math.Frexp(float64(min(m, math.MaxFloat32)))
		e = min(max(exponent-1-2+127, 0), 254)
	}
	dst[0] = uint8(e)
	encodeCodebook(dst[1:], src, halfE8M0(uint8(e)), &mxfp4Codebook)
}
