package adapters

import (
	"errors"
	"maps"
	"slices"
	"strconv"
	"time"
)

// run admits what is in line, until Close.
func (r *Registry) run() {
	again := time.NewTimer(0)
	defer again.Stop()
	for {
		for r.step() {
		}
		r.digests.Flush()
		r.proofs.Flush()
		if wait := r.rest(); wait > 0 {
			again.Reset(wait)
		}
		select {
		case <-r.ctx.Done():
			return
		case <-r.wake:
		case <-again.C:
		}
	}
}

// rest is how long there is nothing to do, if nothing comes; 0: for ever.
func (r *Registry) rest() (wait time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.unproven) > 0 {
		wait = idleLook
	}
	for _, e := range r.held {
		if d := max(e.hold.Sub(r.now()), time.Millisecond); wait == 0 || d < wait {
			wait = d
		}
	}
	return wait
}

// step admits one entry, as far as that goes now, and says whether there was one.
func (r *Registry) step() bool {
	t := r.next(r.o.Bases.Idle())
	if t == nil {
		return false
	}
	again := r.admit(t)
	r.mu.Lock()
	defer r.mu.Unlock()
	e := t.entry
	e.busy, e.wanted = false, false
	e.tell()
	switch {
	case again && e.state == StateRefused: // the system could not read it
		r.tryAgain(e, troubleRest)
	case again || e.base && r.rebased != t.rebased: // the bases have changed meanwhile, or one could not be used
		r.tryAgain(e, idleLook)
	case e.state == StateChecked && !e.due && !e.base:
		r.unproven = append(r.unproven, e)
	}
	return true
}

// task is one entry to be admitted.
type task struct {
	entry   *entry
	origin  Origin // what lies there
	rebased int    // how often the bases had changed
	proof   bool   // it is to be tested now, whatever else there is to do
	keep    bool   // and stays in memory: somebody waits for it
}

// next takes an entry out of line, or is nil.
func (r *Registry) next(idle bool) *task {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return nil
	}
	held := r.held
	r.held = nil
	for _, e := range held {
		if r.live(e) {
			r.enqueue(e)
		}
	}
	var e *entry
	for len(r.line) > 0 {
		e, r.line = r.line[0], r.line[1:]
		if !e.due || !r.live(e) {
			continue
		}
		e.due = false
		if !e.origin.whole() || e.current != nil && e.current.key() == e.key {
			continue // it has changed since it was put in line
		}
		urgent := e.wanted || e.current != nil
		e.busy = true
		return &task{entry: e, origin: e.origin, rebased: r.rebased, proof: urgent, keep: urgent}
	}
	for idle && len(r.unproven) > 0 {
		e, r.unproven = r.unproven[0], r.unproven[1:]
		if e.state == StateChecked && !e.due && r.live(e) {
			e.busy = true
			return &task{entry: e, origin: e.origin, rebased: r.rebased, proof: true}
		}
	}
	return nil
}

// live says whether an entry still stands for its name. The caller holds mu.
func (r *Registry) live(e *entry) bool { return r.entries[e.origin.Name] == e }

