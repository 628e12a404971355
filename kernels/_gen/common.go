package main

import (
	"fmt"
	"math"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// constants are the vectors of one repeated word that were defined so far.
var constants = map[string]Mem{}

// words returns a 32-byte vector in which a 32-bit word is repeated.
func words(name string, value uint32) Mem {
	if m, ok := constants[name]; ok {
		return m
	}
	m := GLOBL(name, RODATA|NOPTR)
	for i := range 8 {
		DATA(4*i, U32(value))
	}
	constants[name] = m
	return m
}

// floats is words for a float32.
func floats(name string, value float32) Mem {
	return words(name, math.Float32bits(value))
}

// load returns a general register with a parameter.
func load(name string) GPVirtual {
	r := GP64()
	Load(Param(name), r)
	return r
}

// ymms returns n vector registers.
func ymms(n int) []VecVirtual {
	v := make([]VecVirtual, n)
	for i := range v {
		v[i] = YMM()
	}
	return v
}

// zero clears vector registers.
func zero(v ...VecVirtual) {
	for _, r := range v {
		VXORPS(r, r, r)
	}
}

// labels hands out label names that are unique in the file.
var labels int

func label(name string) string {
	labels++
	return fmt.Sprintf("%s%d", name, labels)
}

// loop repeats body while counter, decremented by step after each turn, stays at least step. The counter keeps the rest.
func loop(counter Register, step int, body func()) {
	top, done := label("loop"), label("done")
	Label(top)
	CMPQ(counter, Imm(uint64(step)))
	JL(LabelRef(done))
	body()
	SUBQ(imm(step), counter)
	JMP(LabelRef(top))
	Label(done)
}

// repeat is loop for a counter that is a multiple of step and not 0: it takes two instructions fewer.
func repeat(counter Register, step int, body func()) {
	top := label("repeat")
	Label(top)
	body()
	SUBQ(imm(step), counter)
	JNE(LabelRef(top))
}

// horizontal adds the 16 lanes of two registers in the order of ref.sumLanes and returns the sum in lane 0.
func horizontal(low, high VecVirtual) Register {
	VADDPS(high, low, low) // i and i+8
	upper := XMM()
	VEXTRACTF128(Imm(1), low, upper)
	return lastLanes(low.AsX(), upper)
}

// lastLanes adds the lanes of two narrow registers, the last eight.
func lastLanes(x Register, upper VecVirtual) Register {
	VADDPS(upper, x, x) // i and i+4
	VMOVHLPS(x, x, upper)
	VADDPS(upper, x, x) // i and i+2
	VMOVSHDUP(x, upper)
	VADDSS(upper, x, x) // i and i+1
	return x
}

// imm returns an immediate operand of an arithmetic instruction: avo's Imm chooses widths that they do not have.
func imm(n int) Constant {
	return U32(n)
}

// ret leaves a function. The upper halves of the registers are cleared, or Go's own SSE code becomes slow.
func ret() {
	VZEROUPPER()
	RET()
}
