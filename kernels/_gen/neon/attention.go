package main

// attention writes the three steps of a tile of 64 positions, and the conversions of the cache.
func attention() {
	scores()
	weights()
	mix()
	halves()
	function("prefetch", "p *byte, bytes int", "", "prefetch asks for the cache lines of a piece of memory and changes nothing.")
	p, bytes := load("p"), load("bytes")
	loop(bytes, 64, func() {
		prefetchLine(p)
		addImm(64, p)
	})
	ret()
}

func scores() {
	function("scores", "dst, q, keys *float32, dim int, scale float32", "",
		"scores sets dst to the scores of 64 keys, which lie across: ref.Scores.")
	dst, q, keys, dim := load("dst"), load("q"), load("keys"), load("dim")
	acc := newVecs(16)
	zero(acc...)
	loop(dim, 1, func() {
		v := newVec()
		ld1rNext(v, q)
		for i := range acc {
			k := vec(20 + i%8)
			ldrqNext(k, keys)
			fmla(acc[i], k, v)
		}
	})
	scale := loadFloat("scale")
	for _, a := range acc {
		fmul(a, a, scale)
		strqNext(a, dst)
	}
	ret()
}

func weights() {
	function("weights", "p *float32, valid int, previous float32", "m, correction, sum float32",
		"weights turns scores into softmax weights: ref.Weights.")
	p, at, count, valid := load("p"), newGP(), newGP(), newVec()
	previous, largest, index, four, first := loadFloat("previous"), newVec(), newVec(), words(4), newVec()
	exp := newExponential()
	scope(func() {
		n := load("valid")
		dup4sFrom(valid, n)
		// 0, 1, 2, 3 by interleaving 0, 2 and 1, 3.
		zero(index)
		zip1_4s(first, index, words(1))
		two := words(2)
		add4s(two, first, two)
		zip1_2d(first, first, two)
	})
	mov(largest, previous)
	mov(index, first)
	move(p, at)
	constant(16, count)
	loop(count, 1, func() {
		v, mask := newVec(), newVec()
		ldrqNext(v, at)
		cmgt4s(mask, valid, index)
		fneg(vec(31), exp.infinity)
		bif(v, 31, mask)
		fmaxnm(largest, largest, v) // a score that is NaN leaves largest as it is
		add4s(index, index, four)
	})
	fmaxnmv(largest, largest)
	result("m", largest)
	dup4s(largest, largest, 0)
	mov(index, first)
	sums := newVecs(4)
	zero(sums...)
	move(p, at)
	constant(4, count)
	loop(count, 1, func() {
		for _, sum := range sums {
			scope(func() {
				v := newVec()
				ldrq(v, at, 0)
				fsub(v, v, largest)
				exp.of(v)
				mask := newVec()
				cmgt4s(mask, valid, index)
				and(v, v, mask)
				add4s(index, index, four)
				strqNext(v, at)
				fadd(sum, sum, v)
			})
		}
	})
	horizontal(sums)
	result("sum", sums[0])
	fsub(previous, previous, largest)
	exp.of(previous)
	result("correction", previous)
	ret()
}

func mix() {
	function("mix", "acc, p, values *float32, dim, valid int, correction float32", "",
		"mix adds the weighted values of valid positions to an output of dim elements, a multiple of four: ref.Mix.")
	acc, values, dim := load("acc"), load("values"), load("dim")
	stride, correction := newGP(), loadFloat("correction")
	move(dim, stride)
	shiftLeft(2, stride)
	for _, n := range []int{16, 1} {
		loop(dim, 4*n, func() {
			sum := newVecs(n)
			for i, s := range sum {
				ldrq(s, acc, 16*i)
				fmul(s, s, correction)
			}
			p, at, count := load("p"), newGP(), load("valid")
			move(values, at)
			loop(count, 1, func() {
				weight := newVec()
				ld1rNext(weight, p)
				for i, s := range sum {
					v := vec(20 + i%8)
					ldrq(v, at, 16*i)
					fmla(s, v, weight)
				}
				addGP(stride, at)
			})
			for _, s := range sum {
				strqNext(s, acc)
			}
			addImm(16*n, values)
		})
	}
	ret()
}

func halves() {
	function("halvesToFloats", "dst *float32, stride int, src *uint16, rows, cols int", "",
		"halvesToFloats converts rows of cols halves, a multiple of eight, to rows stride bytes apart: ref.HalvesToFloats.")
	dst, stride, src, count := load("dst"), load("stride"), load("src"), load("rows")
	eight := func(low, high func(d, n vec), from, to gp) {
		a, b := newVec(), newVec()
		ldrqNext(a, from)
		high(b, a)
		low(a, a)
		strqNext(a, to)
		strqNext(b, to)
	}
	loop(count, 1, func() {
		at, cols := newGP(), load("cols")
		move(dst, at)
		loop(cols, 8, func() { eight(fcvtl, fcvtl2, src, at) })
		addGP(stride, dst)
	})
	ret()

	function("bfloatsToFloats", "dst *float32, src *uint16, n int", "", "bfloatsToFloats converts n bfloat16, a multiple of eight.")
	to, from, n := load("dst"), load("src"), load("n")
	loop(n, 8, func() { eight(shll, shll2, from, to) })
	ret()

	function("floatsToHalves", "dst *uint16, src *float32, n int", "",
		"floatsToHalves rounds n floats, a multiple of eight, to halves: ref.FloatsToHalves.")
	to, from, n = load("dst"), load("src"), load("n")
	loop(n, 8, func() {
		a, b := newVec(), newVec()
		ldrqNext(a, from)
		ldrqNext(b, from)
		fcvtn(a, a)
		fcvtn2(a, b)
		strqNext(a, to)
	})
	ret()
}
