// Package safetensors owns the safetensors file format: it reads and checks headers under limits of its own, and writes files. It does
// not know what a tensor means, and leaves the reading of its bytes to whoever does; kernels/quant decodes them.
//
// A file is
//
//	8 bytes    length of the header, little-endian
//	header     one JSON object: tensor name -> {"dtype", "shape", "data_offsets"}, and "__metadata__": text -> text; padded by spaces
//	data       the tensors, one behind the other without holes
//
// Reading is strict and comes before any allocation that the file could ask for: the error names the tensor, the value, the limit
// and, where it helps, what to do. Nothing is mapped: files are read by read calls, so that one that is cut meanwhile gives an
// error and not a fault. Offsets need no alignment, as whoever reads decodes to the heap; what is written is aligned.
//
// Units: sizes and offsets are bytes, offsets from the beginning of the data; shapes are elements, the row length last.
package safetensors

import (
	"fmt"

	"github.com/weft-run/weft/kernels/quant"
)

// DType is the type of a tensor's elements, as the format spells it.
type DType string

// The types that are decoded and written.
const (
	F32  DType = "F32"
	F16  DType = "F16"
	BF16 DType = "BF16"
)

// dtypeBits is the size of an element of each type that the format knows.
var dtypeBits = map[DType]uint64{
	"BOOL": 8, "U8": 8, "I8": 8, "F8_E4M3": 8, "F8_E5M2": 8, "F8_E8M0": 8, "F4": 4, "F6_E2M3": 6, "F6_E3M2": 6,
	"U16": 16, "I16": 16, F16: 16, BF16: 16, "U32": 32, "I32": 32, F32: 32, "U64": 64, "I64": 64, "F64": 64, "C64": 64,
}

// Quant is the type as kernels/quant decodes it; false for those that are known and not decoded.
func (t DType) Quant() (quant.Type, bool) {
	switch t {
	case F32:
		return quant.F32, true
	case F16:
		return quant.F16, true
	case BF16:
		return quant.BF16, true
	}
	return 0, false
}

// Tensor describes one tensor of a file.
type Tensor struct {
	Name  string
	Type  DType
	Shape []uint64 // no dimension is 0; a scalar has none
	// Offset and Bytes are where it lies in the data.
	Offset, Bytes uint64
}

// Elements is the product of the dimensions.
func (t Tensor) Elements() uint64 {
	n := uint64(1)
	for _, d := range t.Shape {
		n *= d
	}
	return n
}

func (t Tensor) String() string { return fmt.Sprintf("tensor %q (%s %d)", t.Name, t.Type, t.Shape) }

// Header is what stands before the data of a file, checked.
type Header struct {
	Tensors    []Tensor // in the order in which they lie in the file
	Metadata   map[string]string
	DataOffset int64 // where the data begins in the file
	Size       int64 // of the whole file
}

// Limits bounds what a header may ask for. They are far above any adapter in use.
type Limits struct {
	HeaderBytes   uint64
	Tensors       int
	NameBytes     int
	Dims          int // of one tensor
	MetadataBytes int // all of __metadata__
}

// DefaultLimits are the limits for files from anywhere.
func DefaultLimits() Limits {
	return Limits{HeaderBytes: 16 << 20, Tensors: 1 << 16, NameBytes: 512, Dims: 8, MetadataBytes: 1 << 20}
}
