package quant

import (
	"encoding/binary"
	"fmt"
	"math"
)

// Encode sets dst to src in blocks of t. It is a plain encoder: F16, BF16, Q8_0, Q4_0, Q4_1, Q5_0, Q5_1 and MXFP4 come out
// as the gguf Python package writes them; the other types take each sub-block's scale from its extremes, without a search
// for better ones. Results are defined to the bit. Weights should be finite: what others become is defined too, but useless.
// len(src) must be whole blocks of t, len(dst) their size.
func Encode(t Type, dst []byte, src []float32) {
	checkLengths("Encode", t, len(src), len(dst))
	switch t {
	case F32:
		for i, v := range src {
			binary.LittleEndian.PutUint32(dst[4*i:], math.Float32bits(v))
		}
	case F16:
		for i, v := range src {
			binary.LittleEndian.PutUint16(dst[2*i:], F32ToF16(v))
		}
	case BF16:
		for i, v := range src {
			binary.LittleEndian.PutUint16(dst[2*i:], F32ToBF16(v))
		}
	case Q8_0:
		eachBlockOut(dst, src, 32, 34, encodeQ8_0)
	case Q4_0:
		eachBlockOut(dst, src, 32, 18, encodeQ4_0)
	case Q4_1:
		eachBlockOut(dst, src, 32, 20, encodeQ4_1)
	case Q5_0:
		eachBlockOut(dst, src, 32, 22, encodeQ5_0)
	case Q5_1:
		eachBlockOut(dst, src, 32, 24, encodeQ5_1)
	case Q2_K:
		eachBlockOut(dst, src, superBlock, 84, encodeQ2_K)
	case Q3_K:
		eachBlockOut(dst, src, superBlock, 110, encodeQ3_K)
	case Q4_K:
		eachBlockOut(dst, src, superBlock, 144, encodeQ4_K)
	case Q5_K:
		eachBlockOut(dst, src, superBlock, 176, encodeQ5_K)
	case Q6_K:
		eachBlockOut(dst, src, superBlock, 210, encodeQ6_K)
	case IQ4_NL:
		eachBlockOut(dst, src, 32, 18, encodeIQ4_NL)
	case IQ4_XS:
		eachBlockOut(dst, src, superBlock, 136, encodeIQ4_XS)
	case MXFP4:
		eachBlockOut(dst, src, 32, 17, encodeMXFP4)
	default:
		panic(fmt.Sprintf("BUG: quant: Encode to %s, which is not computable", t))
	}
}

// eachBlockOut calls f for each block of n weights in size bytes, in order.
func eachBlockOut(dst []byte, src []float32, n, size int, f func(dst []byte, src []float32)) {
	for len(src) > 0 {
		f(dst[:size:size], src[:n:n])
		dst, src = dst[size:], src[n:]
	}
}

func putScale(b []byte, v float32) {
	binary.LittleEndian.PutUint16(b, F32ToF16(v))
}

// inverse returns 1/d, and 0 for 0: a block of zeros encodes to zeros.
func inverse(d float32) float32 {
	if d == 0 {
		return 0
	}
	return 1 / d
}

// truncate returns v towards zero, within [0, limit]; NaN gives 0.
func truncate(v float32, limit int) uint8 {
	switch {
	case !(v > 0):
		return 0
	case v >= float32(limit):
		return uint8(limit)
	default:
		return uint8(v)
	}
}

// nearest returns the integer nearest to v, halves away from zero, within [low, high]; NaN gives low.
func nearest(v float32, low, high int) int {
	switch {
	case !(v > float32(low)):
		return low
	case v >= float32(high):
		return high
	default:
		return int(math.Round(float64(v)))
	}
}

// largest returns the element of greatest magnitude, the first of equals.
func largest(src []float32) float32 {
	var best, magnitude float32
	for _, v := range src {
		if a := absolute(v); a > magnitude {
			best, magnitude = v, a
		}
	}
	return best
}

func absolute(v float32) float32 {
	return math.Float32frombits(math.Float32bits(v) &^ (1 << 31))
}

// extremes returns the least and the greatest element.
func extremes(src []float32) (low, high float32) {
	low, high = src[0], src[0]
	for _, v := range src[1:] {
		low, high = min(low, v), max(high, v)
	}
	return low, high
}

func encodeQ8_0(dst []byte, src []float32) {
	d := absolute(largest(src)) / 127
	id := inverse(d)
	putScale(dst, d)
	for i, v := range src {
		dst[2+i] = byte(int8(nearest(v*id, -128, 127)))
	}
}

func encodeQ4_0(dst []byte, src []float32) {
	d := largest(src) / -8
	id := inverse(d)
	putScale(dst, d)
	for i := range 16 {
		lo := truncate(float32(src[i]*id)+8.5, 15)
		hi := truncate(float32(src[i+16]*id)+8.5, 15)
		dst[2+i] = lo | hi<<4
	}
}

func encodeQ4_1(dst []byte, src []float32) {
	low, high := extremes(src)
	d := (high - low) / 15
	id := inverse(d)
	putScale(dst, d)
	putScale(dst[2:], low)
	for i := range 16 {
		lo := truncate(float32((src[i]-low)*id)+0.5, 15)
		hi := truncate(float32((src[i+16]-low)*id)+0.5, 15)
		dst[4+i] = lo | hi<<4
	}
}

func encodeQ5_0(dst []byte, src []float32) {
	d := largest(src) / -16
	id := inverse(d)
	putScale(dst, d)
	var high uint32
	for i := range 16 {
		lo := truncate(float32(src[i]*id)+16.5, 31)
		hi := truncate(float32(src[i+16]*id)+16.5, 31)
		high |= uint32(lo>>4)<<i | uint32(hi>>4)<<(i+16)
		dst[6+i] = lo&15 | hi<<4
	}
	binary.LittleEndian.PutUint32(dst[2:], high)
}

func encodeQ5_1(dst []byte, src []float32) {
	least, greatest := extremes(src)
	d := (greatest - least) / 31
	id := inverse(d)
	putScale(dst, d)
	putScale(dst[2:], least)
	var high uint32
	for i := range 16 {
		lo := truncate(float32((src[i]-least)*id)+0.5, 31)
		hi := truncate(float32((src[i+16]-least)*id)+0.5, 31)
		high |= uint32(lo>>4)<<i | uint32(hi>>4)<<(i+16)
		dst[8+i] = lo&15 | hi<<4
	}
	binary.LittleEndian.PutUint32(dst[4:], high)
}
