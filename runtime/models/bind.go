package models

import (
	"fmt"
	"runtime"
	"runtime/debug"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/weft-run/weft/kernels"
	"github.com/weft-run/weft/kernels/quant"
)

// normsMemory bounds what all changes that are added at once take, in bytes, to compute DoRA's norms; one alone takes what it needs.
const normsMemory = 64 << 20

// Device computes what is wanted to bind adapters, on any goroutine and beside the device's steps.
type Device interface {
	// MulFloats64 sets dst[t*stride+r] to the product in float64 of row t of x and row r of w, of cols columns each (docs/numerics.md, "Adapters").
	MulFloats64(dst []float64, stride int, w, x []float32, cols int)
	// Decode sets dst to the values of src: quant.Decode.
	Decode(t quant.Type, dst []float32, src []byte)
	// PutF16 writes the halves nearest to from's values, little-endian: 2*len(from) bytes.
	PutF16(to []byte, from []float32)
	// Calm says that such work is over, which may have taken cores from the device's steps.
	Calm()
}

// Binder binds an adapter to a model, one change after the other: it brings each into the form that kernels read.
type Binder struct {
	model   Model
	device  Device
	targets []Target
	numbers map[string]int // of targets, by name
	weights interface {
		weight(target int) kernels.Tensor
	} // nil: the model does not show them
	parts []packed // by target; each is written by who has its name

	mu    sync.Mutex // guards what follows
	named []bool     // targets that a change has
	taken int        // bytes that norms being computed take
	less  sync.Cond  // taken has become less
}

// NewBinder begins an adapter for a model.
func NewBinder(m Model, device Device) *Binder {
	targets := m.Targets()
	b := &Binder{
		model: m, device: device, targets: targets, numbers: make(map[string]int, len(targets)), parts: make([]packed, len(targets)),
		named: make([]bool, len(targets)),
	}
	b.less.L = &b.mu
	b.weights, _ = m.(interface {
		weight(target int) kernels.Tensor
	})
	for i, t := range targets {
		b.numbers[t.Name] = i
	}
	return b
}

// Decode sets dst to the values of src: quant.Decode.
func (b *Binder) Decode(t quant.Type, dst []float32, src []byte) { b.device.Decode(t, dst, src) }

// Add takes a change and keeps nothing of d. It may be called on several goroutines at once. Where DoRA wants the norms of the model's
// weights it reads them: of all weights of a large model that takes a second or more. The error says what does not fit, or Is kernels.ErrFault;
// then the Binder is of no more use.
func (b *Binder) Add(d *Delta) error {
	number, ok := b.numbers[d.Target]
	if !ok {
		return invalid("the adapter changes %q, which the model does not have", d.Target)
	}
	b.mu.Lock()
	twice := b.named[number]
	b.named[number] = true
	b.mu.Unlock()
	if twice {
		return invalid("the adapter changes %q twice", d.Target)
	}
	target := &b.targets[number]
	if err := d.check(target); err != nil {
		return err
	}
	mostA, mostB, err := d.most()
	if err != nil {
		return err
	}
	p := d.pack(target, mostA, mostB, b.device)
	if d.Magnitude != nil {
		if p.norms, err = b.normsOf(number, &p, d.Magnitude); err != nil {
			return err
		}
	}
	b.parts[number] = p
	return nil
}

// normsOf computes DoRA's norms of a target, when there is memory for that.
func (b *Binder) normsOf(number int, p *packed, magnitude []float32) (n *norms, err error) {
	if b.weights == nil {
		return nil, unsupported("DoRA on this model")
	}
	bytes := 4 * p.factors.Rank * p.factors.In // A in float32
	b.mu.Lock()
	for b.taken > 0 && b.taken+bytes > normsMemory {
		b.less.Wait()
	}
	b.taken += bytes
	b.mu.Unlock()
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		b.mu.Lock()
		b.taken -= bytes
		b.mu.Unlock()
		b.less.Broadcast()
		if r := recover(); r != nil {
			if _, fault := r.(interface{ Addr() uintptr }); !fault {
				panic(r)
			}
			err = fmt.Errorf("models: reading weights for an adapter: %w", kernels.ErrFault)
		}
	}()
	return newNorms(b.weights.weight(number), p, magnitude, b.device), nil
}

// Adapter ends the adapter, when all calls of Add have returned nil. digest is the sha256 of its files' content, in hex; invocation is as in
// AdapterSpec. The error says that it changes nothing.
func (b *Binder) Adapter(digest string, invocation []int32) (*Adapter, error) {
	a := &Adapter{
		model: b.model, digest: digest, firstLayer: b.model.Config().Layers, invocation: slices.Clone(invocation), parts: b.parts,
	}
	b.device.Calm()
	if !slices.Contains(b.named, true) {
		return nil, invalid("the adapter changes nothing")
	}
	for number := range b.parts {
		if p := &b.parts[number]; p.factors != nil {
			a.rank = max(a.rank, p.factors.Rank)
			a.firstLayer = min(a.firstLayer, b.targets[number].Layer)
			a.bytes += p.bytes()
			a.dora = a.dora || p.norms != nil
		}
	}
	return a, nil
}

// NewAdapter binds an adapter to a model, on all processors. The error says which change does not fit, or Is kernels.ErrFault.
func NewAdapter(m Model, spec *AdapterSpec, device Device) (*Adapter, error) {
	b := NewBinder(m, device)
	problems := make([]error, len(spec.Deltas))
	var next atomic.Int64
	var workers sync.WaitGroup
	for range min(runtime.GOMAXPROCS(0), runtime.NumCPU(), len(spec.Deltas)) {
		workers.Go(func() {
			for i := int(next.Add(1)) - 1; i < len(spec.Deltas); i = int(next.Add(1)) - 1 {
				problems[i] = b.Add(&spec.Deltas[i])
			}
		})
	}
	workers.Wait()
	for _, err := range problems { // the first that is wrong is told
		if err != nil {
			return nil, err
		}
	}
	return b.Adapter(spec.Digest, spec.Invocation)
}
