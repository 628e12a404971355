package repository

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/weft-run/weft/runtime/engine"
)

// retire takes a model out of service. The caller holds mu and has taken it out of its entry.
func (r *Repository) retire(m *Model) {
	m.retired = true
	r.o.Changed()
	r.retired = append(r.retired, m)
	r.buryIfFree(m)
}

// buryIfFree hands a retired model that nobody holds to the reaper. The caller holds mu.
func (r *Repository) buryIfFree(m *Model) {
	if r.closed || !m.retired || m.leases > 0 || m.buried {
		return
	}
	m.buried = true
	r.dead = append(r.dead, m)
	signal(r.wake)
}

// fail takes a generation out of service whose weights are lost or damaged, for good: only other content comes into service under its
// name. It is called by the generation's own engine too, so it waits for nothing.
func (r *Repository) fail(m *Model, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if m.lost == nil {
		m.lost = err
		r.log.Error("model cannot be trusted any more and is out of service", "model", m.Name, "generation", m.Generation, "reason", err)
	}
	e := r.entries[m.Name]
	if e == nil || e.current != m {
		return // replaced or removed meanwhile, or not yet in service
	}
	e.current = nil
	if e.state == "" { // else what lies there by now is something else, and is told of
		e.note(lostReason(err), StateRefused)
		e.refusedKey = m.key
	}
	r.retire(m)
}

// lostReason says what happened and how to replace a model, which an engine's error says already.
func lostReason(err error) string {
	if lost := (*engine.LostError)(nil); errors.As(err, &lost) || errors.Is(err, engine.ErrWeights) {
		return err.Error()
	}
	return fmt.Sprintf("%v; to replace a model, copy the new one beside it under a name that begins with a dot and rename it over the old one", err)
}

// reap closes the engines and unmaps the files of retired models. It ends with ctx.
func (r *Repository) reap(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-r.wake:
		}
		r.mu.Lock()
		dead := r.dead
		r.dead = nil
		r.mu.Unlock()
		for _, m := range dead {
			r.bury(ctx, m)
		}
		if r.tryShort(dead) {
			r.resync()
		}
	}
}

// bury gives back all that a retired model has. Nobody holds it, or the repository closes.
func (r *Repository) bury(ctx context.Context, m *Model) {
	r.inspector.forget(m)
	r.mu.Lock()
	wanted := m.resting
	comesBack := wanted || r.closed
	r.mu.Unlock()
	if comesBack {
		r.inspector.hasten(m)
	}
	r.giveBack(ctx, m, wanted)
	r.mu.Lock()
	defer r.mu.Unlock()
	if e := r.entries[m.Name]; e != nil && e.known != nil && e.known.key == m.key {
		e.known.digest = m.digest.Load() // it may have become known on the way
	}
	r.held -= m.Memory
	r.retired = slices.DeleteFunc(r.retired, func(x *Model) bool { return x == m })
	close(m.gone)
	signal(r.lined) // what waited for its pages to be written may be loaded
	r.log.Info("model unloaded", "model", m.Name, "generation", m.Generation, "bytes", m.Memory)
}

// signal leaves one message.
func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default: // a message is there already
	}
}
