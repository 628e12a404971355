//go:build !amd64 || noasm

package avx512

import (
	"github.com/weft-run/weft/kernels/quant"
	"github.com/weft-run/weft/kernels/ref"
)

// LoadKeysQ8_0 is ref.LoadKeyQuants for Q8_0.
func LoadKeysQ8_0(dst []float32, stride int, page []byte, tokens int) {
	ref.LoadKeyQuants(quant.Q8_0, dst, stride, page, tokens)
}

// DecodeQ8_0 is quant.Decode for Q8_0.
func DecodeQ8_0(dst []float32, src []byte) { quant.Decode(quant.Q8_0, dst, src) }

// LoadKeysQ4_0 is ref.LoadKeyQuants for Q4_0.
func LoadKeysQ4_0(dst []float32, stride int, page []byte, tokens int) {
	ref.LoadKeyQuants(quant.Q4_0, dst, stride, page, tokens)
}

// DecodeQ4_0 is quant.Decode for Q4_0.
func DecodeQ4_0(dst []float32, src []byte) { quant.Decode(quant.Q4_0, dst, src) }
