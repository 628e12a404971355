package main

import "fmt"

// panels writes the products of sixteen weight rows, unpacked to bytes, with rows of activations. A line of a panel
// holds four consecutive inputs of each row, as ref.Panel.Bytes does.
func panels() {
	for _, form := range []string{"", "Q4_0", "Q4_1"} {
		if form != "" {
			mulBytes("mulNibbles", form, 2, multiplyLong)
			mulBytes("mulNibbles", form, 1, multiplyLong)
		}
		mulBytes("mulDot", form, 4, multiplyDot)
		mulBytes("mulDot", form, 1, multiplyDot)
		mulBytes("mulMatrix", form, 4, multiplyMatrix)
	}
}

// panel is the frame of a product of sixteen unpacked weight rows with n rows of activations.
type panel struct {
	blocks        gp
	x, scale, dst []gp // one for each row of activations
}

// newPanel loads the parameters and clears dst.
func newPanel(n int, x string, xStride func(stride gp)) *panel {
	p := &panel{blocks: load("blocks"), dst: newGPs(n)}
	p.x = p.strides(n, x, xStride)
	p.scale = p.strides(n, "scale", func(s gp) { shiftLeft(2, s) })
	scope(func() {
		stride, none := load("dstStride"), newVec()
		zero(none)
		for t, r := range p.dst {
			if t == 0 {
				reload("dst", r)
			} else {
				line("ADD R%d, R%d, R%d", stride, p.dst[t-1], r)
			}
			for h := range 4 {
				strq(none, r, 16*h)
			}
		}
	})
	return p
}

func newGPs(n int) []gp {
	r := make([]gp, n)
	for i := range r {
		r[i] = newGP()
	}
	return r
}

// strides returns pointers to what n rows of activations have of a parameter; from makes bytes of the number of blocks.
func (p *panel) strides(n int, name string, from func(stride gp)) []gp {
	r := newGPs(n)
	reload(name, r[0])
	scope(func() {
		stride := newGP()
		move(p.blocks, stride)
		from(stride)
		for t := range n - 1 {
			line("ADD R%d, R%d, R%d", stride, r[t], r[t+1])
		}
	})
	return r
}

// finish converts the integer sums of a block, four registers for each row of activations, scales them and adds them to
// dst. v and w are free registers.
func (p *panel) finish(acc []vec, d gp, v, w []vec) {
	for t := range v {
		ldrs(v[t], p.scale[t], 0)
	}
	for h := range 4 {
		ldrqNext(w[0], d)
		for t := range v {
			sum := acc[4*t+h]
			fmulLane(w[1], w[0], v[t], 0)
			scvtf(sum, sum)
			ldrq(w[2], p.dst[t], 16*h)
			fmla(w[2], w[1], sum)
			strq(w[2], p.dst[t], 16*h)
		}
	}
}

func (p *panel) nextScales() {
	for _, s := range p.scale {
		addImm(4, s)
	}
}

// mulBytes writes a product of bytes. The form says what follows the sums: nothing, the offset of Q4_0, or the minima of
// Q4_1. multiply returns the sums of a block, four registers for each row of activations.
func mulBytes(name, form string, n int, multiply func(panel gp, x []gp) []vec) {
	name = fmt.Sprintf("%s%s%d", name, form, n)
	if form != "" {
		name = fmt.Sprintf("%s_%d", name[:len(name)-1], n)
	}
	function(name, "dst *float32, dstStride int, panel *uint8, d, m *float32, blocks int, q *int8, scale *float32, sums *int16", "",
		fmt.Sprintf("%s multiplies a panel of bytes with rows of activations, %d: ref.MulNibbles. dstStride is in bytes.", name, n))
	p := newPanel(n, "q", func(s gp) { shiftLeft(5, s) })
	from, d := load("panel"), load("d")
	var sums []gp
	var m gp
	if form != "" {
		sums = p.strides(n, "sums", func(s gp) { shiftLeft(2, s) })
	}
	if form == "Q4_1" {
		m = load("m")
	}
	loop(p.blocks, 1, func() {
		acc := multiply(from, p.x)
		v, w := newVecs(n), newVecs(3)
		if form == "Q4_0" {
			for t := range n {
				blockSum(w[0], sums[t], true)
				for h := range 4 {
					add4s(acc[4*t+h], acc[4*t+h], w[0])
				}
			}
		}
		p.finish(acc, d, v, w)
		if form == "Q4_1" {
			for t := range n {
				blockSum(acc[4*t], sums[t], false)
				for h := 1; h < 4; h++ {
					mov(acc[4*t+h], acc[4*t])
				}
			}
			p.finish(acc, m, v, w)
		}
		p.nextScales()
	})
	ret()
}

