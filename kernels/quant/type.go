// Package quant owns the block formats of GGUF tensors: their ids, names and sizes, and the reference encoding and
// decoding of each. It does no arithmetic on activations and knows no file.
//
// A block is a unit of quantization: BlockLen consecutive weights of one row in BlockBytes bytes. Layouts follow
// ggml's quantization formats as the gguf Python package reads them; all values are little-endian.
// Functions are pure and safe for concurrent use.
package quant

import (
	"fmt"
	"strings"
)

// Type is a ggml tensor type id as it stands in a GGUF file.
type Type uint32

// The types that Weft computes with. Every other id that a file may carry is known by Lookup.
const (
	F32    Type = 0
	F16    Type = 1
	Q4_0   Type = 2
	Q4_1   Type = 3
	Q5_0   Type = 6
	Q5_1   Type = 7
	Q8_0   Type = 8
	Q2_K   Type = 10
	Q3_K   Type = 11
	Q4_K   Type = 12
	Q5_K   Type = 13
	Q6_K   Type = 14
	IQ4_NL Type = 20
	IQ4_XS Type = 23
	BF16   Type = 30
	MXFP4  Type = 39
)

// String returns the name of t as ggml writes it, "Q4_1", or "type 99" for an id that is not known.
func (t Type) String() string {
	if info, ok := Lookup(uint32(t)); ok {
		return info.Name
	}
	return fmt.Sprintf("type %d", uint32(t))
}

// Info returns what is known of t. It panics for an id that Lookup does not know: check ids where they are read.
func (t Type) Info() Info {
	info, ok := Lookup(uint32(t))
	if !ok {
		panic(fmt.Sprintf("BUG: quant: type id %d is not known", uint32(t)))
	}
	return info
}

// RowBytes returns the size of a row of cols weights. It panics when cols is not a multiple of the block length.
func (t Type) RowBytes(cols int) int {
	info := t.Info()
	if cols < 0 || cols%info.BlockLen != 0 {
		panic(fmt.Sprintf("BUG: quant: %d columns are not whole blocks of %s, which hold %d", cols, info.Name, info.BlockLen))
	}
	return cols / info.BlockLen * info.BlockBytes
}

// Parse returns the type with the given name, in upper or lower case.
func Parse(name string) (Type, bool) {
	for _, info := range infos {
		if strings.EqualFold(info.Name, name) {
			return info.Type, true
		}
	}
	return 0, false
}
