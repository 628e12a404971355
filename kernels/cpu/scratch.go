package cpu

import "github.com/weft-run/weft/kernels/ref"

// scratch is a worker's own memory. It grows to what the operations need and is then kept, so a steady state allocates
// nothing.
type scratch struct {
	panel  ref.Panel
	view   ref.Quants // what a kernel reads of the activations; here because it would escape from a local variable
	floats []float32  // weights decoded to float32, one panel
	tile   []float32  // results of a panel of which the matrix has not all rows
	keys   []float32  // a tile of keys, across: [HeadDim][ref.Tile]
	values []float32  // a tile of values: [ref.Tile][HeadDim]
	halves []uint16   // one row of keys or values
	blocks []byte     // one row of keys, quantized
	weight []float32  // a vector of weights decoded to float32
	spans  []span     // what a product of few rows asks for
	late   []int      // chunks of a product that want their changes yet
	// Of attention, for each query of a unit: the softmax and the sums over one stretch, then over all yet.
	states, totals []ref.Softmax
	sums, outputs  []float32
	queries, probs []float32 // the queries of a unit, [queries][HeadDim], and their weights of a tile, [queries][ref.Tile]
	corrections    []float32
	pagedTiles     [2]ref.PagedTile // the tile that is met where it lies, and the one after it
	direct         bool             // it is, and not as float32
	next, nextEnd  int              // positions of the next tile whose memory has not been asked for yet
}

// span is memory from an address to another. It keeps nothing alive.
type span = [2]uintptr

// grow returns s with length n, reallocated when its capacity is less. What it held is lost then.
func grow[T any](s []T, n int) []T {
	if cap(s) < n {
		s = make([]T, n)
	}
	return s[:n]
}
