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
