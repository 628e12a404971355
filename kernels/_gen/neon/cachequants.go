package main

// cacheQuants writes what reads caches of quantized types: keys, which lie across, and values along.
func cacheQuants() {
	keyQuants("keysQ8_0", 32)
	keyQuants("keysQ4_0", 16)
	valueQuants("valuesQ8_0", "Q8_0", 34)
	valueQuants("valuesQ4_0", "Q4_0", 18)
}

// signedFloats sets out to the sixteen int8 of b as floats.
func signedFloats(b vec, out []vec) {
	sxtl8h(out[0], b)
	sxtl2_8h(out[2], b)
	sxtl2_4s(out[1], out[0])
	sxtl4s(out[0], out[0])
	sxtl2_4s(out[3], out[2])
	sxtl4s(out[2], out[2])
	for _, v := range out {
		scvtf(v, v)
	}
}

// nibbles splits sixteen bytes into their low and high halves, less 8. b becomes low.
func nibbles(b, high, mask, eight vec) {
	ushr16b(high, b, 4)
	and(b, b, mask)
	sub16b(b, b, eight)
	sub16b(high, high, eight)
}

func keyQuants(name string, quants int) {
	function(name, "dst *float32, stride int, src *byte, groups, tokens int", "",
		name+" reads the keys of a page of tokens, a multiple of sixteen, to rows stride bytes apart: ref.LoadKeyQuants.")
	dst, stride, src, groups, tokens := load("dst"), load("stride"), load("src"), load("groups"), load("tokens")
	mask, eight := bytesOf(15), bytesOf(8)
	loop(groups, 1, func() {
		q, column, columns := newGP(), newGP(), newGP()
		move(src, q)
		addGP(tokens, q)
		addGP(tokens, q)
		move(dst, column)
		move(tokens, columns)
		loop(columns, 16, func() {
			scale := newVecs(4)
			for _, i := range []int{0, 2} {
				ldrqNext(scale[i], src)
				fcvtl2(scale[i+1], scale[i])
				fcvtl(scale[i], scale[i])
			}
			from, to, upper, count := newGP(), newGP(), newGP(), newGP()
			move(q, from)
			move(column, to)
			move(stride, upper)
			shiftLeft(4, upper)
			addGP(to, upper)
			constant(quants, count)
			row := func(b vec, to gp) {
				out := newVecs(4)
				signedFloats(b, out)
				for i, v := range out {
					fmul(v, v, scale[i])
					strq(v, to, 16*i)
				}
				addGP(stride, to)
			}
			loop(count, 1, func() {
				low, high := newVec(), newVec()
				ldrq(low, from, 0)
				addGP(tokens, from)
				if quants == 16 {
					nibbles(low, high, mask, eight)
					row(high, upper)
				}
				row(low, to)
			})
			addImm(16, q)
			addImm(64, column)
		})
		// q stands behind the first row of quants: the next group begins behind the last.
		move(tokens, src)
		multiply(quants-1, src)
		addGP(q, src)
		move(stride, column)
		shiftLeft(5, column)
		addGP(column, dst)
	})
	ret()
}

func valueQuants(name, typ string, size int) {
	function(name, "dst *float32, src *byte, blocks int", "", name+" decodes blocks of "+typ+": quant.Decode.")
	dst, src, blocks := load("dst"), load("src"), load("blocks")
	mask, eight := bytesOf(15), bytesOf(8)
	loop(blocks, 1, func() {
		scale, b := newVec(), newVecs(2)
		ld1hAllNext(scale, src)
		fcvtl(scale, scale)
		ldrqNext(b[0], src)
		if size == 34 {
			ldrqNext(b[1], src)
		} else {
			nibbles(b[0], b[1], mask, eight)
		}
		for _, sixteen := range b {
			scope(func() {
				out := newVecs(4)
				signedFloats(sixteen, out)
				for _, v := range out {
					fmul(v, v, scale)
					strqNext(v, dst)
				}
			})
		}
	})
	ret()
}
