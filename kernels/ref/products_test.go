package ref_test

import (
	"math"
	"testing"

	"github.com/weft-run/weft/kernels/kerneltest"
	"github.com/weft-run/weft/kernels/quant"
	"github.com/weft-run/weft/kernels/ref"
)

// The limits of the definition's own error: |result - float64 result| is at most so many parts of the sum of the
// magnitudes of all products, for rows of 2048. The activations of quantized types are taken as quantized: what int8
// costs is the format's price, not the sum's.
const (
	limitFloat  = 6e-8 // 128 steps in each of 16 lanes; errors grow with the root of the steps
	limitBlocks = 1e-7 // 64 blocks, two roundings for each
	limitSupers = 5e-8 // 8 super-blocks
)

func TestErrorAgainstFloat64(t *testing.T) {
	const rows, cols = 64, 2048
	for _, typ := range quant.Computable() {
		t.Run(typ.String(), func(t *testing.T) {
			r := kerneltest.Rand()
			x := kerneltest.Floats(r, kerneltest.Normal, cols)
			w := kerneltest.Weights(r, typ, kerneltest.Normal, rows, cols)
			got := make([]float32, rows)
			form := ref.FormOf(typ)
			if form == ref.Float {
				ref.RowsFloat(typ, got, w, x)
				checkRows(t, typ, limitFloat, got, w, func(k int) float64 { return float64(x[k]) })
				return
			}
			limit := limitBlocks
			if form == ref.Supers {
				limit = limitSupers
			}
			q := kerneltest.Quants(x, 1, form.BlockLen())
			ref.RowsQuant(typ, got, w, &q)
			checkRows(t, typ, limit, got, w, func(k int) float64 {
				return float64(q.Q[k]) * float64(q.Scale[k/q.BlockLen])
			})
		})
	}
}

// checkRows holds each result against float64 sums of decoded weights times x.
func checkRows(t *testing.T, typ quant.Type, limit float64, got []float32, w []byte, x func(k int) float64) {
	t.Helper()
	size := len(w) / len(got)
	worst := 0.0
	for r, v := range got {
		weights := exactWeights(typ, w[r*size:(r+1)*size])
		var sum, magnitude float64
		for k, weight := range weights {
			p := weight * x(k)
			sum += p
			magnitude += math.Abs(p)
		}
		worst = max(worst, math.Abs(float64(v)-sum)/magnitude)
	}
	if worst > limit {
		t.Errorf("error %.3g of the sum of magnitudes, limit %.3g", worst, limit)
	}
	t.Logf("error %.3g", worst)
}

// exactWeights returns a row's weights without any rounding.
func exactWeights(typ quant.Type, w []byte) []float64 {
	info := typ.Info()
	var weights []float64
	for ; len(w) > 0; w = w[info.BlockBytes:] {
		if info.BlockLen == 1 {
			var v [1]float32
			quant.Decode(typ, v[:], w[:info.BlockBytes])
			weights = append(weights, float64(v[0]))
			continue
		}
		var b quant.Integers
		b.Unpack(typ, w[:info.BlockBytes])
		for i, q := range b.Q[:info.BlockLen] {
			weights = append(weights, float64(b.D)*float64(q)+float64(b.M)*float64(b.Mins[i/16]))
		}
	}
	return weights
}

// One and the same sum, by hand: only the stated order of lanes gives this result.
func TestDotOrder(t *testing.T) {
	a, b := make([]float32, 33), make([]float32, 33)
	set := func(k int, v float32) { a[k], b[k] = v, 1 }
	set(0, 1<<24)  // lane 0
	set(16, 1)     // lane 0 again: lost, 2^24 + 1 rounds to 2^24
	set(8, 1)      // lane 8 meets lane 0 first: lost too
	set(4, 2)      // lane 4 next: 2^24 + 2
	set(12, 1)     // lane 12 joins lane 4 before: 3, so 2^24 + 3 rounds to 2^24 + 4
	set(32, 0.125) // lane 0 a third time: lost
	if got, want := ref.Dot(a, b), float32(1<<24+4); got != want {
		t.Errorf("sum %v, want %v", got, want)
	}
	// A product is not rounded before it is added.
	c := float32(1 + 0x1p-12)
	if got, want := ref.Dot([]float32{1, 0, c}[:1], []float32{1}), float32(1); got != want {
		t.Errorf("product %v, want %v", got, want)
	}
	x := []float32{-1, 15: 0, 16: c}
	y := []float32{1, 15: 0, 16: c}
	if got, want := ref.Dot(x, y), float32(0x1p-11+0x1p-24); got != want {
		t.Errorf("fused sum %v, want %v", got, want)
	}
}

