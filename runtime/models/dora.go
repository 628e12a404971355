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

// newNorms reads the weight.
func newNorms(w kernels.Tensor, p *packed, magnitude []float32) *norms {
	f := p.factors
	n := &norms{
		magnitude: append([]float32(nil), magnitude...),
		base:      make([]float64, f.Out), cross: make([]float64, f.Out), lowRank: make([]float64, f.Out),
	}
	a, gram := make([]float32, f.Rank*f.In), make([]float64, f.Rank*f.Rank)
	quant.Decode(quant.F16, a, f.A)
	for k := range f.Rank {
		for l := range k + 1 {
			gram[k*f.Rank+l] = dot64(a[k*f.In:(k+1)*f.In], a[l*f.In:(l+1)*f.In])
			gram[l*f.Rank+k] = gram[k*f.Rank+l]
		}
	}
	row, b, panel := make([]float32, f.In), make([]float64, f.Rank), make([]float32, f.Rank*kernels.FactorPanel)
	size := w.Type.RowBytes(w.Cols)
	for o := range f.Out {
		if o%kernels.FactorPanel == 0 {
			quant.Decode(quant.F16, panel, f.B[2*o*f.Rank:2*(o+kernels.FactorPanel)*f.Rank])
		}
		quant.Decode(w.Type, row, w.Data[o*size:(o+1)*size])
		n.base[o] = dot64(row, row)
		for k := range b {
			b[k] = float64(panel[k*kernels.FactorPanel+o%kernels.FactorPanel])
			n.cross[o] += float64(b[k] * dot64(row, a[k*f.In:(k+1)*f.In]))
		}
		for k := range b {
			for l := range b {
				n.lowRank[o] += float64(float64(b[k]*b[l]) * gram[k*f.Rank+l])
			}
		}
		n.cross[o] = math.Ldexp(n.cross[o], -p.twos)
		n.lowRank[o] = math.Ldexp(n.lowRank[o], -2*p.twos)
	}
	return n
}

// dot64 is a float64 product in four sums, element i in sum i mod 4, which are added from the left.
func dot64(x, y []float32) float64 {
	var s [4]float64
	y = y[:len(x)]
	i := 0
	for ; i+4 <= len(x); i += 4 {
		s[0] += float64(float64(x[i]) * float64(y[i]))
		s[1] += float64(float64(x[i+1]) * float64(y[i+1]))
		s[2] += float64(float64(x[i+2]) * float64(y[i+2]))
		s[3] += float64(float64(x[i+3]) * float64(y[i+3]))
	}
	for ; i < len(x); i++ {
		s[i%4] += float64(float64(x[i]) * float64(y[i]))
	}
	return s[0] + s[1] + s[2] + s[3]
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
