package main

import "fmt"

// Go's assembler knows few vector instructions of arm64, so all of them are written as words, each with its mnemonic: the
// test in this folder gives the mnemonics to an assembler and compares. Opcodes are those of the Arm Architecture
// Reference Manual (DDI 0487), chapter C7.2; destination first, as the manual writes it.

// word prints one encoded instruction.
func word(opcode uint32, format string, args ...any) {
	fmt.Fprintf(&printer.asm, "\tWORD $0x%08x // %s\n", opcode, fmt.Sprintf(format, args...))
}

// three is an instruction on three registers of one arrangement.
func three(opcode uint32, name, shape string, d, n, m vec) {
	word(opcode|uint32(m)<<16|uint32(n)<<5|uint32(d), "%s v%d.%s, v%d.%s, v%d.%s", name, d, shape, n, shape, m, shape)
}

func fadd(d, n, m vec)    { three(0x4e20d400, "fadd", "4s", d, n, m) }
func fsub(d, n, m vec)    { three(0x4ea0d400, "fsub", "4s", d, n, m) }
func fmul(d, n, m vec)    { three(0x6e20dc00, "fmul", "4s", d, n, m) }
func fdiv(d, n, m vec)    { three(0x6e20fc00, "fdiv", "4s", d, n, m) }
func fmla(d, n, m vec)    { three(0x4e20cc00, "fmla", "4s", d, n, m) }
func fmls(d, n, m vec)    { three(0x4ea0cc00, "fmls", "4s", d, n, m) }
func fmaxnm(d, n, m vec)  { three(0x4e20c400, "fmaxnm", "4s", d, n, m) }
func fminnm(d, n, m vec)  { three(0x4ea0c400, "fminnm", "4s", d, n, m) }
func faddp(d, n, m vec)   { three(0x6e20d400, "faddp", "4s", d, n, m) }
func fcmgt(d, n, m vec)   { three(0x6ea0e400, "fcmgt", "4s", d, n, m) }
func fcmeq(d, n, m vec)   { three(0x4e20e400, "fcmeq", "4s", d, n, m) }
func and(d, n, m vec)     { three(0x4e201c00, "and", "16b", d, n, m) }
func bic(d, n, m vec)     { three(0x4e601c00, "bic", "16b", d, n, m) }
func orr(d, n, m vec)     { three(0x4ea01c00, "orr", "16b", d, n, m) }
func orn(d, n, m vec)     { three(0x4ee01c00, "orn", "16b", d, n, m) }
func bsl(d, n, m vec)     { three(0x6e601c00, "bsl", "16b", d, n, m) }
func bit(d, n, m vec)     { three(0x6ea01c00, "bit", "16b", d, n, m) }
func bif(d, n, m vec)     { three(0x6ee01c00, "bif", "16b", d, n, m) }
func cmgt4s(d, n, m vec)  { three(0x4ea03400, "cmgt", "4s", d, n, m) }
func add4s(d, n, m vec)   { three(0x4ea08400, "add", "4s", d, n, m) }
func sub16b(d, n, m vec)  { three(0x6e208400, "sub", "16b", d, n, m) }
func addp4s(d, n, m vec)  { three(0x4ea0bc00, "addp", "4s", d, n, m) }
func addp8h(d, n, m vec)  { three(0x4e60bc00, "addp", "8h", d, n, m) }
func umax4s(d, n, m vec)  { three(0x6ea06400, "umax", "4s", d, n, m) }
func umin4s(d, n, m vec)  { three(0x6ea06c00, "umin", "4s", d, n, m) }
func zip1_4s(d, n, m vec) { three(0x4e803800, "zip1", "4s", d, n, m) }
func zip2_4s(d, n, m vec) { three(0x4e807800, "zip2", "4s", d, n, m) }
func zip1_2d(d, n, m vec) { three(0x4ec03800, "zip1", "2d", d, n, m) }
func zip2_2d(d, n, m vec) { three(0x4ec07800, "zip2", "2d", d, n, m) }
func uzp1_4s(d, n, m vec) { three(0x4e801800, "uzp1", "4s", d, n, m) }
func uzp2_4s(d, n, m vec) { three(0x4e805800, "uzp2", "4s", d, n, m) }
func mov(d, n vec)        { orr(d, n, n) }

