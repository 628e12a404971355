package main

// expand writes what B of a low-rank change adds: outputs stand in the lanes, sixteen in four registers. Four rows share each
// conversion.
func expand() {
	function("expand", "dst *float32, stride int, b *byte, panels int, t *float32, rank, rows int", "",
		"expand adds to panels*16 elements of rows rows of dst, stride bytes apart, the products of t [rows, rank] with the",
		"halves of b: ref.Expand.")
	dst, stride, t, rows := load("dst"), load("stride"), load("t"), load("rows")
	size := load("rank")
	shiftLeft(2, size)
	for _, n := range []int{4, 1} {
		loop(rows, n, func() {
			b, out, panels := load("b"), newGP(), load("panels")
			move(dst, out)
			loop(panels, 1, func() {
				row, acc := make([]gp, n), make([][]vec, n)
				for r := range row {
					row[r] = newGP()
					if r == 0 {
						move(t, row[r])
					} else {
						move(row[r-1], row[r])
						addGP(size, row[r])
					}
					acc[r] = newVecs(4)
					zero(acc[r]...)
				}
				count := load("rank")
				loop(count, 1, func() {
					w, v := newVecs(4), newVec()
					for i := 0; i < 4; i += 2 {
						ldrqNext(w[i], b)
						fcvtl2(w[i+1], w[i])
						fcvtl(w[i], w[i])
					}
					for r := range row {
						ld1rNext(v, row[r])
						for i := range w {
							fmla(acc[r][i], w[i], v)
						}
					}
				})
				at := count // no longer wanted
				move(out, at)
				for r := range acc {
					for i, sum := range acc[r] {
						scope(func() {
							y := newVec()
							ldrq(y, at, 16*i)
							fadd(sum, y, sum)
							strq(sum, at, 16*i)
						})
					}
					addGP(stride, at)
				}
				addImm(64, out)
			})
			for range n {
				addGP(stride, dst)
				addGP(size, t)
			}
		})
	}
	ret()
}
