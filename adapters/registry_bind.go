package adapters

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/weft-run/weft/runtime/models"
)

// maxLoads is how many adapters are read at once. While one is read it takes several times what it takes when it is bound.
const maxLoads = 2

// binding is one generation on one generation of a base.
type binding struct {
	of    *generation
	base  BaseInfo
	ready chan struct{} // closed when adapter or err is set

	adapter    Bound
	invocation []int32
	err        error

	// Guarded by Registry.mu.
	bytes  int64
	leases int
	used   uint64 // the registry's tick when it was last wanted
	stale  bool   // its base is out of service
}

// bind returns a generation bound to a base, held until letGo. The first who wants it loads it, the others wait: loading is bounded by
// its limits and ends, so nobody's context cuts it short.
func (r *Registry) bind(g *generation, base Base) (*binding, error) {
	info := base.Info()
	r.mu.Lock()
	r.tick++
	b := g.bound[info.Generation]
	mine := b == nil
	if mine {
		b = &binding{of: g, base: info, ready: make(chan struct{})}
		g.bound[info.Generation] = b
	}
	b.leases++
	b.used = r.tick
	r.mu.Unlock()
	if mine {
		b.err = r.load(g, base, b)
		close(b.ready)
	}
	<-b.ready
	if b.err != nil {
		r.mu.Lock()
		b.leases--
		if g.bound[info.Generation] == b {
			delete(g.bound, info.Generation) // the next who wants it tries again
		}
		r.mu.Unlock()
		return nil, b.err
	}
	return b, nil
}

