package quant

import (
	"encoding/binary"
	"math"
	"testing"
)

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
