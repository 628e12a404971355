package repository

import (
	"cmp"
	"context"
	"errors"
	"strings"
	"syscall"
	"time"

	"github.com/weft-run/weft/runtime/parts"
)

// What is new is checked, which is to read it and to load it up to its first token, one after the other and the smallest first: so the
// same folder under the same budget gives the same models in service. A check that takes long, because its file lies on a slow disk,
// does not hold up the others: the next begins beside it.
const (
	slowCheck = 500 * time.Millisecond
	maxChecks = 2 // at once
)

// enqueue puts what lies there in line to be checked, unless just this is being checked or was refused for good.
func (r *Repository) enqueue(l *look) {
	r.mu.Lock()
	defer r.mu.Unlock()
	e := r.entries[l.source.Name]
	if r.closed || e == nil || e.refusedKey == l.key {
		return
	}
	if e.checking == l.key {
		e.note("it is being checked", StateChecking)
		e.due = nil
		return
	}
	if e.due == nil || e.due.key != l.key {
		e.note("it waits for its turn to be checked", StateChecking)
	}
	e.due = l
	if r.idle == nil {
		r.idle = make(chan struct{})
	}
	signal(r.lined)
}

// Wait returns when nothing is being checked nor in line for it, or when ctx ends.
func (r *Repository) Wait(ctx context.Context) {
	r.mu.Lock()
	idle := r.idle
	r.mu.Unlock()
	if idle == nil {
		return
	}
	select {
	case <-idle:
	case <-ctx.Done():
	}
}

// tellIdle ends the waiting of Wait when there is nothing to wait for. The caller holds mu.
func (r *Repository) tellIdle() {
	if r.idle == nil || r.inCheck > 0 {
		return
	}
	for _, e := range r.entries {
		if e.due != nil {
			return
		}
	}
	close(r.idle)
	r.idle = nil
}

// runChecks begins checks until ctx ends. Those that run then end by ctx too.
func (r *Repository) runChecks(ctx context.Context) {
	running := map[*entry]time.Time{} // and when each began
	done := make(chan *entry, maxChecks)
	again := time.NewTimer(0)
	defer again.Stop()
	for {
		rest := patience(running, time.Now())
		if len(running) < maxChecks && rest <= 0 {
			e, l, replaced, crowded := r.nextCheck()
			if e != nil {
				running[e] = time.Now()
				r.workers.Go(func() {
					r.check(ctx, e, l, replaced)
					done <- e
				})
				continue
			}
			rest = crowded
		}
		if len(running) < maxChecks && rest > 0 {
			again.Reset(rest)
		}
		select {
		case <-ctx.Done():
			return
		case e := <-done:
			delete(running, e)
		case <-r.lined:
		case <-again.C:
		}
	}
}

// patience is how long the next check leaves the machine to those that run: until all of them are slow.
func patience(running map[*entry]time.Time, now time.Time) (rest time.Duration) {
	for _, began := range running {
		rest = max(rest, slowCheck-now.Sub(began))
	}
	return rest
}

// nextCheck takes the smallest out of the line. replaced is what is in service under its name, or nil; e is nil when nothing in line may begin, and
// rest is then how long the first of those has to wait that are crowded out, 0 if there are none.
func (r *Repository) nextCheck() (e *entry, l *look, replaced *Model, rest time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, x := range r.entries {
		if x.due == nil || x.checking != "" || r.goes(x) {
			continue
		}
		if wait := r.crowded(x); wait > 0 {
			if rest == 0 || wait < rest {
				rest = wait
			}
		} else if e == nil || compareLooks(x.due, e.due) < 0 {
			e = x
		}
	}
	if e == nil {
		return nil, nil, nil, rest
	}
	l, e.due, e.checking = e.due, nil, e.due.key
	e.note("it is being checked", StateChecking)
	r.inCheck++
	return e, l, e.current, 0
}

func compareLooks(a, b *look) int {
	return cmp.Or(cmp.Compare(a.size, b.size), strings.Compare(a.source.Name, b.source.Name))
}

// check loads what lies there and puts it into service in the place of replaced, which may be nil.
func (r *Repository) check(ctx context.Context, e *entry, l *look, replaced *Model) {
	r.replace(ctx, e, l, replaced)
	r.mu.Lock()
	defer r.mu.Unlock()
	e.checking, e.again, e.woken = "", false, false
	e.tell()
	r.inCheck--
	r.tellIdle()
}

func (r *Repository) replace(ctx context.Context, e *entry, l *look, replaced *Model) {
	began := time.Now()
	m, err := r.load(ctx, e, l, replaced)
	if err != nil {
		if ctx.Err() != nil {
			return // not the model's fault, but the end of the repository
		}
		r.refuse(l, err.Error(), holdOf(err, replaced != nil))
		return
	}
	if err := r.publish(e, m); err != nil {
		r.discard(ctx, m)
		if !errors.Is(err, ErrClosed) {
			r.refuse(l, lostReason(err), forContent)
		}
		return
	}
	r.log.Info("model in service", "model", m.Name, "generation", m.Generation, "architecture", m.Config.Architecture,
		"quantization", m.Quantization, "parameters", m.Parameters, "context", m.ContextLen, "bytes", m.Memory,
		"load", m.Served.Sub(began), "since_arrival", m.Served.Sub(m.Wanted))
	switch {
	case m.TemplateProblem != "":
		r.log.Warn("model takes no chats", "model", m.Name, "reason", m.TemplateProblem)
	case strings.HasPrefix(m.TemplateOrigin, parts.OriginFallback):
		r.log.Warn("model has no chat template of its own: chats use one that its vocabulary speaks of",
			"model", m.Name, "template", m.TemplateOrigin, "set", "`template` in the model's settings")
	}
}

// holdOf says how long a refusal holds. replacing says that what was in service stays there.
func holdOf(err error, replacing bool) hold {
	short := (*MemoryError)(nil)
	switch {
	case errors.As(err, new(syscall.Errno)): // no descriptors, no memory for a mapping, a disk that fails now and then
		return forTrouble
	case !errors.As(err, &short):
		return forContent
	case !short.Fits:
		return openRefusal
	case replacing:
		return forMemory
	}
	return forRoom
}

// publish puts a generation into service. The error is ErrClosed when its name is gone by now or rests again, or what the engine failed with meanwhile.
func (r *Repository) publish(e *entry, m *Model) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed || r.entries[m.Name] != e || e.rest != nil && e.rest.key == m.key {
		return ErrClosed
	}
	if m.lost != nil {
		return m.lost
	}
	r.generation++
	m.Generation = r.generation
	m.Arrived, m.Wanted = e.seen, e.seen
	if e.asked.After(e.seen) {
		m.Wanted = e.asked
	}
	if old := e.current; old != nil {
		r.log.Info("model replaced", "model", m.Name, "generation", m.Generation, "old", old.Generation, "leases", old.leases)
		r.retire(old)
	}
	e.current, e.known, e.rest, e.again, e.used = m, nil, nil, false, r.now()
	m.came = e.used
	signal(r.wanted) // it may be the next that becomes idle
	r.o.Changed()
	r.inspector.add(m)      // before anybody can retire it, whose burial takes it out of the queue
	if e.seenKey == m.key { // else what lies there by now is something else, and is told of
		e.note("", "")
		e.told = ""
	}
	return nil
}
