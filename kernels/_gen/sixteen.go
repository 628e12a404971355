package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
	"github.com/mmcloughlin/avo/x86"
)

// sixteenRows addresses sixteen rows of weights: rows 4i to 4i+3 begin at w[i], w[i]+size, w[i]+2*size, w[i]+size3.
type sixteenRows struct {
	w           [4]GPVirtual
	size, size3 GPVirtual
	park        Mem    // where lines wait for their use; none: in registers
	pause       func() // called after every few instructions; may be nil
}

// parked returns four lines where they wait for their use, the first being number i there.
func (k *sixteenRows) parked(i int, v [4]VecVirtual) [4]Op {
	out := [4]Op{v[0], v[1], v[2], v[3]}
	if k.park.Base == nil {
		return out
	}
	for j, line := range v {
		m := k.park.Offset(64 * (i + j))
		VMOVDQU32(line, m)
		out[j] = m
	}
	return out
}

// newSixteenRows takes the rows from the parameters w and blocks.
func newSixteenRows(blockBytes int) *sixteenRows {
	k := &sixteenRows{size: GP64(), size3: GP64()}
	for i := range k.w {
		k.w[i] = GP64()
	}
	Load(Param("w"), k.w[0])
	Load(Param("blocks"), k.size)
	IMUL3Q(imm(blockBytes), k.size, k.size)
	LEAQ(Mem{Base: k.size, Index: k.size, Scale: 2}, k.size3)
	return k
}

// spread sets the other pointers from w[0].
func (k *sixteenRows) spread() {
	for i := 1; i < 4; i++ {
		LEAQ(Mem{Base: k.w[i-1], Index: k.size, Scale: 4}, k.w[i])
	}
}

// paused calls pause.
func (k *sixteenRows) paused() {
	if k.pause != nil {
		k.pause()
	}
}

// advance moves on by n bytes.
func (k *sixteenRows) advance(n int) {
	for _, p := range k.w {
		ADDQ(imm(n), p)
	}
}

// at returns the address of byte disp of the current block of row r.
func (k *sixteenRows) at(r, disp int) Mem {
	m := Mem{Base: k.w[r/4], Disp: disp}
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

// lines returns sixteen bytes of each row: register i holds bytes 4i to 4i+3 of all rows, row r in lane r.
func (k *sixteenRows) lines(disp int) [4]VecVirtual {
	var v [4]VecVirtual
	for i := range v {
		v[i] = ZMM()
		VBROADCASTI32X4(k.at(i, disp), v[i]) // the whole register: avo would take the rest for an input
		for quarter := 1; quarter < 4; quarter++ {
			VINSERTI32X4(Imm(uint64(quarter)), k.at(4*quarter+i, disp), v[i], v[i])
		}
		k.paused()
	}
	a, b := ZMM(), ZMM()
	VPUNPCKLDQ(v[1], v[0], a)
	VPUNPCKHDQ(v[1], v[0], v[1])
	VPUNPCKLDQ(v[3], v[2], b)
	VPUNPCKHDQ(v[3], v[2], v[3])
	VPUNPCKLQDQ(b, a, v[0])
	VPUNPCKHQDQ(b, a, a)
	VPUNPCKLQDQ(v[3], v[1], v[2])
	VPUNPCKHQDQ(v[3], v[1], v[3])
	k.paused()
	return [4]VecVirtual{v[0], a, v[2], v[3]}
}

// halves returns the halves at disp of all rows as float32.
func (k *sixteenRows) halves(disp int) VecVirtual {
	x := [2]VecVirtual{YMM(), XMM()}
	for i, part := range x {
		clearZ(part)
		for r := range 8 {
			VPINSRW(Imm(uint64(r)), k.at(8*i+r, disp), part.AsX(), part.AsX())
			if r%4 == 3 {
				k.paused()
			}
		}
	}
	VINSERTI32X4(Imm(1), x[1], x[0], x[0])
	d := ZMM()
	VCVTPH2PS(x[0], d)
	return d
}

// words returns the 32-bit words at disp of all rows.
func (k *sixteenRows) words(disp int) VecVirtual {
	v := ZMM()
	for i := range 4 {
		x := v.AsX()
		if i > 0 {
			x = XMM()
		}
		if i == 0 {
			VPBROADCASTD(k.at(0, disp), v)
		} else {
			VMOVD(k.at(4*i, disp), x)
		}
		for r := 1; r < 4; r++ {
			VPINSRD(Imm(uint64(r)), k.at(4*i+r, disp), x, x)
		}
		if i > 0 {
			VINSERTI32X4(Imm(uint64(i)), x, v, v)
		}
	}
	return v
}

// splitHalves returns the low and the high halves of words as float32.
func splitHalves(v VecVirtual) (low, high VecVirtual) {
	low, high = ZMM(), ZMM()
	VPMOVDW(v, low.AsY())
	VCVTPH2PS(low.AsY(), low)
	VPSRLD(Imm(16), v, v)
	VPMOVDW(v, high.AsY())
	VCVTPH2PS(high.AsY(), high)
	return low, high
}

// zmms returns n vector registers.
func zmms(n int) []VecVirtual {
	v := make([]VecVirtual, n)
	for i := range v {
		v[i] = ZMM()
	}
	return v
}

// clearZ clears vector registers. avo does not know that this instruction reads nothing then.
func clearZ(v ...VecVirtual) {
	for _, r := range v {
		i, err := x86.VPXORD(r, r, r)
		if err != nil {
			panic(err)
		}
		i.CancellingInputs = true
		Instruction(i)
	}
}

// repeated returns a register in which a byte is repeated.
func repeated(name string, value uint32) VecVirtual {
	v := ZMM()
	VPBROADCASTD(words(name, value*0x01010101), v)
	return v
}

// none is an index of VPSHUFB that gives a zero.
const none = -1

// within returns the order of VPSHUFB that moves bytes inside each 32-bit word.
func within(name string, order [4]int) Mem {
	if m, ok := constants[name]; ok {
		return m
	}
	m := GLOBL(name, RODATA|NOPTR)
	for i := range 64 {
		v := uint8(0x80)
		if from := order[i%4]; from != none {
			v = uint8(i%16/4*4 + from)
		}
		DATA(i, U8(v))
	}
	constants[name] = m
	return m
}

// table16 returns sixteen bytes repeated to the width of a register.
func table16(name string, bytes [16]uint8) Mem {
	if m, ok := constants[name]; ok {
		return m
	}
	m := GLOBL(name, RODATA|NOPTR)
	for i := range 64 {
		DATA(i, U8(bytes[i%16]))
	}
	constants[name] = m
	return m
}
