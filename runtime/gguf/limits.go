package gguf

// Limits bounds what a header may ask for. They are far above any model in use and far below what would hurt a small
// machine; a file beyond one is refused with ErrFormat before anything is allocated for it.
type Limits struct {
	Keys       uint64 // key/value pairs
	Tensors    uint64 // tensors of one file
	KeyBytes   uint64 // length of a key
	NameBytes  uint64 // length of a tensor name
	TextBytes  uint64 // length of one string value
	ArrayLen   uint64 // elements of one array
	ArrayDepth int    // arrays inside arrays; 1 is an array of scalars or strings
	HeapBytes  uint64 // memory for all metadata and tensor descriptions of one file
	Alignment  uint64 // alignment of tensors
	FileBytes  uint64 // extents of one file
	Shards     uint64 // files of a split set
}

// DefaultLimits are the limits for files from anywhere.
func DefaultLimits() Limits {
	return Limits{
		Keys:       1 << 16,
		Tensors:    1 << 17,
		KeyBytes:   1<<16 - 1,
		NameBytes:  255,
		TextBytes:  16 << 20,
		ArrayLen:   1 << 22,
		ArrayDepth: 4,
		HeapBytes:  256 << 20,
		Alignment:  1 << 20,
		FileBytes:  1 << 46,
		Shards:     4096,
	}
}
