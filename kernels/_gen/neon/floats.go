package main

// rowsFloat writes the products of float weights with a single row of activations: four weight rows at a time, sixteen
// lanes of each in four registers.
func rowsFloat() {
	rowsOf("rowsF32", 4, func(d []vec, at gp) {
		for _, v := range d {
			ldrqNext(v, at)
		}
	})
	halves := func(low, high func(d, n vec)) func(d []vec, at gp) {
		return func(d []vec, at gp) {
			for i := 0; i < 4; i += 2 {
				ldrqNext(d[i], at)
				high(d[i+1], d[i])
				low(d[i], d[i])
			}
		}
	}
	rowsOf("rowsF16", 2, halves(fcvtl, fcvtl2))
	rowsOf("rowsBF16", 2, halves(shll, shll2))
	dotTail()
}

// rowsOf writes the kernel of one float type. read loads sixteen weights.
func rowsOf(name string, size int, read func(d []vec, at gp)) {
	function(name, "dst *float32, w *byte, rows, cols int, x *float32", "",
		name+" sets dst to the products of rows rows of weights with x, whose length cols is a multiple of sixteen:",
		"ref.RowsFloat.")
	dst, w, count, cols, stride := load("dst"), load("w"), load("rows"), load("cols"), newGP()
	move(cols, stride)
	multiply(size, stride)
	for _, n := range []int{4, 1} {
		loop(count, n, func() {
			x, left := load("x"), newGP()
			move(cols, left)
			row := make([]gp, n)
			sums := make([][]vec, n)
			for r := range row {
				row[r] = newGP()
				move(w, row[r])
				addGP(stride, w)
				sums[r] = newVecs(4)
				zero(sums[r]...)
			}
			loop(left, 16, func() {
				v, a := newVecs(4), newVecs(4)
				for i := range v {
					ldrqNext(v[i], x)
				}
				for r := range row {
					read(a, row[r])
					for i := range a {
						fmla(sums[r][i], a[i], v[i])
					}
				}
			})
			for r := range sums {
				horizontal(sums[r])
				strsNext(sums[r][0], dst)
			}
		})
	}
	ret()
}

// horizontal adds the 16 lanes of four registers in the order of ref.sumLanes and leaves the sum in lane 0 of the first.
func horizontal(v []vec) {
	fadd(v[0], v[0], v[2]) // i and i+8
	fadd(v[1], v[1], v[3])
	fadd(v[0], v[0], v[1]) // i and i+4
	ext(v[1], v[0], v[0], 8)
	fadd(v[0], v[0], v[1])  // i and i+2
	faddp(v[0], v[0], v[0]) // i and i+1
}

// dotTail writes the product of two rows of any length.
func dotTail() {
	function("dotTail", "a, b *float32, n int, tailA, tailB *float32", "dot float32",
		"dotTail returns the product of n elements of a and b, a multiple of sixteen, followed by the sixteen of both tails:",
		"ref.Dot.")
	a, b, n := load("a"), load("b"), load("n")
	sum := newVecs(4)
	zero(sum...)
	step := func() {
		for _, s := range sum {
			x, y := newVec(), newVec()
			ldrqNext(x, a)
			ldrqNext(y, b)
			fmla(s, x, y)
		}
	}
	loop(n, 16, step)
	reload("tailA", a)
	reload("tailB", b)
	step()
	horizontal(sum)
	result("dot", sum[0])
	ret()
}

// mulFloats writes the product of float32 rows with rows of activations: two weight rows and three or one of activations.
func mulFloats() {
	for _, k := range []struct {
		name, count string
		n           int
	}{{"mulFloats3", "three rows", 3}, {"mulFloats1", "one row", 1}} {
		function(k.name, "dst *float32, dstStride int, w *float32, rows int, x *float32, cols int", "",
			k.name+" multiplies rows rows of weights, an even number, with "+k.count+" of activations, all of cols columns, a",
			"multiple of sixteen: ref.MulFloats. dstStride is in bytes.")
		dst, dstStride, w, count := load("dst"), load("dstStride"), load("w"), load("rows")
		cols, size := load("cols"), newGP()
		move(cols, size)
		shiftLeft(2, size)
		loop(count, 2, func() {
			first, second, left := newGP(), newGP(), newGP()
			move(w, first)
			addGP(size, w)
			move(w, second)
			addGP(size, w)
			move(cols, left)
			x := make([]gp, k.n)
			acc := make([][2][]vec, k.n)
			for t := range x {
				if t == 0 {
					x[t] = load("x")
				} else {
					x[t] = newGP()
					move(x[t-1], x[t])
					addGP(size, x[t])
				}
				acc[t] = [2][]vec{newVecs(4), newVecs(4)}
				zero(acc[t][0]...)
				zero(acc[t][1]...)
			}
			loop(left, 16, func() {
				a, b := newVec(), newVec()
				for i := range 4 {
					ldrqNext(a, first)
					ldrqNext(b, second)
					scope(func() {
						for t := range x {
							v := newVec()
							ldrqNext(v, x[t])
							fmla(acc[t][0][i], a, v)
							fmla(acc[t][1][i], b, v)
						}
					})
				}
			})
			out := newGP()
			move(dst, out)
			for t := range acc {
				for r, sum := range acc[t] {
					horizontal(sum)
					strs(sum[0], out, 4*r)
				}
				addGP(dstStride, out)
			}
			addImm(8, dst)
		})
		ret()
	}
}
