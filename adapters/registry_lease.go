package adapters

import (
	"context"
	"errors"
	"sync/atomic"
)

// Lease holds a generation bound to a base, until Release.
type Lease struct {
	Name       string
	Digest     string
	Generation uint64
	Adapter    Bound
	DoRA       bool
	Bytes      int64

	r        *Registry
	b        *binding
	released atomic.Bool
}

// Release gives the lease back, once. Streams that the adapter is in must have ended or been cancelled.
func (l *Lease) Release() {
	if l.released.Swap(true) {
		panic("BUG: adapters: lease released twice")
	}
	l.r.mu.Lock()
	defer l.r.mu.Unlock()
	l.r.letGo(l.b)
	l.r.giveBack(l.b.of)
}

// Acquire leases the published generation of a name or an alias, exactly matched, bound to a base that the caller holds until after
// Release. It waits, as long as ctx allows, for an adapter that is being admitted. The error is a *NotFoundError, a *RefusedError, an *UnfitError, a
// *BusyError, ErrClosed, or the context's.
func (r *Registry) Acquire(ctx context.Context, name string, base Base) (*Lease, error) {
	g, err := r.find(ctx, name)
	if err != nil {
		return nil, err
	}
	b, err := r.bindWhereItMay(g, base)
	if err != nil {
		defer r.release(g)
		if errors.As(err, new(*changedError)) {
			return nil, r.lost(g, err)
		}
		return nil, err
	}
	return &Lease{
		Name: g.name, Digest: g.digest, Generation: g.number, Adapter: b.adapter, DoRA: g.about.DoRA, Bytes: b.bytes, r: r, b: b,
	}, nil
}

// lost says what has become of a published generation whose files are others by now.
func (r *Registry) lost(g *generation, err error) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	e := r.entries[g.name]
	if e == nil {
		return &NotFoundError{Name: g.name, Near: r.near(g.name)}
	}
	refused := &RefusedError{Name: g.name, Reason: err.Error(), Waiting: true}
	if e.current == g && e.state == StateRefused {
		refused.Reason, refused.Waiting = refused.Reason+", and what lies there is refused: "+e.reason, false
	}
	return refused
}

// bindWhereItMay binds a generation to a base that it is for.
func (r *Registry) bindWhereItMay(g *generation, base Base) (*binding, error) {
	if err := r.mayServe(g, base.Info()); err != nil {
		return nil, err
	}
	return r.bind(g, base)
}

// find counts a lease on the generation that a name points at, and waits for one that is on its way.
func (r *Registry) find(ctx context.Context, name string) (*generation, error) {
	for {
		g, news, err := r.findNow(name)
		if g != nil || err != nil {
			return g, err
		}
		select {
		case <-news:
		case <-ctx.Done():
			return nil, r.stillComing(name, ctx.Err())
		}
	}
}

// stillComing says, where the waiting for an adapter took too long, what it waits for itself.
func (r *Registry) stillComing(name string, err error) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	e := r.entry(name)
	if e == nil || !errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	return &RefusedError{Name: name, Reason: e.reason, Waiting: true}
}

// findNow returns the generation, or what will be closed at news of it, or why there is none.
func (r *Registry) findNow(name string) (*generation, <-chan struct{}, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return nil, nil, ErrClosed
	}
	e := r.entry(name)
	switch {
	case e == nil:
		return nil, nil, &NotFoundError{Name: name, Near: r.near(name)}
	case e.current != nil:
		e.current.leases++
		return e.current, nil, nil
	case e.due || e.busy || e.state == StateChecked:
		if !e.wanted {
			e.wanted = true
			r.enqueue(e)
		}
		return nil, e.news, nil
	}
	return nil, nil, &RefusedError{Name: name, Reason: e.reason, Waiting: e.state == StateSettling}
}

// entry finds a name or an alias. The caller holds mu.
func (r *Registry) entry(name string) *entry {
	if e := r.entries[name]; e != nil {
		return e
	}
	return r.entries[r.aliases[name]]
}

// release gives back a lease on a generation.
func (r *Registry) release(g *generation) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.giveBack(g)
}

// giveBack is release for who holds mu.
func (r *Registry) giveBack(g *generation) {
	g.leases--
	if g.leases < 0 {
		panic("BUG: adapters: more leases released than taken")
	}
	if g.retired && g.leases == 0 {
		r.bury(g)
	}
}
