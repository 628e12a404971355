package main

// encoder is the frame of the encoders of a cache's rows: block by block. block gets the 32 elements of the block that begins
// at src, their largest magnitude that is a number in lane 0, and writes to dst, which moves on.
func encoder(name, typ string, block func(dst, src gp, v []vec, largest vec)) {
	function(name, "dst *byte, src *float32, blocks int", "", name+" encodes blocks of 32 to "+typ+": quant.Encode.")
	dst, src, blocks := load("dst"), load("src"), load("blocks")
	loop(blocks, 1, func() {
		v, largest := newVecs(8), newVec()
		zero(largest)
		for i := range v {
			ldrq(v[i], src, 16*i)
			scope(func() {
				m := newVec()
				fabs(m, v[i])
				fmaxnm(largest, largest, m) // a NaN leaves largest as it is
			})
		}
		fmaxnmv(largest, largest)
		block(dst, src, v, largest)
		addImm(128, src)
	})
	ret()
}

// scaleAndInverse writes the scale in lane 0 of d as a half, and returns 1/d, or 0 for 0, in lane 0.
func scaleAndInverse(d vec, dst gp) vec {
	inverse := newVec()
	scope(func() {
		half, none := newVec(), newVec()
		fcvtn(half, d)
		strhNext(half, dst)
		zero(none)
		fcmeq(none, none, d)
		line("FDIVS F%d, F%d, F%d", d, floats(1), inverse)
		bic(inverse, inverse, none)
	})
	return inverse
}

// cacheEncoders writes what rows of keys and values become in quantized caches.
func cacheEncoders() {
	encoder("encodeQ8_0", "Q8_0", func(dst, _ gp, v []vec, largest vec) {
		line("FDIVS F%d, F%d, F%d", floats(127), largest, largest)
		inverse, least, number := scaleAndInverse(largest, dst), words(0xffffff80), newVec()
		for _, x := range v {
			fmulLane(x, x, inverse, 0)
			fcmeq(number, x, x)
			fcvtas(x, x) // to nearest, halves away from zero, saturating
			bif(x, least, number)
		}
		for half := range 2 {
			q := v[4*half:]
			for i := 0; i < 4; i += 2 {
				sqxtn4h(q[i], q[i])
				sqxtn2_8h(q[i], q[i+1])
			}
			sqxtn8b(q[0], q[0])
			sqxtn2_16b(q[0], q[2])
			strqNext(q[0], dst)
		}
	})
	encoder("encodeQ4_0", "Q4_0", func(dst, src gp, v []vec, largest vec) {
		// The first of those with the largest magnitude gives the sign; where all are 0 or NaN it is 0.
		d, zeros := newVec(), newVec()
		zero(zeros)
		scope(func() {
			index, four, least, m, all := newVec(), words(4), words(31), newVec(), newVec()
			zero(index)
			two := words(2)
			zip1_4s(m, index, words(1))
			add4s(two, m, two)
			zip1_2d(index, m, two) // 0, 1, 2, 3
			dup4s(all, largest, 0)
			for _, x := range v {
				fabs(m, x)
				fcmeq(m, m, all)
				orn(m, index, m)
				umin4s(least, least, m)
				add4s(index, index, four)
			}
			uminv(least, least)
			at := newGP()
			umov(at, least)
			line("ADD R%d<<2, R%d, R%d", at, src, at)
			ldrs(d, at, 0)
			fcmeq(m, largest, zeros)
			bic(d, d, m)
			fmul(d, d, floats(-0.125))
		})
		inverse := scaleAndInverse(d, dst)
		for _, x := range v {
			scope(func() {
				fmulLane(x, x, inverse, 0)
				fadd(x, x, floats(8.5))
				fmaxnm(x, x, zeros) // a NaN becomes 0
				fminnm(x, x, floats(15))
				fcvtzs(x, x)
			})
		}
		for half := range 2 {
			q := v[4*half:]
			for i := 0; i < 4; i += 2 {
				xtn4h(q[i], q[i])
				xtn2_8h(q[i], q[i+1])
			}
			xtn8b(q[0], q[0])
			xtn2_16b(q[0], q[2])
		}
		shl16b(v[4], v[4], 4)
		orr(v[0], v[0], v[4])
		strqNext(v[0], dst)
	})
}
