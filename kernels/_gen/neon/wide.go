package main

import "fmt"

// wide writes the way that every quantized format can go: weights as 16-bit integers, sums exact in 32 bits.
func wide() {
	dotRows()
	interleave()
	for _, n := range []int{4, 1} {
		mulWide(fmt.Sprintf("mulWide%d", n), n, false)
		mulWide(fmt.Sprintf("mulWideMinima%d", n), n, true)
	}
}

func dotRows() {
	function("dotRows", "acc *float32, q *int16, stride int, x *int16, n int, d *float32, dx *float32", "",
		"dotRows adds to each of eight accumulators the exact product of x with n integers, a multiple of sixteen, of a row,",
		"times d of the row, times dx. The rows begin stride bytes apart.")
	acc, q, stride, x, n := load("acc"), load("q"), load("stride"), load("x"), load("n")
	d, dx := load("d"), load("dx")
	row := make([]gp, 8)
	for r := range row {
		row[r] = newGP()
		move(q, row[r])
		addGP(stride, q)
	}
	sum := newVecs(8)
	zero(sum...)
	loop(n, 16, func() {
		a, b, v, w := newVec(), newVec(), newVec(), newVec()
		ldrqNext(a, x)
		ldrqNext(b, x)
		for r := range row {
			ldrqNext(v, row[r])
			ldrqNext(w, row[r])
			smlal4s(sum[r], v, a)
			smlal2_4s(sum[r], v, a)
			smlal4s(sum[r], w, b)
			smlal2_4s(sum[r], w, b)
		}
	})
	factor := newVec()
	ldrs(factor, dx, 0)
	for half := range 2 {
		four := sum[4*half : 4*half+4]
		addTranspose(four)
		v, total := newVec(), newVec()
		ldrqNext(v, d)
		ldrq(total, acc, 0)
		fmulLane(v, v, factor, 0)
		scvtf(four[0], four[0])
		fmla(total, v, four[0])
		strqNext(total, acc)
	}
	ret()
}

// addTranspose leaves in lane i of the first register the sum of the lanes of register i.
func addTranspose(v []vec) {
	addp4s(v[0], v[0], v[1])
	addp4s(v[2], v[2], v[3])
	addp4s(v[0], v[0], v[2])
}

func interleave() {
	function("interleave", "panel, src *int16, stride, lines int", "",
		"interleave writes pair i of each of sixteen rows, which begin stride bytes apart, to line i of a panel. lines is a",
		"multiple of four.")
	panel, src, stride, lines := load("panel"), load("src"), load("stride"), load("lines")
	loop(lines, 4, func() {
		at := newGP()
		move(src, at)
		for group := range 4 {
			scope(func() {
				v := newVecs(4)
				for _, w := range v {
					ldrq(w, at, 0)
					addGP(stride, at)
				}
				for i, w := range transpose(v) {
					strq(w, panel, 64*i+16*group)
				}
			})
		}
		addImm(16, src)
		addImm(256, panel)
	})
	ret()
}

// transpose returns registers of which number i holds word i of each of four registers.
func transpose(v []vec) []vec {
	a, b, c, d := newVec(), newVec(), newVec(), newVec()
	zip1_4s(a, v[0], v[1])
	zip1_4s(b, v[2], v[3])
	zip2_4s(c, v[0], v[1])
	zip2_4s(d, v[2], v[3])
	zip1_2d(v[0], a, b)
	zip2_2d(v[1], a, b)
	zip1_2d(v[2], c, d)
	zip2_2d(v[3], c, d)
	return v
}

// mulWide writes the product of a panel of 16-bit weights with n rows of activations. The float sums of a block go
// through dst, which stays in the first-level cache: integer sums and weights need the registers.
func mulWide(name string, n int, minima bool) {
	function(name, "dst *float32, dstStride int, panel, mins *int16, d, m *float32, blocks, blockLen int, x *int16, scale *float32, sums *int16", "",
		fmt.Sprintf("%s multiplies a panel of 16-bit weights with %d rows of activations: ref.MulPanel. dstStride is in bytes.", name, n))
	pairs := load("blockLen")
	p := newPanel(n, "x", func(s gp) {
		line("MUL R%d, R%d, R%d", pairs, s, s)
		shiftLeft(1, s)
	})
	v, w := newVecs(n), newVecs(4) // lanes are read from the first sixteen registers only
	acc := newVecs(4 * n)
	panel, d := load("panel"), load("d")
	var sums []gp
	var mins, m gp
	if minima {
		mins, m = load("mins"), load("m")
		sums = p.strides(n, "sums", func(s gp) {
			line("MUL R%d, R%d, R%d", pairs, s, s)
			shiftRight(3, s)
		})
	}
	twoInputs := func(panel gp, i int) {
		ld2Next(w[0], panel)
		ld2Next(w[2], panel)
		for k := range 2 {
			for t := range v {
				for h := range 2 {
					smlalLane(acc[4*t+2*h], w[2*h+k], v[t], 2*i+k)
					smlal2Lane(acc[4*t+2*h+1], w[2*h+k], v[t], 2*i+k)
				}
			}
		}
	}
	loop(p.blocks, 1, func() {
		zero(acc...)
		reload("blockLen", pairs)
		loop(pairs, 8, func() {
			for t := range v {
				ldrqNext(v[t], p.x[t])
			}
			for i := range 4 {
				twoInputs(panel, i)
			}
		})
		p.finish(acc, d, v, w)
		if minima {
			zero(acc...)
			reload("blockLen", pairs)
			loop(pairs, 32, func() {
				for t := range v {
					ldrsNext(v[t], sums[t])
				}
				twoInputs(mins, 0)
			})
			p.finish(acc, m, v, w)
		}
		p.nextScales()
	})
	ret()
}