// long is an instruction whose result has lanes of twice the width; part says which half of the operands it reads.
func long(opcode uint32, name, wide, narrow string, d, n, m vec) {
	word(opcode|uint32(m)<<16|uint32(n)<<5|uint32(d), "%s v%d.%s, v%d.%s, v%d.%s", name, d, wide, n, narrow, m, narrow)
}

func smull8h(d, n, m vec)   { long(0x0e20c000, "smull", "8h", "8b", d, n, m) }
func smlal8h(d, n, m vec)   { long(0x0e208000, "smlal", "8h", "8b", d, n, m) }
func smlal2_8h(d, n, m vec) { long(0x4e208000, "smlal2", "8h", "16b", d, n, m) }
func smlal4s(d, n, m vec)   { long(0x0e608000, "smlal", "4s", "4h", d, n, m) }
func smlal2_4s(d, n, m vec) { long(0x4e608000, "smlal2", "4s", "8h", d, n, m) }
func sdot(d, n, m vec)      { long(0x4e809400, "sdot", "4s", "16b", d, n, m) }
func smmla(d, n, m vec)     { long(0x4e80a400, "smmla", "4s", "16b", d, n, m) }

// element packs the index of a lane of 32 bits into H and L.
func element(m vec, i int) uint32 { return uint32(i&1)<<21 | uint32(i>>1)<<11 | uint32(m)<<16 }

// smlalLane multiplies four 16-bit lanes with lane i of m, which must be one of the first sixteen registers.
func smlalLane(d, n, m vec, i int)  { smlalAt(0x0f402000, "smlal", "4h", d, n, m, i) }
func smlal2Lane(d, n, m vec, i int) { smlalAt(0x4f402000, "smlal2", "8h", d, n, m, i) }

func smlalAt(opcode uint32, name, narrow string, d, n, m vec, i int) {
	if m > 15 {
		panic("BUG: lanes of 16 bits are read from the first sixteen registers only")
	}
	index := uint32(i>>2)<<11 | uint32(i>>1&1)<<21 | uint32(i&1)<<20
	word(opcode|index|uint32(m)<<16|uint32(n)<<5|uint32(d), "%s v%d.4s, v%d.%s, v%d.h[%d]", name, d, n, narrow, m, i)
}

func sdotLane(d, n, m vec, i int) {
	word(0x4f80e000|element(m, i)|uint32(n)<<5|uint32(d), "sdot v%d.4s, v%d.16b, v%d.4b[%d]", d, n, m, i)
}

func fmulLane(d, n, m vec, i int) {
	word(0x4f809000|element(m, i)|uint32(n)<<5|uint32(d), "fmul v%d.4s, v%d.4s, v%d.s[%d]", d, n, m, i)
}

// two is an instruction on two registers.
func two(opcode uint32, name, to, from string, d, n vec) {
	word(opcode|uint32(n)<<5|uint32(d), "%s v%d.%s, v%d.%s", name, d, to, n, from)
}

func fneg(d, n vec)       { two(0x6ea0f800, "fneg", "4s", "4s", d, n) }
func fabs(d, n vec)       { two(0x4ea0f800, "fabs", "4s", "4s", d, n) }
func scvtf(d, n vec)      { two(0x4e21d800, "scvtf", "4s", "4s", d, n) }
func fcvtns(d, n vec)     { two(0x4e21a800, "fcvtns", "4s", "4s", d, n) }
func fcvtas(d, n vec)     { two(0x4e21c800, "fcvtas", "4s", "4s", d, n) }
func fcvtzs(d, n vec)     { two(0x4ea1b800, "fcvtzs", "4s", "4s", d, n) }
func fcvtl(d, n vec)      { two(0x0e217800, "fcvtl", "4s", "4h", d, n) }
func fcvtl2(d, n vec)     { two(0x4e217800, "fcvtl2", "4s", "8h", d, n) }
func fcvtn(d, n vec)      { two(0x0e216800, "fcvtn", "4h", "4s", d, n) }
func fcvtn2(d, n vec)     { two(0x4e216800, "fcvtn2", "8h", "4s", d, n) }
func xtn4h(d, n vec)      { two(0x0e612800, "xtn", "4h", "4s", d, n) }
func xtn2_8h(d, n vec)    { two(0x4e612800, "xtn2", "8h", "4s", d, n) }
func xtn8b(d, n vec)      { two(0x0e212800, "xtn", "8b", "8h", d, n) }
func xtn2_16b(d, n vec)   { two(0x4e212800, "xtn2", "16b", "8h", d, n) }
func sqxtn4h(d, n vec)    { two(0x0e614800, "sqxtn", "4h", "4s", d, n) }
func sqxtn2_8h(d, n vec)  { two(0x4e614800, "sqxtn2", "8h", "4s", d, n) }
func sqxtn8b(d, n vec)    { two(0x0e214800, "sqxtn", "8b", "8h", d, n) }
func sqxtn2_16b(d, n vec) { two(0x4e214800, "sqxtn2", "16b", "8h", d, n) }
func sxtl8h(d, n vec)     { two(0x0f08a400, "sxtl", "8h", "8b", d, n) }
func sxtl2_8h(d, n vec)   { two(0x4f08a400, "sxtl2", "8h", "16b", d, n) }
func sxtl4s(d, n vec)     { two(0x0f10a400, "sxtl", "4s", "4h", d, n) }
func sxtl2_4s(d, n vec)   { two(0x4f10a400, "sxtl2", "4s", "8h", d, n) }
func saddlp4s(d, n vec)   { two(0x4e602800, "saddlp", "4s", "8h", d, n) }
func sadalp4s(d, n vec)   { two(0x4e606800, "sadalp", "4s", "8h", d, n) }

