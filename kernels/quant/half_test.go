package quant

import (
	"encoding/binary"
	"math"
	"testing"
)

// PutF16 rounds as F32ToF16 does, what it scales by powers of two included, at all exponents, ends and ties.
func TestPutF16(t *testing.T) {
	var from []float32
	for exponent := range uint32(256) {
		for _, fraction := range []uint32{0, 1, 0xfff, 0x1000, 0x1001, 0x2fff, 0x3000, 0x7fefff, 0x7ff000, 0x7fffff} {
			bits := exponent<<23 | fraction
			from = append(from, math.Float32frombits(bits), math.Float32frombits(bits|1<<31))
		}
	}
	for i := range uint32(4) { // beside three that are ordinary
		for _, bits := range []uint32{0, 1, 0x33800000, 0x477fefff, 0x477ff000, 0x7f800000, 0xff800001} {
			some := []float32{1, -2, 3, -4}
			some[i] = math.Float32frombits(bits)
			from = append(from, some...)
		}
	}
	from = append(from, 5, 6, 7)
	for _, scale := range []float32{1, 1 << 13, 1.0 / (1 << 20)} {
		to := make([]byte, 2*len(from))
		PutF16(to, from, scale)
		for i, f := range from {
			if got, want := binary.LittleEndian.Uint16(to[2*i:]), F32ToF16(f*scale); got != want {
				t.Fatalf("%g times %g: %#04x, want %#04x", f, scale, got, want)
			}
		}
	}
}

// Decode of halves is F16ToF32 for each of them, in each place beside ordinary ones and beside others of any kind.
func TestDecodeF16(t *testing.T) {
	var src []byte
	for h := range uint32(1 << 16) {
		four := [4]uint16{0x3c00, 0xc000, 0x4200, 0xc400}
		four[h%4] = uint16(h)
		for _, x := range append(four[:], uint16(h), uint16(h>>1), uint16(h*40503), ^uint16(h)) {
			src = binary.LittleEndian.AppendUint16(src, x)
		}
	}
	src = append(src, 1, 0x7c, 0, 0x80, 1, 0)
	dst := make([]float32, len(src)/2)
	Decode(F16, dst, src)
	for i, got := range dst {
		h := binary.LittleEndian.Uint16(src[2*i:])
		if want := F16ToF32(h); math.Float32bits(got) != math.Float32bits(want) {
			t.Fatalf("number %d, %#04x: %#08x, want %#08x", i, h, math.Float32bits(got), math.Float32bits(want))
		}
	}
}