func TestQuantizeCases(t *testing.T) {
	nan, inf := float32(math.NaN()), float32(math.Inf(1))
	block := func(first ...float32) []float32 { return append(first, make([]float32, 32-len(first))...) }
	for _, c := range []struct {
		name  string
		x     []float32
		scale float32
		q     []int8
	}{
		{"zeros", block(), 0, []int8{0, 0}},
		{"negative zero", block(float32(math.Copysign(0, -1))), 0, []int8{0}},
		{"ones", block(1, -1), 1.0 / 127, []int8{127, -127}},
		{"half to even", block(127, 0.5, 1.5, 2.5, -0.5, -1.5, -2.5), 1, []int8{127, 0, 2, 2, 0, -2, -2}},
		{"too small to invert", block(1e-40, -1e-40), 0, []int8{0, 0}},
		{"the smallest that inverts", block(4e-37), 4e-37 / 127, []int8{127}},
		{"the largest", block(math.MaxFloat32, -math.MaxFloat32), math.MaxFloat32 / 127, []int8{127, -127}},
		{"infinite", block(1, inf), nan, []int8{0, 0}},
		{"negative infinite", block(-inf), nan, []int8{0}},
		{"not a number", block(1, nan), nan, []int8{0, 0}},
	} {
		t.Run(c.name, func(t *testing.T) {
			q := kerneltest.Quants(c.x, 1, 32)
			kerneltest.Equal(t, "scale", q.Scale, []float32{c.scale})
			var sum int16
			for i := range q.Q {
				var want int8
				if i < len(c.q) {
					want = c.q[i]
				}
				if q.Q[i] != want {
					t.Errorf("quant %d is %d, want %d", i, q.Q[i], want)
				}
				sum += int16(want)
			}
			if got := q.Sums[0] + q.Sums[1]; got != sum {
				t.Errorf("sum %d, want %d", got, sum)
			}
		})
	}
}

// A block that holds a NaN makes every result that reads it NaN, and no other.
func TestNaNStaysInItsBlock(t *testing.T) {
	x := kerneltest.Floats(kerneltest.Rand(), kerneltest.Normal, 64)
	x[40] = float32(math.NaN())
	q := kerneltest.Quants(append(x, make([]float32, 64)...), 2, 32)
	w := kerneltest.Weights(kerneltest.Rand(), quant.Q4_0, kerneltest.Normal, 1, 64)
	var got [1]float32
	bad, good := q.Rows(0, 1), q.Rows(1, 1)
	ref.RowsQuant(quant.Q4_0, got[:], w, &bad)
	if got[0] == got[0] {
		t.Errorf("result %v of a block with a NaN", got[0])
	}
	ref.RowsQuant(quant.Q4_0, got[:], w, &good)
	if got[0] != 0 {
		t.Errorf("result %v of zeros", got[0])
	}
}

// The panel forms are the row forms.
func TestPanels(t *testing.T) {
	for _, typ := range quant.Computable() {
		if ref.FormOf(typ) == ref.Float {
			continue
		}
		t.Run(typ.String(), func(t *testing.T) {
			unpack := func(p *ref.Panel, w []byte, rows, cols int) { ref.UnpackPanel(typ, p, w, rows, cols) }
			kerneltest.TestPanel(t, typ, unpack, func(dst []float32, stride int, p *ref.Panel, x *ref.Quants) {
				ref.MulPanel(dst, stride, p, x, typ.HasMinima())
			})
		})
	}
	for _, typ := range []quant.Type{quant.Q4_0, quant.Q4_1} {
		t.Run("nibbles of "+typ.String(), func(t *testing.T) {
			unpack := func(p *ref.Panel, w []byte, rows, cols int) { ref.UnpackNibbles(typ, p, w, rows, cols) }
			kerneltest.TestPanel(t, typ, unpack, func(dst []float32, stride int, p *ref.Panel, x *ref.Quants) {
				ref.MulNibbles(dst, stride, p, x, typ.HasMinima())
			})
		})
	}
}
