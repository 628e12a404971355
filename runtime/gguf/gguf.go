// Package gguf owns the GGUF file format: it reads, checks, maps and writes model files and split sets. It does not know
// what a key or a tensor means; runtime/tokenizer, runtime/models and runtime/chat do.
//
// Reading is strict and comes before any allocation: every count, length, dimension, offset and product is checked
// against the file's size and against Limits, and the error names the key or tensor, the value, the limit and the offset
// in the file. Metadata is copied to the heap. Tensors stay where they lie, in a read-only mapping shared with the page
// cache, and are read without a copy.
//
// Units: sizes, offsets and lengths are bytes; dimensions are elements, in ggml's order (Dims[0] is the row length).
// Everything read is little-endian. A File is immutable and safe for concurrent reads; whoever opened it closes it,
// after the last reader of its tensors is done.
//
// A mapped file can be truncated by others. Reading a tensor then faults, so only goroutines that set
// debug.SetPanicOnFault and recover may touch the bytes that Data returns.
package gguf

import "github.com/weft-run/weft/kernels/quant"

const (
	magic = "GGUF"
	// Version is the version that Write gives a file. Version 2 has the same layout and is read too.
	Version = 3
	// DefaultAlignment is the alignment of tensors in a file that does not name one.
	DefaultAlignment = 32
	// maxDims is how many dimensions a tensor of ggml can have.
	maxDims = 4
)

// Keys of the container itself, which this package interprets. All other keys are its readers' affair.
const (
	keyAlignment    = "general.alignment"
	keySplitNo      = "split.no"
	keySplitCount   = "split.count"
	keySplitTensors = "split.tensors.count"
)

// TensorInfo describes one tensor of a file.
type TensorInfo struct {
	Name string
	Type quant.Type
	// Dims holds 1 to 4 dimensions; Dims[0] is the row length.
	Dims []uint64
	// Offset is relative to the start of the tensor data of its shard. Bytes is the size without padding.
	Offset, Bytes uint64
	// Shard is the index of the file in a split set, 0 for a model of one file.
	Shard int
}

// Elements is the product of the dimensions.
func (t TensorInfo) Elements() uint64 {
	n := uint64(1)
	for _, d := range t.Dims {
		n *= d
	}
	return n
}

// Header is everything that stands before the tensor data of one file.
type Header struct {
	Version   uint32
	Alignment uint64
	Meta      Metadata
	Tensors   []TensorInfo
	// DataOffset is where the tensor data starts, a multiple of Alignment. A file without tensors may end before it.
	DataOffset int64
	// Size is the size of the whole file.
	Size int64
	// Digest is the sha256, in hex, of all bytes before the padding in front of the tensor data.
	Digest string
	// SplitNo and SplitCount are the place of the file in a split set; SplitCount is 0 for a file that is a model by itself.
	SplitNo, SplitCount int
	// SplitTensors is the number of tensors of the whole split set.
	SplitTensors int
}
