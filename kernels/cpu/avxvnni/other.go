//go:build !amd64 || noasm

// Package avxvnni owns the kernels for x86-64 processors with AVX-VNNI; in this build it holds none and leaves
// everything to kernels/ref. It defines no result and decides nothing about threads, tiles or dispatch.
package avxvnni

import (
	"github.com/weft-run/weft/kernels/quant"
	"github.com/weft-run/weft/kernels/ref"
)

// Built says whether this binary contains the assembly.
const Built = false

// MulBytes is ref.MulBytes.
func MulBytes(t quant.Type, dst []float32, stride int, p *ref.Panel, x *ref.Quants) {
	ref.MulBytes(dst, stride, p, x, t.HasMinima())
}
