// Package kernels is the contract between models and the devices that compute them: weights as they lie in a file,
// activations, the key/value cache, and Backend, the closed set of operations. It holds no arithmetic (kernels/cpu
// does) and knows no model, file or request.
//
// Units: sizes are in elements unless a name says bytes; positions and counts are in tokens. Activations are float32,
// row-major, one row per token. Every operation is a mathematical statement about its arguments; how it is fused,
// tiled or spread over threads is the backend's own business and never shows in a result (docs/numerics.md).
package kernels

import "github.com/weft-run/weft/kernels/quant"

// Tensor is a weight matrix [Rows, Cols] where it lies: Rows outputs of Cols inputs each, blocks of Type in file
// order. A vector has Rows == 1. Data may be mapped from a file that others can truncate: only goroutines that survive a
// memory fault may read it.
type Tensor struct {
	Name string
	Type quant.Type
	Rows int
	Cols int
	Data []byte
}

// Buffer is float32 memory of a backend. Only the backend that made it can use it.
type Buffer interface {
	// Len is the size in float32 elements.
	Len() int
}

// Matrix is a view of a Buffer: Rows rows of Cols float32, row r starting at element First + r*Stride.
type Matrix struct {
	Buf    Buffer
	First  int
	Rows   int
	Cols   int
	Stride int
}

// NewMatrix returns the view of the first rows*cols elements of buf, rows lying one behind the other.
func NewMatrix(buf Buffer, rows, cols int) Matrix {
	return Matrix{Buf: buf, Rows: rows, Cols: cols, Stride: cols}
}

// Head returns the first n rows of m.
func (m Matrix) Head(n int) Matrix {
	m.Rows = n
	return m
}

// Projection is one product of Backend.Project: Dst = x * W^T + Bias.
type Projection struct {
	Dst  Matrix // [x.Rows, W.Rows]
	W    Tensor
	Bias *Tensor // float32 vector of W.Rows, or nil
	// LowRank changes W x before Bias is added, in this order. Changes of other rows than its own cost a row nothing.
	LowRank []LowRank
}

// Cache is paged key/value memory of a backend. Who owns which page is accounted by runtime/kvcache.
type Cache interface {
	Layout() CacheLayout
	// Discard gives the memory of pages back to the system: what they hold is lost, and they take room again from their next use on. No
	// operation may be using them.
	Discard(pages []int32)
	// Free gives the memory back. No operation may be using it.
	Free()
}

// Span is a run of consecutive rows of a batch that belong to one sequence.
type Span struct {
	First int     // first row in the batch
	Count int     // rows
	Pos   int     // absolute position of the first row; row i stands at Pos+i and sees positions 0 ... Pos+i
	Pages []int32 // page table of the sequence: position p is in page Pages[p/PageTokens]
}

// TileTokens is how many positions attention reads at a time, aligned to absolute position: of the pages before the tile in which the window of a span's
// first row begins, Attend reads none, and their places in Pages may hold anything.
const TileTokens = 64

// Attention is what models differ in when they attend.
type Attention struct {
	Scale   float32
	Window  int     // a row sees the last Window positions, its own included; 0: all
	SoftCap float32 // scores s become SoftCap * tanh(s / SoftCap); 0: they stay
}

// Sees is the position from which on the row at pos reads the cache: whole tiles are read, and what lies before the window in the first is masked.
func (a Attention) Sees(pos int) int {
	if a.Window == 0 {
		return 0
	}
	return max(0, pos+1-a.Window) &^ (TileTokens - 1)
}

// Pairing says which elements of a head RoPE rotates together.
type Pairing uint8

// The two pairings in use.
const (
	PairAdjacent Pairing = iota // (0,1), (2,3), ...: ggml's "norm" mode, Llama-family GGUF files
	PairHalves                  // (0,d/2), (1,d/2+1), ...: ggml's "neox" mode
)

// Backend is the closed set of operations that models are written in. All calls on one Backend come from one goroutine;
// several Backends of one device share its workers. Calls may run at once or be recorded: results are there, and faults are
// known, after Sync. Shapes are the caller's duty: a wrong one is a panic with the prefix BUG under the invariants tag
// and undefined otherwise. No operation allocates in the steady state. A test lists the methods; adding one needs an ADR.
type Backend interface {
	// NewBuffer returns n zeroed floats, freed with the Backend.
	NewBuffer(n int) Buffer
	// NewCache returns cache memory; pages cost resident memory from their first use on.
	NewCache(l CacheLayout) (Cache, error)
	// Write copies src, row after row, into dst. Read copies src, row after row, into dst.
	Write(dst Matrix, src []float32)
	Read(dst []float32, src Matrix)

	// Embed sets row i of dst to row ids[i] of table, decoded to float32, and then changes it.
	Embed(dst Matrix, table Tensor, ids []int32, changes []LowRank)
	// RMSNorm sets dst = x / sqrt(mean(x^2) + eps) * weight, row by row (Zhang and Sennrich, 2019). dst may be x.
	RMSNorm(dst, x Matrix, weight Tensor, eps float32)
	// Project computes every product in out of the same x.
	Project(x Matrix, out []Projection)
	// RotaryAngles sets row i of dst [len(positions), 2*len(freqs)] to cos then sin of positions[i]*freqs[k], times scale.
	RotaryAngles(dst Matrix, positions []int32, freqs []float64, scale float32)
	// Rotate turns the first 2*len(freqs) elements of each head of x by the angles of its row, in place (Su et al., 2021).
	Rotate(x, angles Matrix, headDim int, pairing Pairing)
	// StoreKV writes row i of k and v [rows, KVHeads*HeadDim] to slot slots[i] (page*PageTokens + offset) of a layer.
	StoreKV(c Cache, layer int, k, v Matrix, slots []int32)
	// Attend computes causal grouped-query attention: dst = softmax(scale * q K^T) V for each head of each row of spans.
	// q and dst are [rows, heads*HeadDim]; query head h uses key/value head h*KVHeads/heads.
	Attend(dst, q Matrix, c Cache, layer int, spans []Span, how Attention)
	// CopyPage sets a page of a cache, in all layers, to another.
	CopyPage(c Cache, from, to int32)
	// ReadPage copies a page of a cache, in all layers, into dst, and WritePage copies src into a page: Layout().PageBytes bytes in
	// the order that PageFormat names, whatever the backend's own is.
	ReadPage(dst []byte, c Cache, page int32)
	WritePage(c Cache, page int32, src []byte)
	// SiluMul sets dst = silu(gate) * up, element by element. dst may be gate or up.
	SiluMul(dst, gate, up Matrix)
	// Add sets dst = dst + x.
	Add(dst, x Matrix)
	// GatherRows sets row i of dst to row rows[i] of x.
	GatherRows(dst, x Matrix, rows []int32)

	// Sync waits until all is done and returns the first fault since the last Sync: an error that Is ErrFault when mapped
	// weights could not be read. Results are undefined after a fault.
	Sync() error
	// Close frees every Buffer. Caches are freed by their owner.
	Close()
}
