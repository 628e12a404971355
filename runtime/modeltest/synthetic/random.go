package synthetic

import (
	"io"
	"math/rand/v2"

	"github.com/weft-run/weft/kernels/quant"
)

// Normal returns n numbers around center whose standard deviation is spread; seed and name choose them. They are sums of
// four uniform ones: close to a normal distribution and, unlike one made with a logarithm, the same bits everywhere.
func Normal(seed uint64, name string, n int, center, spread float32) []float32 {
	rng := stream(seed, name)
	// A uniform number on 16 bits has a variance of 2^32/12.
	const unit = 1.7320508 / (2 * 65536)
	numbers := make([]float32, n)
	for i := range numbers {
		bits, sum := rng.Uint64(), int32(-2*65535)
		for range 4 {
			sum += int32(bits & 0xffff)
			bits >>= 16
		}
		numbers[i] = center + float32(spread*float32(float32(sum)*(2*unit)))
	}
	return numbers
}

// stream returns random bits of their own for each name.
func stream(seed uint64, name string) *rand.PCG {
	hash := uint64(14695981039346656037) // FNV-1a
	for i := range len(name) {
		hash = (hash ^ uint64(name[i])) * 1099511628211
	}
	return rand.NewPCG(seed, hash)
}

// A matrix is a random sequence of pieces of pieceWeights weights, drawn from a pool that is encoded once for each type and
// row length. Encoding every weight would take a hundred times as long as writing; random bytes in place of encoded ones would
// need to know each format's scales and would spread its weights unlike any model's.
const (
	poolPieces   = 1 << 10
	pieceWeights = 256 // whole blocks of every type
)

type pool struct {
	data  []byte // poolPieces pieces
	piece int    // bytes
}

type poolKey struct {
	typ  quant.Type
	cols int
}

type pools map[poolKey]pool

// of returns the pool for matrices with rows of cols weights.
func (p pools) of(seed uint64, typ quant.Type, cols int) pool {
	key := poolKey{typ, cols}
	found, ok := p[key]
	if !ok {
		found = pool{data: make([]byte, poolPieces*typ.RowBytes(pieceWeights)), piece: typ.RowBytes(pieceWeights)}
		quant.Encode(typ, found.data, Normal(seed, "pieces", poolPieces*pieceWeights, 0, spread(cols)))
		p[key] = found
	}
	return found
}

// write writes size bytes of pieces. The last one is cut off at the end of a block.
func (p pool) write(w io.Writer, seed uint64, name string, size int) error {
	rng := stream(seed, name)
	for size > 0 {
		at := int(rng.Uint64()%poolPieces) * p.piece
		n, err := w.Write(p.data[at : at+min(p.piece, size)])
		if err != nil {
			return err
		}
		size -= n
	}
	return nil
}
