package models

import (
	"math"

	"github.com/weft-run/weft/kernels"
	"github.com/weft-run/weft/kernels/quant"
)

// norms is what DoRA (Liu et al., 2024) wants of each row of a changed weight W + s B A: its length is the root of
// |W|^2 + 2 s W(BA) + s^2 |BA|^2, so three sums serve any scale s. They are float64, each product rounded before it is added in the
// order of the inputs, so that every machine computes the same gains.
type norms struct {
	magnitude            []float32
	base, cross, lowRank []float64
}

// normRows is how many rows of a weight are decoded and multiplied together: they and A should fit the second-level cache.
const normRows = 4

// newNorms reads the weight, some rows after the others. Beside the sums it takes memory for A in float32 and for these rows.
func newNorms(w kernels.Tensor, p *packed, magnitude []float32, device Device) *norms {
	f := p.factors
	n := &norms{
		magnitude: append([]float32(nil), magnitude...),
		base:      make([]float64, f.Out), cross: make([]float64, f.Out), lowRank: make([]float64, f.Out),
	}
	a, gram := make([]float32, f.Rank*f.In), make([]float64, f.Rank*f.Rank) // gram: the products of the rows of A with each other
	device.Decode(quant.F16, a, f.A)
	device.MulFloats64(gram, f.Rank, a, a, f.In)
	rows, dots := make([]float32, normRows*f.In), make([]float64, normRows*f.Rank)
	b, panel := make([]float64, f.Rank), make([]float32, f.Rank*kernels.FactorPanel)
	size := w.Type.RowBytes(w.Cols)
	for first := 0; first < f.Out; first += normRows {
		if first%kernels.FactorPanel == 0 {
			device.Decode(quant.F16, panel, f.B[2*first*f.Rank:2*(first+kernels.FactorPanel)*f.Rank])
		}
		last := min(first+normRows, f.Out)
		some := rows[:(last-first)*f.In]
		device.Decode(w.Type, some, w.Data[first*size:last*size])
		device.MulFloats64(dots, f.Rank, a, some, f.In)
		for o := first; o < last; o++ {
			row := some[(o-first)*f.In:][:f.In]
			device.MulFloats64(n.base[o:o+1], 1, row, row, f.In)
			for k := range b {
				b[k] = float64(panel[k*kernels.FactorPanel+o%kernels.FactorPanel])
			}
			n.cross[o] = math.Ldexp(product(b, dots[(o-first)*f.Rank:]), -p.twos)
			n.lowRank[o] = math.Ldexp(form(b, gram), -2*p.twos)
		}
	}
	return n
}

// product is the sum of b[k] x[k], k ascending.
func product(b, x []float64) (sum float64) {
	for k, v := range b {
		sum += float64(v * x[k])
	}
	return sum
}

// form is the sum of b[k] b[l] gram[k][l], k and in it l ascending.
func form(b, gram []float64) (sum float64) {
	for k, v := range b {
		row := gram[k*len(b):][:len(b)]
		for l, u := range b {
			sum += float64(float64(v*u) * row[l])
		}
	}
	return sum
}

// gain is magnitude over length of each row at a scale. A row of length 0 has no direction and gets 0: its product is 0.
func (n *norms) gain(scale float32) []float32 {
	s := float64(scale)
	gain := make([]float32, len(n.base))
	for o := range gain {
		square := n.base[o] + float64(2*s*n.cross[o]) + float64(float64(s*s)*n.lowRank[o])
		if square > 0 {
			gain[o] = float32(float64(n.magnitude[o]) / math.Sqrt(square))
		}
	}
	return gain
}

// gains returns the gains of DoRA at a scale by target, nil where the adapter is not of DoRA. Those of the last scale are kept: requests
// rarely differ in it.
func (a *Adapter) gains(scale float32) [][]float32 {
	if !a.dora {
		return nil
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.gainsAt == nil || a.gainScale != scale {
		a.gainScale, a.gainsAt = scale, make([][]float32, len(a.parts))
		for i := range a.parts {
			if n := a.parts[i].norms; n != nil {
				a.gainsAt[i] = n.gain(float32(a.parts[i].scale * scale))
			}
		}
	}
	return a.gainsAt
}
