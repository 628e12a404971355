package main

import (
	"fmt"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// fourRows is the frame of a kernel that multiplies one row of activations with four rows of weights at a time. The lanes
// of a vector are consecutive weights of one row, as they lie in the file, so that four streams are read from one end to the
// other; the integer sums of the four rows are added and transposed at the end of a block. wide says that vectors have 512 bits.
type fourRows struct {
	wide                  bool
	w, size, size3, ahead GPVirtual
	q, scale, sums        GPVirtual
	acc                   VecVirtual // float32 sums, row r in lane r
}

// rowsAhead is the distance in bytes at which weights are asked for, in the order in which they lie, into the second level:
// requests for the first one hold the buffers that loads wait for.
const rowsAhead = 16 << 10

// at returns the address of byte disp of the current block of row r.
func (k *fourRows) at(r, disp int) Mem {
	m := Mem{Base: k.w, Disp: disp}
	switch r {
	case 1:
		m.Index, m.Scale = k.size, 1
	case 2:
		m.Index, m.Scale = k.size, 2
	case 3:
		m.Index, m.Scale = k.size3, 1
	}
	return m
}

// vec returns a register of the kernel's width.
func (k *fourRows) vec() VecVirtual {
	if k.wide {
		return ZMM()
	}
	return YMM()
}

// bytes is the kernel's width.
func (k *fourRows) bytes() int {
	if k.wide {
		return 64
	}
	return 32
}

// clear clears registers of any width.
func (k *fourRows) clear(v ...VecVirtual) {
	if k.wide {
		clearZ(v...)
	} else {
		zero(v...)
	}
}

// and sets dst to the bits that a and b share.
func (k *fourRows) and(a, b Op, dst VecVirtual) {
	if k.wide {
		VPANDD(a, b, dst)
	} else {
		VPAND(a, b, dst)
	}
}

// load reads a vector from memory.
func (k *fourRows) load(m Mem) VecVirtual {
	v := k.vec()
	if k.wide {
		VMOVDQU32(m, v)
	} else {
		VMOVDQU(m, v)
	}
	return v
}

// repeat returns a register in which a 32-bit word is repeated.
func (k *fourRows) repeat(name string, value uint32) VecVirtual {
	v := k.vec()
	VPBROADCASTD(words(name, value), v)
	return v
}

// emitLaneRows writes a kernel. steps are tried in order, each as long as it has as many blocks as it takes.
func emitLaneRows(name string, wide bool, blockBytes, blockLen int, setup func(k *fourRows), steps ...laneStep) {
	TEXT(name, NOSPLIT, "func(dst *float32, w *byte, groups, blocks int, q *int8, scale *float32, sums *int16)")
	Doc(fmt.Sprintf("%s sets dst to the products of 4*groups rows of weights with one row of activations: ref.RowsQuant.", name))
	Pragma("noescape")
	k := &fourRows{
		wide: wide, w: load("w"), size: load("blocks"), size3: GP64(), ahead: GP64(),
		q: GP64(), scale: GP64(), sums: GP64(), acc: XMM(),
	}
	IMUL3Q(imm(blockBytes), k.size, k.size)
	LEAQ(Mem{Base: k.size, Index: k.size, Scale: 2}, k.size3)
	LEAQ(Mem{Base: k.w, Disp: rowsAhead}, k.ahead)
	setup(k)
	groups, count := load("groups"), GP64()
	loop(groups, 1, func() {
		Load(Param("q"), k.q)
		Load(Param("scale"), k.scale)
		Load(Param("sums"), k.sums)
		Load(Param("blocks"), count)
		zero(k.acc)
		for _, step := range steps {
			n := step.blocks
			loop(count, n, func() {
				for line := 0; line < 4*n*blockBytes; line += 64 {
					PREFETCHT1(Mem{Base: k.ahead, Disp: line})
				}
				ADDQ(imm(4*n*blockBytes), k.ahead)
				step.emit(k, n)
				ADDQ(imm(n*blockBytes), k.w)
				ADDQ(imm(n*blockLen), k.q)
				ADDQ(imm(4*n), k.scale)
				ADDQ(imm(n*blockLen/8), k.sums)
			})
		}
		dst := load("dst")
		VMOVUPS(k.acc, Mem{Base: dst})
		ADDQ(imm(16), dst)
		Store(dst, Param("dst"))
		ADDQ(k.size3, k.w) // it stands at row 1 of this group: on to row 4
	})
	ret()
}

// laneStep multiplies a number of blocks of each row.
type laneStep struct {
	blocks int
	emit   func(k *fourRows, n int)
}

// addTransposed adds the lanes of four registers: lane r of each 128 bits of the result is the sum of those of v[r] there.
func addTransposed(v [4]VecVirtual) VecVirtual {
	pair := func(a, b VecVirtual, low, high func(...Op)) {
		t := like(a)
		low(b, a, t)
		high(b, a, a)
		VPADDD(t, a, a)
	}
	dwordsLow, dwordsHigh := func(ops ...Op) { VPUNPCKLDQ(ops...) }, func(ops ...Op) { VPUNPCKHDQ(ops...) }
	pair(v[0], v[1], dwordsLow, dwordsHigh)
	pair(v[2], v[3], dwordsLow, dwordsHigh)
	pair(v[0], v[2], func(ops ...Op) { VPUNPCKLQDQ(ops...) }, func(ops ...Op) { VPUNPCKHQDQ(ops...) })
	return v[0]
}

// addLanes adds the 128-bit parts of a register into one.
func addLanes(v VecVirtual) VecVirtual {
	upper := XMM()
	switch v.Size() {
	case 64:
		half := YMM()
		VEXTRACTI64X4(Imm(1), v, half)
		VPADDD(half, v.AsY(), v.AsY())
		VEXTRACTI32X4(Imm(1), v.AsY(), upper) // reaches all 32 registers, unlike VEXTRACTI128
	case 32:
		VEXTRACTI128(Imm(1), v, upper)
	default:
		return v
	}
	VPADDD(upper, v.AsX(), v.AsX())
	return v.AsX().(VecVirtual)
}

// like returns a new register of the same width.
func like(v VecVirtual) VecVirtual {
	switch v.Size() {
	case 64:
		return ZMM()
	case 32:
		return YMM()
	}
	return XMM()
}

// bytes64 returns a constant of 64 bytes.
func bytes64(name string, at func(i int) uint8) Mem {
	if m, ok := constants[name]; ok {
		return m
	}
	m := GLOBL(name, RODATA|NOPTR)
	for i := range 64 {
		DATA(i, U8(at(i)))
	}
	constants[name] = m
	return m
}
