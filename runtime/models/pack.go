package models

import (
	"math"
	"slices"
	"sync"

	"github.com/weft-run/weft/kernels"
)

// maxRank bounds the rank of an adapter, far above every one in use.
const maxRank = 1 << 10

// Adapter is an adapter bound to one loaded model, in the form that kernels read: about two bytes for each value of its factors. It is
// immutable; what it remembers of the last scale is guarded. It keeps nothing of the model's file in use but, through the model, the
// mapping: it must not be used after the model's file was closed.
type Adapter struct {
	model      Model
	digest     string
	rank       int // the largest
	bytes      int64
	firstLayer int
	invocation []int32
	dora       bool
	parts      []packed // by target

	mu        sync.Mutex // guards what follows
	gainScale float32
	gainsAt   [][]float32 // of gainScale; nil: not computed yet
}

// packed is what an adapter changes of one target.
type packed struct {
	factors *kernels.Factors // nil: nothing
	scale   float32
	twos    int // factors are larger by 2^twos than the adapter's
	bias    []float32
	norms   *norms
}

// at is the scale of the kernels for the scale of a use.
func (p *packed) at(scale float32) float32 {
	return float32(math.Ldexp(float64(p.scale*scale), -p.twos))
}

// check says whether d fits t, whatever its values are.
func (d *Delta) check(t *Target) error {
	rows, cols := d.shape(t)
	if d.Rank < 0 || d.Rank > maxRank {
		return invalid("the change of %q has rank %d, want 1 to %d", d.Target, d.Rank, maxRank)
	}
	if d.Rank == 0 && d.Bias == nil {
		return invalid("the change of %q has neither factors nor a bias", d.Target)
	}
	if len(d.A) != d.Rank*cols || len(d.B) != d.Rank*rows { // within an int: maxRank times a vocabulary
		return invalid("the change of %q has factors of %d and %d values, want %d and %d (rank %d, %d outputs, %d inputs)",
			d.Target, len(d.A), len(d.B), d.Rank*cols, d.Rank*rows, d.Rank, rows, cols)
	}
	if d.Magnitude != nil && t.Name == embedding {
		return unsupported("the change of %q is of DoRA; DoRA is computed for products only", d.Target)
	}
	for _, v := range [...]struct {
		name   string
		values []float32
	}{{"magnitude", d.Magnitude}, {"bias", d.Bias}} {
		if v.values != nil && len(v.values) != rows {
			return invalid("the %s of %q has %d values, want %d", v.name, d.Target, len(v.values), rows)
		}
	}
	return nil
}

// most returns the largest magnitudes of A and of B. It refuses numbers that cannot be computed with.
func (d *Delta) most() (a, b float32, err error) {
	a, b = magnitude(d.A), magnitude(d.B)
	for _, most := range [...]float32{a, b, magnitude(d.Magnitude), magnitude(d.Bias), magnitude([]float32{d.Scale})} {
		if most-most != 0 {
			return 0, 0, invalid("the change of %q holds %v, which is no number that can be computed with", d.Target, most)
		}
	}
	return a, b, nil
}

// embedding is the target whose inputs are ids.
const embedding = "token_embd"

// shape is the outputs and inputs of d: those of the target, but for the embedding, which is looked up by row.
func (d *Delta) shape(t *Target) (outputs, inputs int) {
	if t.Name == embedding {
		return t.Cols, t.Rows
	}
	return t.Rows, t.Cols
}

