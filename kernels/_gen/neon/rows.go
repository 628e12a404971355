package main

import "fmt"

// rows writes the products of quantized weights with a single row of activations: eight weight rows at a time in file
// order, one block of each a turn; the integer sums of the rows end up in one lane each.
func rows() {
	for _, dot := range []bool{false, true} {
		rowsOfBlocks("rowsQ4_0", 18, dot)
		rowsOfBlocks("rowsQ4_1", 20, dot)
		rowsOfBlocks("rowsQ8_0", 34, dot)
	}
}

func rowsOfBlocks(name string, blockBytes int, dot bool) {
	format := name
	if dot {
		name += "Dot"
	}
	function(name, "dst *float32, w *byte, groups, blocks int, q *int8, scale *float32, sums *int16", "",
		fmt.Sprintf("%s sets dst to the products of 8*groups rows of weights with one row of activations: ref.RowsQuant.", name))
	row := newGPs(8)
	reload("w", row[7])
	dst, groups, size, ahead := load("dst"), load("groups"), load("blocks"), newGP()
	multiply(blockBytes, size)
	nibble := bytesOf(15)
	loop(groups, 1, func() {
		move(row[7], row[0])
		for r := range 7 {
			line("ADD R%d, R%d, R%d", size, row[r], row[r+1])
		}
		// The next group but one is prefetched line by line in the order in which it lies.
		line("ADD R%d<<4, R%d, R%d", size, row[0], ahead)
		q, scale, sums, count := load("q"), load("scale"), load("sums"), load("blocks")
		acc := newVecs(2)
		zero(acc...)
		loop(count, 1, func() {
			for range (8*blockBytes + 63) / 64 {
				prefetchLine(ahead)
				addImm(64, ahead)
			}
			line("SUB $%d, R%d, R%d", (8*blockBytes+63)/64*64-8*blockBytes, ahead, ahead)
			x, d, m, sum := newVecs(2), newVec(), newVec(), newVecs(8)
			ldrqNext(x[0], q)
			ldrqNext(x[1], q)
			for r, at := range row {
				ld1hNext(d, r, at)
				if format == "rowsQ4_1" {
					ld1hNext(m, r, at)
				}
				if format == "rowsQ8_0" {
					bytesDot(sum[r], at, x, dot)
				} else {
					nibblesDot(sum[r], at, x, nibble, dot)
				}
			}
			addTranspose(sum[:4])
			addTranspose(sum[4:])
			dx, sumX := newVec(), newVec()
			ldrsNext(dx, scale)
			if format != "rowsQ8_0" {
				blockSum(sumX, sums, format == "rowsQ4_0")
			}
			for half := range acc {
				dots, v := sum[4*half], newVec()
				if format == "rowsQ4_0" {
					add4s(dots, dots, sumX)
				}
				scvtf(dots, dots)
				fromHalves(v, d, half)
				fmulLane(v, v, dx, 0)
				fmla(acc[half], v, dots)
			}
			if format == "rowsQ4_1" {
				scvtf(sumX, sumX)
				for half := range acc {
					v := newVec()
					fromHalves(v, m, half)
					fmulLane(v, v, dx, 0)
					fmla(acc[half], v, sumX)
				}
			}
		})
		strqNext(acc[0], dst)
		strqNext(acc[1], dst)
	})
	ret()
}

// fromHalves converts four halves.
func fromHalves(to, from vec, half int) {
	if half == 0 {
		fcvtl(to, from)
	} else {
		fcvtl2(to, from)
	}
}

// bytesDot sets the lanes of sum to parts of the product of 32 bytes. A lane of 16 bits holds at most 2*128*127 = 32512.
func bytesDot(sum vec, at gp, x []vec, dot bool) {
	scope(func() {
		w, t := newVec(), newVec()
		if dot {
			zero(sum)
		}
		for i, v := range x {
			ldrqNext(w, at)
			if dot {
				sdot(sum, w, v)
				continue
			}
			smull8h(t, w, v)
			smlal2_8h(t, w, v)
			if i == 0 {
				saddlp4s(sum, t)
			} else {
				sadalp4s(sum, t)
			}
		}
	})
}

// nibblesDot is bytesDot for 32 nibbles.
func nibblesDot(sum vec, at gp, x []vec, nibble vec, dot bool) {
	scope(func() {
		low, high := newVec(), newVec()
		ldrqNext(low, at)
		ushr16b(high, low, 4)
		and(low, low, nibble)
		if dot {
			zero(sum)
			sdot(sum, low, x[0])
			sdot(sum, high, x[1])
			return
		}
		t := newVec()
		smull8h(t, low, x[0])
		smlal2_8h(t, low, x[0])
		smlal8h(t, high, x[1])
		smlal2_8h(t, high, x[1])
		saddlp4s(sum, t)
	})
}
