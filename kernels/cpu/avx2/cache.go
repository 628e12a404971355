//go:build amd64 && !noasm

package avx2

import "github.com/weft-run/weft/kernels/quant"

// EncodeQ8_0 is quant.Encode for Q8_0.
func EncodeQ8_0(dst []byte, src []float32) {
	encode(quant.Q8_0, encodeQ8_0, dst, src)
}

// LoadKeysQ8_0 is ref.LoadKeyQuants for Q8_0.
func LoadKeysQ8_0(dst []float32, stride int, page []byte, tokens int) {
	loadKeys(quant.Q8_0, keysQ8_0, dst, stride, page, tokens)
}

// DecodeQ8_0 is quant.Decode for Q8_0.
func DecodeQ8_0(dst []float32, src []byte) {
	decode(quant.Q8_0, valuesQ8_0, dst, src)
}

// EncodeQ4_0 is quant.Encode for Q4_0.
func EncodeQ4_0(dst []byte, src []float32) {
	encode(quant.Q4_0, encodeQ4_0, dst, src)
}

// LoadKeysQ4_0 is ref.LoadKeyQuants for Q4_0.
func LoadKeysQ4_0(dst []float32, stride int, page []byte, tokens int) {
	loadKeys(quant.Q4_0, keysQ4_0, dst, stride, page, tokens)
}

// DecodeQ4_0 is quant.Decode for Q4_0.
func DecodeQ4_0(dst []float32, src []byte) {
	decode(quant.Q4_0, valuesQ4_0, dst, src)
}

func encode(t quant.Type, kernel func(dst *byte, src *float32, blocks int), dst []byte, src []float32) {
	if len(src) == 0 {
		return
	}
	writes(dst[:t.RowBytes(len(src))])
	reads(src)
	kernel(&dst[0], &src[0], len(src)/blockLen)
}

func decode(t quant.Type, kernel func(dst *float32, src *byte, blocks int), dst []float32, src []byte) {
	if len(dst) == 0 {
		return
	}
	writes(dst)
	reads(src[:t.RowBytes(len(dst))])
	kernel(&dst[0], &src[0], len(dst)/blockLen)
}

func loadKeys(t quant.Type, kernel func(dst *float32, stride int, src *byte, groups, tokens int), dst []float32, stride int, page []byte, tokens int) {
	groups := len(page) / (t.Info().BlockBytes * tokens)
	if groups == 0 {
		return
	}
	reads(page)
	for d := range groups * blockLen { // panics when dst is too short for what the assembly writes
		writes(dst[d*stride : d*stride+tokens])
	}
	kernel(&dst[0], 4*stride, &page[0], groups, tokens)
}

// blockLen is the number of elements in a block of Q8_0 and of Q4_0.
const blockLen = 32
