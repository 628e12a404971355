package quant

import "encoding/binary"

// affine is the encoding of a super-block as scale * q - minimum with small integer scales and minima for its sub-blocks.
type affine struct {
	scale, minimum   float32 // of the super-block, as the halves that are stored read back
	scales, minima   [16]uint8
	weights          [superBlock]uint8
	scaleH, minimumH uint16
}

// encodeAffine encodes src in sub-blocks of sub weights with q up to levels and integer scales up to scaleLevels.
func encodeAffine(src []float32, sub, levels, scaleLevels int) *affine {
	a := new(affine)
	n := superBlock / sub
	var scales, minima [16]float32
	for j := range n {
		low, high := extremes(src[sub*j : sub*j+sub])
		low, high = min(low, 0), max(high, 0) // the minimum is stored negated and without a sign
		scales[j], minima[j] = (high-low)/float32(levels), -low
	}
	_, top := extremes(scales[:n])
	_, bottom := extremes(minima[:n])
	a.scaleH, a.minimumH = F32ToF16(top/float32(scaleLevels)), F32ToF16(bottom/float32(scaleLevels))
	a.scale, a.minimum = F16ToF32(a.scaleH), F16ToF32(a.minimumH)
	is, im := inverse(a.scale), inverse(a.minimum)
	for j := range n {
		a.scales[j] = uint8(nearest(scales[j]*is, 0, scaleLevels))
		a.minima[j] = uint8(nearest(minima[j]*im, 0, scaleLevels))
		// The weights are chosen for the scale and minimum that will be read.
		id, m := inverse(a.scale*float32(a.scales[j])), a.minimum*float32(a.minima[j])
		for i := sub * j; i < sub*j+sub; i++ {
			a.weights[i] = uint8(nearest(float32(src[i]+m)*id, 0, levels))
		}
	}
	return a
}

func encodeQ2_K(dst []byte, src []float32) {
	a := encodeAffine(src, 16, 3, 15)
	clear(dst)
	for sub := range 16 {
		dst[sub] = a.scales[sub] | a.minima[sub]<<4
		q, shift := quarter(dst[16:80], sub)
		for i := range q {
			q[i] |= a.weights[16*sub+i] << shift
		}
	}
	binary.LittleEndian.PutUint16(dst[80:], a.scaleH)
	binary.LittleEndian.PutUint16(dst[82:], a.minimumH)
}

func encodeQ4_K(dst []byte, src []float32) {
	a := encodeAffine(src, 32, 15, 63)
	clear(dst)
	putQ4Header(dst, a)
	for sub := range 8 {
		q, shift := dst[16+32*(sub/2):][:32], sub%2*4
		for i := range q {
			q[i] |= a.weights[32*sub+i] << shift
		}
	}
}

func encodeQ5_K(dst []byte, src []float32) {
	a := encodeAffine(src, 32, 31, 63)
	clear(dst)
	putQ4Header(dst, a)
	high := dst[16:48]
	for sub := range 8 {
		q, shift := dst[48+32*(sub/2):][:32], sub%2*4
		for i := range q {
			q[i] |= a.weights[32*sub+i] & 15 << shift
			high[i] |= a.weights[32*sub+i] >> 4 << sub
		}
	}
}

// putQ4Header writes what Q4_K and Q5_K begin with; unpackQ4Scales reads it.
func putQ4Header(dst []byte, a *affine) {
	binary.LittleEndian.PutUint16(dst, a.scaleH)
	binary.LittleEndian.PutUint16(dst[2:], a.minimumH)
	b := dst[4:16]
	for j := range 4 {
		b[j] = a.scales[j] | a.scales[4+j]>>4<<6
		b[4+j] = a.minima[j] | a.minima[4+j]>>4<<6
		b[8+j] = a.scales[4+j]&15 | a.minima[4+j]<<4
	}
}

// symmetric is the encoding of a super-block as scale * q with small signed integer scales for its sub-blocks.
type symmetric struct {
	scaleH uint16
	scales [16]int
}

// encodeSymmetric chooses the scales of src in sub-blocks of sub weights, so that the largest weight of each falls on
// -reach, the end of the range that goes further. Integer scales lie in [-limit, limit).
func encodeSymmetric(src []float32, sub int, reach float32, limit int) (s symmetric) {
	n := superBlock / sub
	var scales [16]float32
	for j := range n {
		scales[j] = largest(src[sub*j:sub*j+sub]) / -reach
	}
	s.scaleH = F32ToF16(largest(scales[:n]) / -float32(limit))
	id := inverse(F16ToF32(s.scaleH))
	for j := range n {
		s.scales[j] = nearest(scales[j]*id, -limit, limit-1)
	}
	return s
}

// scale returns what the weights of sub-block j are multiplied by when read.
func (s *symmetric) scale(j int) float32 {
	return F16ToF32(s.scaleH) * float32(s.scales[j])
}

func encodeQ3_K(dst []byte, src []float32) {
	s := encodeSymmetric(src, 16, 4, 32)
	clear(dst)
	high := dst[:32]
	for sub := range 16 {
		id := inverse(s.scale(sub))
		q, shift := quarter(dst[32:96], sub)
		h := high[16*(sub%2) : 16*(sub%2)+16]
		for i := range q {
			v := nearest(src[16*sub+i]*id, -4, 3) + 4
			q[i] |= uint8(v) & 3 << shift
			h[i] |= uint8(v) >> 2 << (sub / 2)
		}
		scale := uint8(s.scales[sub] + 32)
		dst[96+sub%8] |= scale & 15 << (sub / 8 * 4)
		dst[104+sub%4] |= scale >> 4 << (sub / 4 * 2)
	}
	binary.LittleEndian.PutUint16(dst[108:], s.scaleH)
}

func encodeQ6_K(dst []byte, src []float32) {
	s := encodeSymmetric(src, 16, 32, 128)
	clear(dst)
	low, high := dst[:128], dst[128:192]
	for sub := range 16 {
		id := inverse(s.scale(sub))
		half, within := sub/8, sub%8
		l, lowShift := low[64*half+16*(within%4):][:16], within/4*4
		h, highShift := high[32*half+16*(within%2):][:16], within/2*2
		for i := range l {
			v := uint8(nearest(src[16*sub+i]*id, -32, 31) + 32)
			l[i] |= v & 15 << lowShift
			h[i] |= v >> 4 << highShift
		}
		dst[192+sub] = byte(int8(s.scales[sub]))
	}
	binary.LittleEndian.PutUint16(dst[208:], s.scaleH)
}

func encodeIQ4_XS(dst []byte, src []float32) {
	s := encodeSymmetric(src, 32, 127, 32)
	clear(dst)
	binary.LittleEndian.PutUint16(dst, s.scaleH)
	var high uint16
	for sub := range 8 {
		scale := uint8(s.scales[sub] + 32)
		dst[4+sub/2] |= scale & 15 << (sub % 2 * 4)
		high |= uint16(scale>>4) << (2 * sub)
		encodeCodebook(dst[8+16*sub:][:16], src[32*sub:32*sub+32], s.scale(sub), &iq4Codebook)
	}
	binary.LittleEndian.PutUint16(dst[2:], high)
}