// pack rounds the factors to halves, at the power of two that brings the largest value of each near the top of their range: halves
// under 2^-14 lose bits, and trained values often are that small. A and B as they are used never lie far from 1 in sum, as LowRank.Scale
// takes the powers back.
//
// Halves and not int8: they hold what was trained, BF16 in full and float32 to 2^-12, and at rank 16 they are 4 % of what a step of a
// four-bit model reads. mostA and mostB are the largest magnitudes of A and of B.
func (d *Delta) pack(t *Target, mostA, mostB float32, device Device) packed {
	rows, cols := d.shape(t)
	f := &kernels.Factors{Rank: d.Rank, In: cols, Out: rows}
	twosA, twosB := headroom(mostA), headroom(mostB)
	up, upB := float32(math.Ldexp(1, twosA)), float32(math.Ldexp(1, twosB))
	f.A = make([]byte, 2*len(d.A))
	if t.Name == embedding {
		row := make([]float32, d.Rank)
		for id := range cols {
			for k := range row {
				row[k] = d.A[k*cols+id] * up
			}
			device.PutF16(f.A[2*d.Rank*id:], row)
		}
	} else {
		row := make([]float32, cols)
		for k := range d.Rank {
			for i, x := range d.A[k*cols:][:cols] {
				row[i] = x * up
			}
			device.PutF16(f.A[2*k*cols:], row)
		}
	}
	panels := (rows + kernels.FactorPanel - 1) / kernels.FactorPanel
	f.B = make([]byte, 2*panels*d.Rank*kernels.FactorPanel) // behind the last row zeros
	panel := make([]float32, d.Rank*kernels.FactorPanel)
	for p := range panels {
		first := p * kernels.FactorPanel
		if rows-first < kernels.FactorPanel {
			clear(panel)
		}
		for i := range min(rows-first, kernels.FactorPanel) {
			for k, x := range d.B[(first+i)*d.Rank:][:d.Rank] {
				panel[k*kernels.FactorPanel+i] = x * upB
			}
		}
		device.PutF16(f.B[2*p*len(panel):], panel)
	}
	return packed{factors: f, scale: d.Scale, twos: twosA + twosB, bias: slices.Clone(d.Bias)}
}

// headroom is the power of two by which values can grow so that the largest, of magnitude most, lies from 2^12 to 2^13; 0 where all are 0. It
// is bounded, so that the products of both factors stay far from the ends of float32.
func headroom(most float32) int {
	if most == 0 {
		return 0
	}
	_, exponent := math.Frexp(float64(most)) // most is 0.5 to 1 times 2^exponent
	return min(13-exponent, 40)
}

// magnitude is the largest of the values' magnitudes: infinite or not a number where one of them is.
func magnitude(values []float32) float32 {
	const sign = 1 << 31
	var a, b, c, d uint32 // four chains of comparisons, as each waits for the one before it
	for len(values) >= 4 {
		a = max(a, math.Float32bits(values[0])&^sign) // in the order of the magnitudes, NaN behind all
		b = max(b, math.Float32bits(values[1])&^sign)
		c = max(c, math.Float32bits(values[2])&^sign)
		d = max(d, math.Float32bits(values[3])&^sign)
		values = values[4:]
	}
	for _, x := range values {
		a = max(a, math.Float32bits(x)&^sign)
	}
	return math.Float32frombits(max(a, b, c, d))
}

func (p *packed) bytes() int64 {
	n := len(p.factors.A) + len(p.factors.B) + 4*len(p.bias)
	if p.norms != nil {
		n += (3*8 + 2*4) * p.factors.Out // the sums, the magnitude, and the gains of one scale
	}
	return int64(n)
}

// Digest is the sha256 of the adapter's files.
func (a *Adapter) Digest() string { return a.digest }

// Bytes is the memory that the adapter takes.
func (a *Adapter) Bytes() int64 { return a.bytes }

// Rank is the largest rank of its changes.
func (a *Adapter) Rank() int { return a.rank }

// FirstLayer is the first layer whose keys and values it changes; the number of layers where it changes none. Below it they are the base's.
func (a *Adapter) FirstLayer() int { return a.firstLayer }

// Invocation are the tokens at whose last occurrence in a prompt it begins to change anything; nil: it changes all tokens.
func (a *Adapter) Invocation() []int32 { return a.invocation }

// start is the position from which on the adapter changes a sequence: 0, the start of the last invocation in its prompt, or -1, never.
func (a *Adapter) start(prompt []int32) int {
	if len(a.invocation) == 0 {
		return 0
	}
	for i := len(prompt) - len(a.invocation); i >= 0; i-- {
		if slices.Equal(prompt[i:i+len(a.invocation)], a.invocation) {
			return i
		}
	}
	return -1
}
