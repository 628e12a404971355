package main

import (
	"fmt"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// rows writes the products of quantized weights with a single row of activations: eight weight rows at a time in file
// order, one block of each a turn; the integer sums of the rows end up in one lane each.
func rows() {
	rowsQ4("rowsQ4_0", 18, false)
	rowsQ4("rowsQ4_1", 20, true)
	rowsQ8()
	rowsFifths("rowsQ5_0", 22, false)
	rowsFifths("rowsQ5_1", 24, true)
	rowsCodes("rowsIQ4_NL", 18, iq4Codes, halvesOfRows)
	rowsCodes("rowsMXFP4", 17, mxfp4Codes, exponentsOfRows)
}

// eightRows is the frame of a row kernel.
type eightRows struct {
	w, w4, size, size3 GPVirtual // rows 0-3 begin at w, w+size, w+2*size, w+size3, rows 4-7 the same from w4
	q, scale, sums     GPVirtual
	acc                VecVirtual
}

// at returns the address of byte disp of the current block of row r.
func (k *eightRows) at(r, disp int) Mem {
	base := k.w
	if r >= 4 {
		base = k.w4
	}
	m := Mem{Base: base, Disp: disp}
	switch r % 4 {
	case 1:
		m.Index, m.Scale = k.size, 1
	case 2:
		m.Index, m.Scale = k.size, 2
	case 3:
		m.Index, m.Scale = k.size3, 1
	}
	return m
}

// emitRows writes a row kernel around the code for one block of eight rows.
func emitRows(name string, blockBytes int, setup func(), block func(k *eightRows)) {
	TEXT(name, NOSPLIT, "func(dst *float32, w *byte, groups, blocks int, q *int8, scale *float32, sums *int16)")
	Doc(fmt.Sprintf("%s sets dst to the products of 8*groups rows of weights with one row of activations: ref.RowsQuant.", name))
	Pragma("noescape")
	k := &eightRows{w: GP64(), w4: GP64(), size: GP64(), size3: GP64(), q: GP64(), scale: GP64(), sums: GP64(), acc: YMM()}
	dst, groups := load("dst"), load("groups")
	Load(Param("w"), k.w)
	Load(Param("blocks"), k.size)
	IMUL3Q(imm(blockBytes), k.size, k.size)
	LEAQ(Mem{Base: k.size, Index: k.size, Scale: 2}, k.size3)
	setup()
	count, ahead := GP64(), GP64()
	loop(groups, 1, func() {
		LEAQ(Mem{Base: k.w, Index: k.size, Scale: 4}, k.w4)
		// The next group but one is prefetched line by line in the order in which it lies.
		MOVQ(k.size, ahead)
		SHLQ(Imm(4), ahead)
		ADDQ(k.w, ahead)
		Load(Param("q"), k.q)
		Load(Param("scale"), k.scale)
		Load(Param("sums"), k.sums)
		Load(Param("blocks"), count)
		zero(k.acc)
		loop(count, 1, func() {
			for line := 0; line < 8*blockBytes; line += 64 {
				PREFETCHT1(Mem{Base: ahead, Disp: line})
			}
			ADDQ(imm(8*blockBytes), ahead)
			block(k)
			ADDQ(imm(blockBytes), k.w)
			ADDQ(imm(blockBytes), k.w4)
			ADDQ(imm(32), k.q)
			ADDQ(imm(4), k.scale)
			ADDQ(imm(4), k.sums)
		})
		VMOVUPS(k.acc, Mem{Base: dst})
		ADDQ(imm(32), dst)
		// w stands at row 1 of this group: on to row 8.
		LEAQ(Mem{Base: k.w, Index: k.size, Scale: 4}, k.w)
		ADDQ(k.size3, k.w)
	})
	ret()
}

// rowsQ4 writes the row kernel of Q4_0 or, with minima, of Q4_1.
func rowsQ4(name string, blockBytes int, minima bool) {
	head := blockBytes - 16
	nibble, ones, factor := YMM(), YMM(), YMM()
	setup := func() {
		VMOVDQU(words("nibbles", 0x0f0f0f0f), nibble)
		VMOVDQU(words("ones16", 0x00010001), ones)
		if !minima {
			VMOVDQU(words("eights16", 0xfff8fff8), factor) // -8 times the sum of quants takes the offset away
		}
	}
	emitRows(name, blockBytes, setup, func(k *eightRows) {
		xLow, xHigh := YMM(), YMM()
		VBROADCASTI128(Mem{Base: k.q}, xLow)
		VBROADCASTI128(Mem{Base: k.q, Disp: 16}, xHigh)
		// Rows r and r+4 share a register. A lane of 16 bits holds at most 4*15*127.
		var sum [4]VecVirtual
		for r := range sum {
			low, high := YMM(), YMM()
			VMOVDQU(k.at(r, head), low.AsX())
			VINSERTI128(Imm(1), k.at(r+4, head), low, low)
			VPSRLW(Imm(4), low, high)
			VPAND(nibble, low, low)
			VPAND(nibble, high, high)
			VPMADDUBSW(xLow, low, low)
			VPMADDUBSW(xHigh, high, high)
			VPADDW(high, low, low)
			sum[r] = low
		}
		// Twice more the lanes are added in 16 bits, to at most 16*15*127 = 30480.
		VPHADDW(sum[1], sum[0], sum[0])
		VPHADDW(sum[3], sum[2], sum[2])
		VPHADDW(sum[2], sum[0], sum[0])
		VPMADDWD(ones, sum[0], sum[0])

		sums, dx := YMM(), YMM()
		VPBROADCASTD(Mem{Base: k.sums}, sums)
		VBROADCASTSS(Mem{Base: k.scale}, dx)
		if !minima {
			VPMADDWD(factor, sums, sums)
			VPADDD(sums, sum[0], sum[0])
			d := halvesOfRows(k)
			VMULPS(dx, d, d)
			VCVTDQ2PS(sum[0], sum[0])
			VFMADD231PS(sum[0], d, k.acc)
			return
		}
		VPMADDWD(ones, sums, sums)
		d, m := scalesAndMinima(k)
		VMULPS(dx, d, d)
		VMULPS(dx, m, m)
		VCVTDQ2PS(sum[0], sum[0])
		VCVTDQ2PS(sums, sums)
		VFMADD231PS(sum[0], d, k.acc)
		VFMADD231PS(sums, m, k.acc)
	})
}

// rowsQ8 writes the row kernel of Q8_0.
func rowsQ8() {
	ones := YMM()
	setup := func() { VMOVDQU(words("ones16", 0x00010001), ones) }
	emitRows("rowsQ8_0", 34, setup, func(k *eightRows) {
		x := YMM()
		VMOVDQU(Mem{Base: k.q}, x)
		var sum [8]VecVirtual
		add := func(i, j int) { VPHADDD(sum[j], sum[i], sum[i]) }
		for r := range sum {
			// The weight's magnitude, up to 128, times the activation with the weight's sign: at most 2*128*127.
			w, magnitude := YMM(), YMM()
			VMOVDQU(k.at(r, 2), w)
			VPABSB(w, magnitude)
			VPSIGNB(w, x, w)
			VPMADDUBSW(w, magnitude, w)
			VPMADDWD(ones, w, w)
			sum[r] = w
			if r%2 == 1 {
				add(r-1, r)
			}
			if r%4 == 3 {
				add(r-3, r-1)
			}
		}
		// Both halves of sum[0] hold rows 0-3, those of sum[4] rows 4-7.
		low := YMM()
		VPERM2I128(Imm(0x20), sum[4], sum[0], low)
		VPERM2I128(Imm(0x31), sum[4], sum[0], sum[0])
		VPADDD(low, sum[0], sum[0])
		dx := YMM()
		VBROADCASTSS(Mem{Base: k.scale}, dx)
		d := halvesOfRows(k)
		VMULPS(dx, d, d)
		VCVTDQ2PS(sum[0], sum[0])
		VFMADD231PS(sum[0], d, k.acc)
	})
}

// halvesOfRows returns the halves at the beginning of the eight blocks as float32.
func halvesOfRows(k *eightRows) VecVirtual {
	x, d := XMM(), YMM()
	VPXOR(x, x, x)
	for r := range 8 {
		VPINSRW(Imm(uint64(r)), k.at(r, 0), x, x)
	}
	VCVTPH2PS(x, d)
	return d
}

// scalesAndMinima returns the two halves at the beginning of the eight blocks as float32.
func scalesAndMinima(k *eightRows) (d, m VecVirtual) {
	var quarter [2]VecVirtual
	for i := range quarter {
		quarter[i] = XMM()
		VMOVD(k.at(4*i, 0), quarter[i])
		for r := 1; r < 4; r++ {
			VPINSRD(Imm(uint64(r)), k.at(4*i+r, 0), quarter[i], quarter[i])
		}
	}
	d, m = YMM(), YMM()
	splitPairs(quarter[0], quarter[1], d, m)
	return d, m
}

// splitPairs sets d to the low and m to the high halves of the words of low and high, as float32.
func splitPairs(low, high VecVirtual, d, m VecVirtual) {
	dm, mm := low, high
	pick := constant128("pickhalves", 0x0d0c090805040100, 0x0f0e0b0a07060302)
	VPSHUFB(pick, dm, dm) // d0-3 m0-3
	VPSHUFB(pick, mm, mm) // d4-7 m4-7
	t := XMM()
	VPUNPCKLQDQ(mm, dm, t)
	VPUNPCKHQDQ(mm, dm, dm)
	VCVTPH2PS(t, d)
	VCVTPH2PS(dm, m)
}

// constant128 returns a 16-byte constant.
func constant128(name string, low, high uint64) Mem {
	if m, ok := constants[name]; ok {
		return m
	}
	m := GLOBL(name, RODATA|NOPTR)
	DATA(0, U64(low))
	DATA(8, U64(high))
	constants[name] = m
	return m
}