// shll widens bfloat16 to float32: its bits are the upper half.
func shll(d, n vec)  { word(0x2e613800|uint32(n)<<5|uint32(d), "shll v%d.4s, v%d.4h, #16", d, n) }
func shll2(d, n vec) { word(0x6e613800|uint32(n)<<5|uint32(d), "shll2 v%d.4s, v%d.8h, #16", d, n) }

// across reduces the lanes of a register to one.
func umaxv(d, n vec)   { word(0x6eb0a800|uint32(n)<<5|uint32(d), "umaxv s%d, v%d.4s", d, n) }
func uminv(d, n vec)   { word(0x6eb1a800|uint32(n)<<5|uint32(d), "uminv s%d, v%d.4s", d, n) }
func fmaxnmv(d, n vec) { word(0x6e30c800|uint32(n)<<5|uint32(d), "fmaxnmv s%d, v%d.4s", d, n) }
func saddlv(d, n vec)  { word(0x4e303800|uint32(n)<<5|uint32(d), "saddlv h%d, v%d.16b", d, n) }

func shl4s(d, n vec, by int) {
	word(0x4f005400|uint32(32+by)<<16|uint32(n)<<5|uint32(d), "shl v%d.4s, v%d.4s, #%d", d, n, by)
}

func shl16b(d, n vec, by int) {
	word(0x4f005400|uint32(8+by)<<16|uint32(n)<<5|uint32(d), "shl v%d.16b, v%d.16b, #%d", d, n, by)
}

func ushr16b(d, n vec, by int) {
	word(0x6f000400|uint32(16-by)<<16|uint32(n)<<5|uint32(d), "ushr v%d.16b, v%d.16b, #%d", d, n, by)
}

func ext(d, n, m vec, by int) {
	word(0x6e000000|uint32(m)<<16|uint32(by)<<11|uint32(n)<<5|uint32(d), "ext v%d.16b, v%d.16b, v%d.16b, #%d", d, n, m, by)
}

// dup4s repeats lane i, dup4sFrom a general register.
func dup4s(d, n vec, i int) {
	word(0x4e040400|uint32(i)<<19|uint32(n)<<5|uint32(d), "dup v%d.4s, v%d.s[%d]", d, n, i)
}
func dup4sFrom(d vec, n gp) { word(0x4e040c00|uint32(n)<<5|uint32(d), "dup v%d.4s, w%d", d, n) }

// umov sets d to lane 0.
func umov(d gp, n vec) { word(0x0e043c00|uint32(n)<<5|uint32(d), "umov w%d, v%d.s[0]", d, n) }

func zero(v ...vec) {
	for _, d := range v {
		word(0x4f000400|uint32(d), "movi v%d.4s, #0", d)
	}
}

// bytesOf repeats a byte.
func bytesOf(value uint32) vec {
	d := newVec()
	word(0x4f00e400|value>>5<<16|value&31<<5|uint32(d), "movi v%d.16b, #%d", d, value)
	return d
}
