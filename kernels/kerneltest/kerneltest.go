// Package kerneltest owns the differential tests of kernels: each function here holds one function of a level against
// the one of kernels/ref that it must repeat to the bit. It knows no backend and no assembly.
//
// Every length up to two blocks and then some is tried, operands shift through memory so that alignment varies, guard
// zones around destinations must stay intact, and values include subnormals, infinities and NaN (which are one class).
// Test support only: no product code imports it.
package kerneltest

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/weft-run/weft/kernels/quant"
)

// Rand returns the generator that all inputs of a test come from.
func Rand() *rand.Rand { return rand.New(rand.NewPCG(20240229, 1)) }

// Same says whether two results are the same: the same bits, or both NaN.
func Same(a, b float32) bool {
	return math.Float32bits(a) == math.Float32bits(b) || a != a && b != b
}

// Equal fails the test at the first element in which two results differ.
func Equal(t testing.TB, what string, got, want []float32) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("%s: %d elements, want %d", what, len(got), len(want))
	}
	for i := range got {
		if !Same(got[i], want[i]) {
			t.Fatalf("%s: element %d of %d is %g (%#08x), want %g (%#08x)", what, i, len(got),
				got[i], math.Float32bits(got[i]), want[i], math.Float32bits(want[i]))
		}
	}
}

// equal is Equal for integers.
func equal[T int8 | int16 | int32 | uint8 | uint16](t testing.TB, what string, got, want []T) {
	t.Helper()
	for i := range want {
		if got[i] != want[i] {
			t.Fatalf("%s: element %d of %d is %d, want %d", what, i, len(want), got[i], want[i])
		}
	}
}

// guard is the number of elements before and behind a destination that must not change.
const guard = 64

// Guarded returns n elements that begin offset elements after an aligned place, and a function that fails the test when
// something around them was written.
func Guarded[T comparable](n, offset int, mark T) (s []T, check func(t testing.TB, what string)) {
	all := make([]T, offset+guard+n+guard)
	for i := range all {
		all[i] = mark
	}
	first := offset + guard
	return all[first : first+n : first+n], func(t testing.TB, what string) {
		t.Helper()
		for i, v := range all {
			if (i < first || i >= first+n) && v != mark {
				t.Fatalf("%s: element %d, outside of 0 to %d, was written", what, i-first, n-1)
			}
		}
	}
}

// mark fills guards of floats.
const mark = float32(12345.678)

// shift returns a copy of s that begins offset elements after an aligned place.
func shift[T any](s []T, offset int) []T {
	all := make([]T, offset+len(s))
	return all[offset : offset+copy(all[offset:], s)]
}

// Kind is a distribution of test values.
type Kind int

// The kinds: normal; of all magnitudes, subnormals and zeros of both signs included; with a few NaN and infinities; and
// zeros in long runs.
const (
	Normal Kind = iota
	Wild
	Broken
	Sparse
)

func (k Kind) String() string {
	return [...]string{"normal", "wild", "broken", "sparse"}[k]
}

// Kinds returns all kinds, or two under -short.
func Kinds() []Kind {
	if testing.Short() {
		return []Kind{Normal, Broken}
	}
	return []Kind{Normal, Wild, Broken, Sparse}
}

// Floats returns n values of a kind.
func Floats(r *rand.Rand, k Kind, n int) []float32 {
	s := make([]float32, n)
	for i := range s {
		v := float32(r.NormFloat64())
		switch {
		case k == Wild:
			v = float32(math.Ldexp(float64(v), r.IntN(290)-150))
			if r.IntN(16) == 0 {
				v = float32(math.Copysign(0, float64(v)))
			}
			if math.IsInf(float64(v), 0) {
				v = 1
			}
		case k == Broken && r.IntN(max(n, 8)) == 0:
			v = [...]float32{float32(math.NaN()), float32(math.Inf(1)), float32(math.Inf(-1)), math.MaxFloat32}[r.IntN(4)]
		case k == Sparse && i/32%2 == 0:
			v = 0
		}
		s[i] = v
	}
	return s
}

// Weights returns rows of weights of type t. Of quantized types the bytes are random, so that every code occurs, with
// scales that are finite unless k is Broken.
func Weights(r *rand.Rand, t quant.Type, k Kind, rows, cols int) []byte {
	info := t.Info()
	w := make([]byte, rows*t.RowBytes(cols))
	if info.BlockLen == 1 {
		quant.Encode(t, w, Floats(r, k, rows*cols))
		return w
	}
	for i := range w {
		w[i] = byte(r.Uint32())
	}
	if k == Broken {
		return w
	}
	for b := 0; b < len(w); b += info.BlockBytes {
		for _, at := range halvesIn(t) {
			h := quant.F32ToF16(float32(r.NormFloat64()) / 64)
			w[b+at], w[b+at+1] = byte(h), byte(h>>8)
		}
		if t == quant.MXFP4 {
			w[b] = byte(100 + r.IntN(40))
		}
	}
	return w
}

// halvesIn returns where the halves of a block of t are.
func halvesIn(t quant.Type) []int {
	switch t {
	case quant.Q4_0, quant.Q5_0, quant.Q8_0, quant.IQ4_NL, quant.IQ4_XS:
		return []int{0}
	case quant.Q4_1, quant.Q5_1, quant.Q4_K, quant.Q5_K:
		return []int{0, 2}
	case quant.Q2_K:
		return []int{80, 82}
	case quant.Q3_K:
		return []int{108}
	case quant.Q6_K:
		return []int{208}
	case quant.MXFP4:
		return nil
	}
	panic(fmt.Sprintf("BUG: kerneltest: %s has no blocks", t))
}