// load reads a generation's content, binds it to a base, tests it there unless that was done before, and makes room for it.
func (r *Registry) load(g *generation, base Base, b *binding) error {
	select {
	case r.loads <- struct{}{}:
		defer func() { <-r.loads }()
	case <-r.ctx.Done():
		return ErrClosed
	}
	if err := r.read(b, base); err != nil {
		return err
	}
	if _, proven := r.proofs.Get(proofKey(g.digest, b.base.Digest)); !proven {
		if err := r.test(b, base); err != nil {
			return err
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if err := r.makeRoom(g, b.adapter.Bytes()); err != nil {
		return err
	}
	b.bytes = b.adapter.Bytes()
	r.bound[b] = true
	r.resident += b.bytes
	return nil
}

// read reads content whole and binds it to a base. What it finds must be what the generation is: of one that is published, all that goes
// wrong with its files means that they are others by now.
func (r *Registry) read(b *binding, base Base) error {
	g := b.of
	err := r.readNow(b, base.Bind())
	if err != nil && g.number != 0 && !errors.As(err, new(*UnfitError)) {
		return &changedError{g.name, err}
	}
	return err
}

func (r *Registry) readNow(b *binding, binder Binder) error {
	g := b.of
	unfit := func(err error) error {
		if err == nil {
			return nil
		}
		return &UnfitError{Adapter: g.name, Base: b.base.Name, Reason: err.Error()}
	}
	c, err := r.open(&g.origin)
	if err != nil {
		return err
	}
	defer c.close()
	digest, err := c.load(b.base, told{binder, unfit}, func(took time.Duration) { r.o.Bases.MakeWay(r.ctx, took) })
	if errors.Is(err, ErrChanged) {
		return &changedError{name: g.name}
	}
	if err != nil {
		return err
	}
	r.digests.Note(g.origin.identity(), digest)
	switch {
	case g.digest == "":
		g.digest = digest // not published yet: it is this goroutine's alone
	case g.digest != digest:
		return &changedError{name: g.name}
	}
	b.invocation = c.invocation()
	b.adapter, err = binder.Bound(digest, b.invocation)
	return unfit(err)
}

// told is a Binder whose errors say whose they are.
type told struct {
	Binder
	as func(error) error
}

func (t told) Add(d *models.Delta) error { return t.as(t.Binder.Add(d)) }

// test runs the base with the adapter and without, and remembers how far the logits lie apart.
func (r *Registry) test(b *binding, base Base) error {
	info, name := base.Info(), b.of.name
	r.mu.Lock()
	plain := r.plain[info.Generation]
	r.mu.Unlock()
	if plain == nil || b.invocation != nil {
		var err error
		if plain, err = base.Probe(r.ctx, nil, b.invocation); err != nil {
			return &baseError{Base: info.Name, Err: err}
		}
		if b.invocation == nil {
			r.mu.Lock()
			r.plain[info.Generation] = plain
			r.mu.Unlock()
		}
	}
	with, err := base.Probe(r.ctx, b.adapter, b.invocation)
	switch {
	case errors.Is(err, ErrUntestable):
		return &UnfitError{Adapter: name, Base: info.Name, Reason: strings.TrimPrefix(err.Error(), "adapters: ")}
	case err != nil:
		return &baseError{Base: info.Name, Err: err}
	}
	d, err := difference(name, info.Name, plain, with)
	if err != nil {
		return err
	}
	r.proofs.Note(proofKey(b.of.digest, info.Digest), strconv.FormatFloat(d, 'g', 6, 64))
	return nil
}

// difference is the norm of the difference of two rows of logits, relative to the first. It refuses what is no number, and no difference.
func difference(adapter, base string, plain, with []float32) (float64, error) {
	var sum, whole float64
	for i, x := range with {
		d := float64(x) - float64(plain[i])
		if math.IsNaN(d) || math.IsInf(d, 0) {
			return 0, &UnfitError{Adapter: adapter, Base: base, Reason: fmt.Sprintf("with it the logits of a test prompt are not numbers: %v for token %d", x, i)}
		}
		sum += d * d
		whole += float64(plain[i]) * float64(plain[i])
	}
	if sum == 0 {
		return 0, &UnfitError{Adapter: adapter, Base: base, Reason: "it changes nothing: with it the logits of a test prompt are the same to the bit; was it trained?"}
	}
	return max(math.Sqrt(sum/max(whole, math.SmallestNonzeroFloat64)), math.SmallestNonzeroFloat64), nil
}

// makeRoom drops bindings that nobody holds, the least recently used first, until need bytes fit the budget. The caller holds mu.
func (r *Registry) makeRoom(g *generation, need int64) error {
	budget := r.o.Budget
	if budget == 0 {
		return nil
	}
	if need > budget {
		return &UnfitError{Adapter: g.name, Reason: fmt.Sprintf("it takes %d bytes of memory, and all adapters together may take %d; raise `adapter_memory`", need, budget)}
	}
	for r.resident+need > budget {
		var oldest *binding
		for b := range r.bound {
			if b.leases == 0 && !r.pinned(b) && (oldest == nil || b.used < oldest.used) {
				oldest = b
			}
		}
		if oldest == nil {
			return &BusyError{Adapter: g.name, Need: need, Resident: r.resident, Budget: budget}
		}
		r.drop(oldest)
	}
	return nil
}

// pinned says whether a binding stays whatever the budget says. The caller holds mu.
func (r *Registry) pinned(b *binding) bool {
	e := r.entries[b.of.name]
	return e != nil && e.pinned && e.current == b.of
}

// drop lets a binding's memory go. The caller holds mu, and nobody holds the binding.
func (r *Registry) drop(b *binding) {
	if r.bound[b] {
		delete(r.bound, b)
		r.resident -= b.bytes
	}
	if b.of.bound[b.base.Generation] == b {
		delete(b.of.bound, b.base.Generation)
	}
}

// letGo gives up one hold on a binding. The caller holds mu.
func (r *Registry) letGo(b *binding) {
	b.leases--
	if b.leases < 0 {
		panic("BUG: adapters: more holds on a binding given up than taken")
	}
	if b.stale && b.leases == 0 {
		r.drop(b)
	}
}
