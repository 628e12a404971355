package quant

import "math"

// F16ToF32 returns the value of an IEEE 754 half, exactly. A NaN stays a NaN.
func F16ToF32(h uint16) float32 {
	// With the exponent field moved into place the value is too small by 2^112, for subnormal halves too; the product is exact.
	const rebias = 0x1p112
	magnitude := uint32(h&0x7fff) << 13
	sign := uint32(h&0x8000) << 16
	if h&0x7c00 == 0x7c00 {
		return math.Float32frombits(sign | 0x7f800000 | magnitude)
	}
	return math.Float32frombits(sign | math.Float32bits(math.Float32frombits(magnitude)*rebias))
}

// F32ToF16 returns the half nearest to f, ties to even. Magnitudes from 65520 on become infinite, a NaN stays a NaN.
func F32ToF16(f float32) uint16 {
	if bits := math.Float32bits(f); bits&0x7fffffff-minNormalHalf >= maxHalf-minNormalHalf {
		return otherHalf(bits)
	}
	return normalHalf(math.Float32bits(f))
}

// In bits of a float32: 2^-14, and 65520, halfway between the largest half and the next power of two.
const minNormalHalf, maxHalf = 0x38800000, 0x477ff000

func normalHalf(bits uint32) uint16 {
	return uint16(bits>>16&0x8000 | (bits&0x7fffffff-112<<23+0xfff+bits>>13&1)>>13)
}

func otherHalf(bits uint32) uint16 {
	sign := uint16(bits >> 16 & 0x8000)
	bits &= 0x7fffffff
	switch {
	case bits > 0x7f800000: // NaN: keep the payload's top bits and make it quiet
		return sign | 0x7e00 | uint16(bits>>13&0x3ff)
	case bits >= maxHalf:
		return sign | 0x7c00
	default:
		// A subnormal half is a multiple of 2^-24: adding 2^-1, whose last bit is worth 2^-24, rounds to it.
		sum := math.Float32frombits(bits) + 0.5
		return sign | uint16(math.Float32bits(sum)-math.Float32bits(0.5))
	}
}

// BF16ToF32 returns the value of a bfloat16, exactly.
func BF16ToF32(b uint16) float32 {
	return math.Float32frombits(uint32(b) << 16)
}

// F32ToBF16 returns the bfloat16 nearest to f, ties to even. A NaN stays a NaN.
func F32ToBF16(f float32) uint16 {
	bits := math.Float32bits(f)
	if bits&0x7fffffff > 0x7f800000 {
		return uint16(bits>>16) | 0x40
	}
	return uint16((bits + 0x7fff + (bits >> 16 & 1)) >> 16)
}
