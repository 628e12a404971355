package models

import (
	"fmt"
	"math"
	"runtime"
	"runtime/debug"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/weft-run/weft/kernels"
	"github.com/weft-run/weft/kernels/quant"
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

// normsMemory bounds what all processors together take, in bytes, to compute DoRA's norms; one alone takes what it needs.
const normsMemory = 64 << 20

// NewAdapter brings an adapter into the form that kernels read and binds it to a model, on all processors. Where DoRA wants the norms of the
// model's weights it reads them: a second or more for a large model. The error says which delta does not fit, or Is kernels.ErrFault.
func NewAdapter(m Model, spec *AdapterSpec, sums Sums) (*Adapter, error) {
	targets := m.Targets()
	numbers := make(map[string]int, len(targets))
	for i, t := range targets {
		numbers[t.Name] = i
	}
	if len(spec.Deltas) == 0 {
		return nil, invalid("the adapter changes nothing")
	}
	a := &Adapter{
		model: m, digest: spec.Digest, firstLayer: m.Config().Layers, invocation: slices.Clone(spec.Invocation),
		parts: make([]packed, len(targets)),
	}
	weights, readable := m.(interface {
		weight(target int) kernels.Tensor
	})
	changes := make([]*Delta, len(targets)) // by target
	largest := 1                            // bytes of a change's A in float32
	for i := range spec.Deltas {
		d := &spec.Deltas[i]
		number, ok := numbers[d.Target]
		if !ok {
			return nil, invalid("the adapter changes %q, which the model does not have", d.Target)
		}
		if changes[number] != nil {
			return nil, invalid("the adapter changes %q twice", d.Target)
		}
		if err := d.check(&targets[number]); err != nil {
			return nil, err
		}
		if a.dora = a.dora || d.Magnitude != nil; a.dora && !readable {
			return nil, unsupported("DoRA on this model")
		}
		changes[number] = d
		if d.Magnitude != nil {
			largest = max(largest, 4*len(d.A))
		}
	}
	problems := make([]error, len(changes)) // by target
	var next, faults atomic.Int64
	var workers sync.WaitGroup
	for range min(runtime.GOMAXPROCS(0), runtime.NumCPU(), len(spec.Deltas), max(1, normsMemory/largest)) {
		workers.Go(func() {
			defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
			defer func() {
				if r := recover(); r != nil {
					if _, fault := r.(interface{ Addr() uintptr }); !fault {
						panic(r)
					}
					faults.Add(1)
				}
			}()
			for {
				number := int(next.Add(1)) - 1
				if number >= len(changes) {
					return
				}
				if d := changes[number]; d != nil {
					if problems[number] = d.checkValues(); problems[number] != nil {
						continue
					}
					p := d.pack(&targets[number])
					if d.Magnitude != nil {
						p.norms = newNorms(weights.weight(number), &p, d.Magnitude, sums)
					}
					a.parts[number] = p
				}
			}
		})
	}
	if workers.Wait(); faults.Load() > 0 {
		return nil, fmt.Errorf("models: reading weights for an adapter: %w", kernels.ErrFault)
	}
	for i := range spec.Deltas { // the first that is wrong is told
		if err := problems[numbers[spec.Deltas[i].Target]]; err != nil {
			return nil, err
		}
	}
	for number, d := range changes {
		if d != nil {
			a.rank = max(a.rank, d.Rank)
			a.firstLayer = min(a.firstLayer, targets[number].Layer)
			a.bytes += a.parts[number].bytes()
		}
	}
	return a, nil
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

// checkValues says whether all numbers of d can be computed with.
func (d *Delta) checkValues() error {
	for _, list := range [...][]float32{d.A, d.B, d.Magnitude, d.Bias, {d.Scale}} {
		if most := magnitude(list); most-most != 0 {
			return invalid("the change of %q holds %v, which is no number that can be computed with", d.Target, most)
		}
	}
	return nil
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
// four-bit model reads.
func (d *Delta) pack(t *Target) packed {
	rows, cols := d.shape(t)
	f := &kernels.Factors{Rank: d.Rank, In: cols, Out: rows}
	twosA, twosB := headroom(d.A), headroom(d.B)
	up, upB := float32(math.Ldexp(1, twosA)), float32(math.Ldexp(1, twosB))
	f.A = make([]byte, 2*len(d.A))
	if t.Name == embedding {
		row := make([]float32, d.Rank)
		for id := range cols {
			for k := range row {
				row[k] = d.A[k*cols+id]
			}
			quant.PutF16(f.A[2*d.Rank*id:], row, up)
		}
	} else {
		quant.PutF16(f.A, d.A, up)
	}
	panels := (rows + kernels.FactorPanel - 1) / kernels.FactorPanel
	f.B = make([]byte, 2*panels*d.Rank*kernels.FactorPanel) // behind the last row zeros
	var column [kernels.FactorPanel]float32
	for p := range panels {
		first := p * kernels.FactorPanel
		part := column[:min(rows-first, len(column))]
		for k := range d.Rank {
			for i := range part {
				part[i] = d.B[(first+i)*d.Rank+k]
			}
			quant.PutF16(f.B[2*(p*d.Rank+k)*kernels.FactorPanel:], part, upB)
		}
	}
	return packed{factors: f, scale: d.Scale, twos: twosA + twosB, bias: slices.Clone(d.Bias)}
}

// headroom is the power of two by which values can grow so that the largest lies from 2^12 to 2^13; 0 where all are 0. It is bounded,
// so that the products of both factors stay far from the ends of float32.
func headroom(values []float32) int {
	most := magnitude(values)
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
