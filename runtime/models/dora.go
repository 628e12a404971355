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

// newNorms reads the weight, one row after the other. Beside the sums it takes memory for A in float64 and for one row.
func newNorms(w kernels.Tensor, p *packed, magnitude []float32) *norms {
	f := p.factors
	n := &norms{
		magnitude: append([]float32(nil), magnitude...),
		base:      make([]float64, f.Out), cross: make([]float64, f.Out), lowRank: make([]float64, f.Out),
	}
	a := newPairs(f)
	gram := a.gram()
	values, row := make([]float32, f.In), make([]float64, (f.In+3)/4*4)
	b, dots, panel := make([]float64, f.Rank), make([]float64, f.Rank+1), make([]float32, f.Rank*kernels.FactorPanel)
	size := w.Type.RowBytes(w.Cols)
	for o := range f.Out {
		if o%kernels.FactorPanel == 0 {
			quant.Decode(quant.F16, panel, f.B[2*o*f.Rank:2*(o+kernels.FactorPanel)*f.Rank])
		}
		quant.Decode(w.Type, values, w.Data[o*size:(o+1)*size])
		for i, x := range values {
			row[i] = float64(x)
		}
		n.base[o] = square(row)
		a.dots(dots, row)
		for k := range b {
			b[k] = float64(panel[k*kernels.FactorPanel+o%kernels.FactorPanel])
			n.cross[o] += float64(b[k] * dots[k])
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

// pairs is the rows of A in float64, two and two: four values of the first, four of the second, the next four of the first. Zeros fill
// what is missing of four values and of two rows; they change no sum.
//
// Each product of two float32 is exact in float64. So it is the same whether a compiler fuses it with the addition or not, and only the
// order of the additions is to be kept: four sums, element i in sum i mod 4, which are added from the left.
type pairs struct {
	rank, size int // size: values of a pair
	values     []float64
}

func newPairs(f *kernels.Factors) *pairs {
	a := &pairs{rank: f.Rank, size: (f.In + 3) / 4 * 8}
	a.values = make([]float64, (f.Rank+1)/2*a.size)
	row := make([]float32, f.In)
	for k := range f.Rank {
		quant.Decode(quant.F16, row, f.A[2*k*f.In:2*(k+1)*f.In])
		to := a.values[k/2*a.size+k%2*4:]
		for i, x := range row {
			to[i/4*8+i%4] = float64(x)
		}
	}
	return a
}

// gram is the products of the rows with each other, [rank, rank].
func (a *pairs) gram() []float64 {
	gram, row, dots := make([]float64, a.rank*a.rank), make([]float64, a.size/2), make([]float64, a.rank+1)
	for k := range a.rank {
		from := a.values[k/2*a.size+k%2*4:]
		for i := range row {
			row[i] = from[i/4*8+i%4]
		}
		a.dots(dots, row)
		copy(gram[k*a.rank:], dots[:a.rank])
	}
	return gram
}

// dots sets each of to, which has room for one more, to the product of a row of A with x, whose length is whole fours.
func (a *pairs) dots(to, x []float64) {
	for k := 0; k < a.rank; k += 2 {
		pair := a.values[k/2*a.size:][:2*len(x)]
		var s0, s1, s2, s3, t0, t1, t2, t3 float64
		for i := 0; i+4 <= len(x) && 2*i+8 <= len(pair); i += 4 {
			u, v := (*[4]float64)(x[i:]), (*[8]float64)(pair[2*i:])
			s0 += u[0] * v[0]
			s1 += u[1] * v[1]
			s2 += u[2] * v[2]
			s3 += u[3] * v[3]
			t0 += u[0] * v[4]
			t1 += u[1] * v[5]
			t2 += u[2] * v[6]
			t3 += u[3] * v[7]
		}
		to[k], to[k+1] = s0+s1+s2+s3, t0+t1+t2+t3
	}
}

// square is the product of x, whose length is whole fours, with itself.
func square(x []float64) float64 {
	var s0, s1, s2, s3 float64
	for i := 0; i+4 <= len(x); i += 4 {
		u := (*[4]float64)(x[i:])
		s0 += u[0] * u[0]
		s1 += u[1] * u[1]
		s2 += u[2] * u[2]
		s3 += u[3] * u[3]
	}
	return s0 + s1 + s2 + s3
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