// admit takes what lies at an entry through admission: parsed, checked, tested, published. It stops where a base is missing, and where a
// test that nobody waits for would begin. It says whether to try again soon.
func (r *Registry) admit(t *task) (again bool) {
	e, origin := t.entry, t.origin
	g := &generation{name: origin.Name, origin: origin, bound: map[uint64]*binding{}, fits: map[string]string{}}
	key := g.key()
	settle := func(state, reason string, untilBases bool) {
		r.mu.Lock()
		defer r.mu.Unlock()
		if !r.live(e) || e.key != key {
			return // something else lies there by now
		}
		if state == StateRefused {
			r.refuse(e, reason)
		} else {
			e.note(state, reason)
		}
		e.base = untilBases
	}
	var changed *changedError
	c, err := r.open(&origin)
	switch {
	case errors.As(err, &changed):
		settle(StateSettling, err.Error(), false) // the next look at the folder tells what lies there now
		return true
	case err != nil:
		settle(StateRefused, reasonOf(err), false)
		return isTrouble(err)
	}
	g.about = c.about()
	g.digest, _ = r.digests.Get(origin.identity())
	ready := r.o.Bases.Ready() // asked first: a base that comes into service between the two is listed then
	serving := r.o.Bases.Serving()
	for _, b := range serving {
		g.fits[b.Digest] = verdict(c.fits(b))
	}
	c.close()
	r.mu.Lock()
	if e.key == key {
		e.about, g.seen = g.about, e.seen
	}
	r.mu.Unlock()
	m := r.match(g, serving)
	switch {
	case m.refused && !ready:
		settle(StateParsed, "models are still being looked at; so far: "+m.problem, true)
		return false
	case m.refused:
		settle(StateRefused, m.problem, true)
		return false
	case len(m.bases) == 0:
		settle(StateParsed, m.problem, true)
		return false
	}
	g.home = m.bases[0].Name
	if slices.ContainsFunc(m.bases, func(b BaseInfo) bool { return r.proven(g, b) }) {
		r.publish(e, g)
		return false
	}
	if !t.proof {
		settle(StateChecked, "it is tested when the machine is idle, or at its first use", false)
		return false
	}
	if !t.keep && m.bases[0].Unloaded {
		settle(StateChecked, "its base is unloaded: it is tested when that is loaded again, or at its first use", true)
		return false
	}
	settle(StateChecked, "it is being tested", false)
	err = r.prove(g, t.keep)
	var base *baseError
	switch {
	case err == nil:
		r.publish(e, g)
	case errors.As(err, &changed):
		settle(StateSettling, reasonOf(err), false)
		return true
	case errors.As(err, &base), errors.As(err, new(*BusyError)):
		settle(StateChecked, err.Error(), false)
		return true
	case r.ctx.Err() == nil:
		settle(StateRefused, reasonOf(err), false)
		return isTrouble(err)
	}
	return false
}

// proven says whether a generation's content was tested on a base before.
func (r *Registry) proven(g *generation, b BaseInfo) bool {
	_, proven := r.proofs.Get(proofKey(g.digest, b.Digest))
	return proven
}

func proofKey(digest, base string) string { return digest + " " + base }

// isDifference says whether a text is a difference as the ledger has it.
func isDifference(s string) bool { return differenceOf(s) > 0 }

// differenceOf reads it; 0 where it is none.
func differenceOf(s string) float64 {
	d, err := strconv.ParseFloat(s, 64)
	if err != nil {
		return 0
	}
	return d
}

func isDigest(s string) bool { return len(s) == 64 }

// prove binds a generation that is not published yet to its base, which reads it whole and tests it. Unless keep it does not stay in memory.
func (r *Registry) prove(g *generation, keep bool) error {
	base, err := r.o.Bases.Lease(r.ctx, g.home)
	if err != nil {
		return &baseError{Base: g.home, Err: err}
	}
	defer base.Release()
	b, err := r.bind(g, base)
	if err != nil {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.letGo(b)
	if !keep {
		r.drop(b)
	}
	return nil
}

// publish makes a name point at a generation, in one step.
func (r *Registry) publish(e *entry, g *generation) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed || !r.live(e) || e.key != g.key() {
		r.bury(g)
		return
	}
	r.generation++
	g.number, g.published = r.generation, r.now()
	old := e.current
	e.current = g
	e.told = ""
	e.note("", "")
	attrs := []any{"adapter", g.name, "generation", g.number, "digest", g.digest, "rank", g.about.Rank, "targets", g.about.Targets}
	if old != nil {
		attrs = append(attrs, "old", old.number, "leases", old.leases)
		r.retire(old)
	}
	r.log.Info("adapter published", attrs...)
}

// Rebase tells the registry that the bases in service may have changed: adapters that waited for one are looked at again, and what is
// bound to a base that is gone is dropped.
func (r *Registry) Rebase() {
	serving, contents := map[uint64]bool{}, map[string]bool{}
	for _, b := range r.o.Bases.Serving() {
		serving[b.Generation], contents[b.Digest] = true, true
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.rebased++
	for b := range r.bound {
		if b.stale = !serving[b.base.Generation]; b.stale && b.leases == 0 {
			r.drop(b)
		}
	}
	for generation := range r.plain {
		if !serving[generation] {
			delete(r.plain, generation)
		}
	}
	for _, e := range r.entries {
		if e.base {
			r.enqueue(e)
		}
		if e.current != nil {
			maps.DeleteFunc(e.current.fits, func(digest, _ string) bool { return !contents[digest] })
		}
	}
}