// blockSum sets the lanes of v to the sum of a block's quants, or to -8 times it, which takes the offset of Q4_0 away.
func blockSum(v vec, sums gp, offset bool) {
	scope(func() {
		a, b := newGP(), newGP()
		line("MOVH (R%d), R%d", sums, a)
		line("MOVH 2(R%d), R%d", sums, b)
		addImm(4, sums)
		addGP(b, a)
		if offset {
			line("NEG R%d<<3, R%d", a, a)
		}
		dup4sFrom(v, a)
	})
}

// multiplyLong takes nibbles: a lane of 16 bits holds the products of one input in four, at most 8*15*127 = 15240, and
// two lanes together 30480.
func multiplyLong(from gp, x []gp) []vec {
	acc := newVecs(8 * len(x))
	zero(acc...)
	scope(func() {
		w, v := newVecs(4), newVec()
		for range 8 {
			for _, r := range w {
				ldrqNext(r, from)
			}
			for t := range x {
				ld1rNext(v, x[t])
				for h, r := range w {
					smlal8h(acc[8*t+2*h], r, v)
					smlal2_8h(acc[8*t+2*h+1], r, v)
				}
			}
		}
	})
	sums := make([]vec, 4*len(x))
	for i := range sums {
		sums[i] = acc[2*i]
		addp8h(sums[i], acc[2*i], acc[2*i+1])
		saddlp4s(sums[i], sums[i])
	}
	return sums
}

// multiplyDot takes signed bytes of any size.
func multiplyDot(from gp, x []gp) []vec {
	acc := newVecs(4 * len(x))
	zero(acc...)
	scope(func() {
		w, v := newVecs(4), newVecs(len(x))
		for range 2 {
			for t := range x {
				ldrqNext(v[t], x[t])
			}
			for i := range 4 {
				for _, r := range w {
					ldrqNext(r, from)
				}
				for t := range x {
					for h, r := range w {
						sdotLane(acc[4*t+h], r, v[t], i)
					}
				}
			}
		}
	})
	return acc
}

// multiplyMatrix takes signed bytes of any size: one instruction multiplies eight inputs of two weight rows with those of
// two rows of activations.
func multiplyMatrix(from gp, x []gp) []vec {
	acc := newVecs(4 * len(x))
	zero(acc...)
	scope(func() {
		v, pair, w := newVecs(len(x)), newVecs(len(x)), newVecs(4)
		for range 2 {
			for t := range x {
				ldrqNext(v[t], x[t])
			}
			for t := 0; t < len(x); t += 2 {
				zip1_2d(pair[t], v[t], v[t+1])
				zip2_2d(pair[t+1], v[t], v[t+1])
			}
			for half := range 2 {
				for h := range 4 {
					ldrq(w[0], from, 16*h)
					ldrq(w[1], from, 16*h+64)
					zip1_4s(w[2], w[0], w[1])
					zip2_4s(w[3], w[0], w[1])
					for t := 0; t < len(x); t += 2 {
						smmla(acc[4*t+2*h], w[2], pair[t+half])
						smmla(acc[4*t+2*h+1], w[3], pair[t+half])
					}
				}
				addImm(128, from)
			}
		}
	})
	sums := make([]vec, len(acc))
	other := newVecs(1)[0]
	for t := 0; t < len(x); t += 2 {
		for h := range 4 {
			a, b := acc[4*t+2*h], acc[4*t+2*h+1]
			mov(other, a)
			uzp1_4s(a, a, b)
			uzp2_4s(b, other, b)
			sums[4*t+h], sums[4*t+4+h] = a, b
		}
	}
	return sums
}
