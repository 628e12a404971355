package main

import "math"

// activations writes the two forms in which products read activations.
func activations() {
	quantize()
	function("widen", "dst *int16, q *int8, n int", "", "widen sets dst to n quants, a multiple of sixteen: ref.Widen.")
	dst, q, n := load("dst"), load("q"), load("n")
	loop(n, 16, func() {
		a, b := newVec(), newVec()
		ldrqNext(a, q)
		sxtl2_8h(b, a)
		sxtl8h(a, a)
		strqNext(a, dst)
		strqNext(b, dst)
	})
	ret()
}

func quantize() {
	function("quantize", "q *int8, scale *float32, sums *int16, x *float32, blocks, blockLen int", "",
		"quantize sets q, scale and sums to the int8 form of x: ref.Quantize.")
	q, scale, sums, x, blocks := load("q"), load("scale"), load("sums"), load("x"), load("blocks")
	at, count, bits, limit := newGP(), newGP(), newGP(), newGP()
	constant(0x7f800000, limit)
	loop(blocks, 1, func() {
		largest, v := newVec(), newVec()
		zero(largest)
		move(x, at)
		reload("blockLen", count)
		loop(count, 4, func() {
			ldrqNext(v, at)
			fabs(v, v)
			umax4s(largest, largest, v) // magnitudes order as their bits do, infinities and NaN above all others
		})
		umaxv(largest, largest)
		umov(bits, largest)
		notFinite, tiny, zeros, done := label("notFinite"), label("tiny"), label("zeros"), label("quantized")
		line("CMP R%d, R%d", limit, bits)
		line("BHS %s", notFinite)
		most, inverse := floats(127), newVec()
		line("FDIVS F%d, F%d, F%d", largest, most, inverse)
		umov(bits, inverse)
		line("CMP R%d, R%d", limit, bits)
		line("BHS %s", tiny)
		line("FDIVS F%d, F%d, F%d", most, largest, largest)
		strsNext(largest, scale)
		reload("blockLen", count)
		loop(count, 16, func() {
			v := newVecs(4)
			for _, a := range v {
				ldrqNext(a, x)
				fmulLane(a, a, inverse, 0)
				fcvtns(a, a) // to nearest, ties to even
			}
			xtn4h(v[0], v[0])
			xtn2_8h(v[0], v[1])
			xtn4h(v[2], v[2])
			xtn2_8h(v[2], v[3])
			xtn8b(v[0], v[0])
			xtn2_16b(v[0], v[2])
			strqNext(v[0], q)
			saddlv(v[0], v[0])
			strhNext(v[0], sums)
		})
		line("B %s", done)
		put(notFinite)
		strsNext(floats(float32(math.NaN())), scale)
		line("B %s", zeros)
		put(tiny)
		zero(v)
		strsNext(v, scale)
		put(zeros)
		zero(v)
		reload("blockLen", count)
		loop(count, 16, func() {
			strqNext(v, q)
			strhNext(v, sums)
			addImm(64, x)
		})
		put(done)
	})
	ret()
}
