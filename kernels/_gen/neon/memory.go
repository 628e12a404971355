package main

// Loads and stores. The names end in Next where the address moves on behind what was read or written.

func at(opcode uint32, name string, t vec, n gp, disp, size int) {
	if disp%size != 0 || disp < 0 || disp/size > 4095 {
		panic("BUG: a displacement cannot be encoded")
	}
	word(opcode|uint32(disp/size)<<10|uint32(n)<<5|uint32(t), name+"%d, [x%d, #%d]", t, n, disp)
}

func ldrq(t vec, n gp, disp int) { at(0x3dc00000, "ldr q", t, n, disp, 16) }
func strq(t vec, n gp, disp int) { at(0x3d800000, "str q", t, n, disp, 16) }
func ldrs(t vec, n gp, disp int) { at(0xbd400000, "ldr s", t, n, disp, 4) }
func strs(t vec, n gp, disp int) { at(0xbd000000, "str s", t, n, disp, 4) }

func next(opcode uint32, name string, t vec, n gp, size int) {
	word(opcode|uint32(size)<<12|uint32(n)<<5|uint32(t), name+"%d, [x%d], #%d", t, n, size)
}

func ldrqNext(t vec, n gp) { next(0x3cc00400, "ldr q", t, n, 16) }
func strqNext(t vec, n gp) { next(0x3c800400, "str q", t, n, 16) }
func ldrsNext(t vec, n gp) { next(0xbc400400, "ldr s", t, n, 4) }
func strsNext(t vec, n gp) { next(0xbc000400, "str s", t, n, 4) }
func strhNext(t vec, n gp) { next(0x7c000400, "str h", t, n, 2) }

// ld1rNext repeats a word of memory.
func ld1rNext(t vec, n gp) {
	word(0x4ddfc800|uint32(n)<<5|uint32(t), "ld1r {v%d.4s}, [x%d], #4", t, n)
}

// ld1hAllNext repeats two bytes of memory.
func ld1hAllNext(t vec, n gp) {
	word(0x4ddfc400|uint32(n)<<5|uint32(t), "ld1r {v%d.8h}, [x%d], #2", t, n)
}

// ld1hNext reads two bytes into lane i and leaves the other lanes.
func ld1hNext(t vec, i int, n gp) {
	index := uint32(i>>2)<<30 | uint32(i>>1&1)<<12 | uint32(i&1)<<11
	word(0x0ddf4000|index|uint32(n)<<5|uint32(t), "ld1 {v%d.h}[%d], [x%d], #2", t, i, n)
}

// ld2Next reads eight pairs of 16 bits: the firsts to t, the seconds to t+1.
func ld2Next(t vec, n gp) {
	word(0x4cdf8400|uint32(n)<<5|uint32(t), "ld2 {v%d.8h, v%d.8h}, [x%d], #32", t, t+1, n)
}
