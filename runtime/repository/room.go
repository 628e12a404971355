package repository

import (
	"cmp"
	"context"
	"errors"
	"slices"

	"github.com/weft-run/weft/runtime/engine"
)

// reserve takes a model's share out of the budget. Where there is too little left of it, idle models go, the longest unused first, and reserve
// waits until they have given their memory back. For one that nobody has asked for only those go that nobody has used since it came: so
// models that lie in a folder together do not push each other out.
func (r *Repository) reserve(ctx context.Context, cfg engine.Config, e *entry, m, replaced *Model) (grant, error) {
	want := demand{
		config: cfg.Model.Config(), weights: m.file.Size(), context: m.Settings.ContextLen, parallel: cfg.MaxBatch,
		pageTokens: cfg.PageTokens, stepTokens: cmp.Or(cfg.StepTokens, engine.DefaultStepTokens), cacheType: cfg.CacheType, budget: r.o.Budget,
	}
	one := cfg
	one.Pages = 1
	_, want.workspace = one.Memory()
	for {
		granted, going, err := r.tryReserve(want, e, replaced)
		if len(going) == 0 {
			if err == nil && want.context == 0 && granted.context < want.config.ContextLen {
				r.log.Info("context is shorter than the model's own, to fit the memory budget", "model", m.Name,
					"tokens", granted.context, "own", want.config.ContextLen, "budget", size(r.o.Budget))
			}
			return granted, err
		}
		for _, g := range going {
			select {
			case <-g.gone:
			case <-ctx.Done():
				return grant{}, ctx.Err()
			}
		}
	}
}

// tryReserve reserves what there is room for. Where that is too little and others make room, it returns those whose going is to be waited for.
func (r *Repository) tryReserve(want demand, e *entry, replaced *Model) (granted grant, going []*Model, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	want.have = r.o.Budget - r.held
	if replaced != nil {
		// The two are there together only until the old one's requests have ended. Its weights are clean pages that the kernel can
		// drop, and plan leaves half of the rest free: so a swap neither shrinks the context nor needs twice the memory at rest.
		want.have += replaced.Memory
	}
	granted, err = plan(want)
	if r.o.Budget > 0 && (err != nil || granted.context < want.least()) {
		if going := r.makeRoom(want, e, err == nil); len(going) > 0 {
			return grant{}, going, nil
		}
	}
	if short := (*MemoryError)(nil); errors.As(err, &short) {
		alone := want
		alone.have = want.budget
		_, no := plan(alone)
		short.Fits = no == nil
	}
	if err != nil {
		return grant{}, nil, err
	}
	r.held += granted.memory
	return granted, nil, nil
}

// least is the context below which others make room for a model, where that helps: as much as was asked for, or a good one.
func (q *demand) least() int {
	if q.context > 0 {
		return min(q.context, q.config.ContextLen)
	}
	return min(q.config.ContextLen, goodContext)
}

// makeRoom unloads idle models for an entry, the longest unused first, until the demand is met, and returns those whose memory comes back
// with it. Where all of them are not enough it unloads none; fits says that less than the demand would do, which none is unloaded for. The
// caller holds mu.
func (r *Repository) makeRoom(want demand, e *entry, fits bool) (going []*Model) {
	var idle []*entry
	for _, x := range r.entries {
		if x != e && x.idle() && (e.woken || e.again || x.used.Before(e.seen)) {
			idle = append(idle, x)
		}
	}
	slices.SortFunc(idle, func(a, b *entry) int { return a.used.Compare(b.used) })
	met := func() bool {
		granted, err := plan(want)
		return err == nil && granted.context >= want.least()
	}
	for _, m := range r.retired {
		if m.buried {
			going = append(going, m)
			want.have += m.Memory
		}
	}
	n := 0
	for ; n < len(idle) && !met(); n++ {
		want.have += idle[n].current.Memory
	}
	if !met() {
		if _, err := plan(want); fits || err != nil {
			return nil
		}
	}
	for _, x := range idle[:n] {
		going = append(going, x.current)
		r.unload(x, CauseRoom, "others wanted its memory; a request has it loaded again")
	}
	return going
}

// GiveBack unloads the model that nobody has wanted for the longest time, of those that are idle and not pinned, and waits until its memory is
// given back, or ctx ends. It returns how much that was; 0: there is none.
func (r *Repository) GiveBack(ctx context.Context, why string) (name string, bytes int64) {
	r.mu.Lock()
	var oldest *entry
	for _, e := range r.entries {
		if e.idle() && (oldest == nil || e.used.Before(oldest.used)) {
			oldest = e
		}
	}
	if oldest == nil {
		r.mu.Unlock()
		return "", 0
	}
	m := oldest.current
	r.unload(oldest, CausePressure, "the machine wanted its memory ("+why+"); a request has it loaded again")
	r.mu.Unlock()
	select {
	case <-m.gone:
	case <-ctx.Done():
	}
	return m.Name, m.Memory
}

// GiveBackPages gives the memory of cache pages back that no request holds, of all models, and returns how much that was; those that sessions
// keep only where it is told to.
func (r *Repository) GiveBackPages(ctx context.Context, sessions bool) (bytes int64) {
	r.mu.Lock()
	var engines []*engine.Engine
	for _, e := range r.entries {
		if e.current != nil {
			engines = append(engines, e.current.Engine)
		}
	}
	r.mu.Unlock()
	for _, e := range engines {
		n, err := e.GiveBack(ctx, sessions)
		if err == nil { // else it has ended by now
			bytes += n
		}
	}
	return bytes
}
