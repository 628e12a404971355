// Package ref owns the definition of every operation that Weft computes: plain Go whose results are exact to the bit,
// which every faster level must repeat (docs/numerics.md, version "numerics 1"). It knows no threads, pages or files and
// is not written for speed, though it is the fallback where a level has no function of its own.
//
// Three rules make the bits the same everywhere. Integer sums are exact, so their order is free. Every float32 sum has
// one stated order and uses exact.FMA32 or explicitly rounded products. Transcendental functions come from
// kernels/exact. A NaN is one class, not bits.
//
// Matrices are row-major. Weight rows are blocks in file order; activations are float32, or int8 with a scale per block
// (Quants). Functions write only to their destinations, allocate nothing and are safe for concurrent use.
package ref

import "github.com/weft-run/weft/kernels/quant"

// Version names the rules of this package. A change of any result needs a new one.
const Version = "numerics 1"

// Lanes is the number of virtual lanes of a float sum: element k belongs to lane k mod Lanes.
const Lanes = 16

// sumLanes adds the lanes in the one order in use: i and i+8, then i and i+4, i and i+2, i and i+1.
func sumLanes(lane *[Lanes]float32) float32 {
	for width := Lanes / 2; width > 0; width /= 2 {
		for i := range width {
			lane[i] += lane[i+width]
		}
	}
	return lane[0]
}

// Form is what a product reads of its activations.
type Form uint8

// The forms: float32 as they are, int8 in blocks of 32, int8 in super-blocks of 256.
const (
	Float Form = iota
	Blocks
	Supers
)

// BlockLen is the number of activations that share a scale.
func (f Form) BlockLen() int {
	if f == Supers {
		return 256
	}
	return 32
}

// FormOf returns the form in which products with weights of t read their activations.
func FormOf(t quant.Type) Form {
	switch t.Info().BlockLen {
	case 1:
		return Float
	case 32:
		return Blocks
	default:
		return Supers
	}
}
