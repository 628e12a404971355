// Package quant owns the block formats of GGUF tensors: their ids, names and sizes, and the reference encoding and
// decoding of each. It does no arithmetic on activations and knows no file.
//
// A block is a unit of quantization: BlockLen consecutive weights of one row in BlockBytes bytes. Layouts follow
// ggml's quantization formats as the gguf Python package reads them; all values are little-endian.
// Functions are pure and safe for concurrent use.
package quant

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
