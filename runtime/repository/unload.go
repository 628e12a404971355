package repository

import (
	"context"
	"slices"

	"github.com/weft-run/weft/runtime/models"
)

// Unloading takes a model out of service and keeps its name: a rest stands where the generation stood, and Sync leaves what rests alone until
// it is wanted or its content changes. What wants it takes the rest away and has Sync look again, so that there is one way into service.

// Cause says why a model was unloaded.
type Cause string

// The causes.
const (
	CauseAsked    Cause = "asked"    // by an administrator
	CauseIdle     Cause = "idle"     // nobody wanted it for as long as its settings say
	CauseRoom     Cause = "room"     // another model wants its memory
	CausePressure Cause = "pressure" // the machine wants its memory
)

// rest says why content is not to be in service until somebody wants it.
type rest struct {
	key   string // of the content
	why   string
	short bool // it found no memory: it may have what others give back
}

// known is what stays of a generation that was unloaded.
type known struct {
	key    string
	status Status
	base   Base
	digest *string
}

// Base is what is known of a model beside its weights: enough to say which adapters are for it.
type Base struct {
	Name        string
	Generation  uint64 // 0: it is unloaded
	Digest      string // of the header
	Aliases     []string
	CallsItself []string
	// Architecture and Targets say what can be changed. Biases of one that is unloaded have no values.
	Architecture string
	Targets      []models.Target
}

// Bases lists the models in service and those that a request brings back, by name.
func (r *Repository) Bases() []Base {
	list := []Base{}
	for _, m := range r.Serving() {
		list = append(list, m.Base())
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, e := range r.entries {
		if e.current == nil && e.known != nil && e.known.key == e.seenKey && e.state != StateRefused {
			list = append(list, e.known.base)
		}
	}
	return list
}

// Base is what is known of the generation beside its weights.
func (m *Model) Base() Base {
	return Base{
		Name: m.Name, Generation: m.Generation, Digest: m.HeaderDigest, Aliases: m.Settings.Aliases, CallsItself: m.CallsItself,
		Architecture: m.Config.Architecture, Targets: m.Network.Targets(),
	}
}

// Unload takes a model out of service until a request wants it. Its memory is given back when the last lease ends. What is not in service is
// kept from coming into it. The error is a *NotFoundError, or a *RefusedError where the content that serves is not there any more.
func (r *Repository) Unload(name string) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	e := r.entry(name)
	switch {
	case e == nil:
		return &NotFoundError{Name: name, Near: r.near(name)}
	case e.current != nil && e.current.key != e.seenKey:
		return &RefusedError{Name: name, Reason: "its file is not the one that serves any more, so it could not come back: " + e.reason}
	case e.current == nil && e.state != StateChecking:
		return nil
	}
	r.unload(e, CauseAsked, "it was unloaded; a request has it loaded again")
	return nil
}

// unload puts a rest in the place of what is in service, or is on its way there. The caller holds mu; what serves is what lies there.
func (r *Repository) unload(e *entry, cause Cause, why string) {
	m := e.current
	e.current, e.again, e.woken = nil, false, false
	e.lieDown(&rest{key: e.seenKey, why: why})
	if m == nil {
		return
	}
	e.known = &known{key: m.key, status: m.status(StateUnloaded), base: m.Base(), digest: m.digest.Load()}
	// The generation goes; the next one has a number of its own.
	e.known.status.Memory, e.known.status.Leases, e.known.status.Generation, e.known.base.Generation = 0, 0, 0, 0
	e.known.base.Targets = withoutBiases(e.known.base.Targets)
	m.resting = true
	r.log.Info("model leaves service until it is wanted", "model", m.Name, "generation", m.Generation, "cause", string(cause), "leases", m.leases)
	if r.o.Unloaded != nil {
		r.o.Unloaded(m.Name, cause)
	}
	r.retire(m)
}

// withoutBiases keeps that there are biases: their values lie where the weights lay.
func withoutBiases(targets []models.Target) []models.Target {
	targets = slices.Clone(targets)
	for i := range targets {
		if targets[i].Bias != nil {
			targets[i].Bias = []float32{}
		}
	}
	return targets
}

// lieDown begins a rest. The caller holds mu.
func (e *entry) lieDown(why *rest) {
	e.rest, e.due = why, nil
	e.note(why.why, StateUnloaded)
}

// leaveUnloaded notes that what lies there rests.
func (r *Repository) leaveUnloaded(l *look) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if e := r.entries[l.source.Name]; e != nil && e.rest != nil && e.current == nil {
		e.lieDown(e.rest)
	}
}

// wakeUp ends the rest of a model that somebody wants. One that requests still hold is in service again at once. The caller holds mu.
func (r *Repository) wakeUp(e *entry) {
	e.used = r.now()
	if e.current != nil || e.rest == nil || e.state != StateUnloaded {
		return
	}
	key := e.rest.key
	e.rest = nil
	i := slices.IndexFunc(r.retired, func(m *Model) bool {
		return m.resting && !m.buried && m.lost == nil && m.key == key && r.entries[m.Name] == e
	})
	if i >= 0 && key == e.seenKey {
		m := r.retired[i]
		r.retired = slices.Delete(r.retired, i, i+1)
		m.retired, m.resting = false, false
		e.current, e.known = m, nil
		e.note("", "")
		r.o.Changed()
		return
	}
	e.woken, e.asked = true, e.used
	e.note("it is being loaded again", StateChecking)
	if r.idle == nil {
		r.idle = make(chan struct{}) // Wait waits for it
	}
	signal(r.wanted)
}

// refusal says why an entry has nothing in service. The caller holds mu.
func (e *entry) refusal(name string) *RefusedError {
	checking := e.state == StateChecking
	return &RefusedError{Name: name, Reason: e.reason, Waiting: e.state == StateSettling || checking, Loading: checking && e.woken}
}

// goes says whether a generation of an entry that was unloaded is giving its memory back: what its sessions leave is being written,
// which the next generation is to find. The caller holds mu.
func (r *Repository) goes(e *entry) bool {
	return slices.ContainsFunc(r.retired, func(m *Model) bool { return m.resting && m.buried && m.Name == e.source.Name })
}

// remember gives a generation the digest of the one that was unloaded, where the content is the same.
func (r *Repository) remember(e *entry, m *Model) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if e.known != nil && e.known.key == m.key && e.known.digest != nil {
		m.digest.Store(e.known.digest)
	}
}

// Load has a model loaded that is unloaded, and waits until it is in service or refused, as long as ctx allows. The error is a
// *NotFoundError, a *RefusedError, ErrClosed or the context's.
func (r *Repository) Load(ctx context.Context, name string) error {
	return r.await(ctx, name, r.wakeUp, func(e *entry) bool { return e.current != nil })
}

// Reload loads what lies under a name anew, file and settings, as another generation, whether it is in service, unloaded or refused; and
// waits as Load does. Where that fails, what was in service stays.
func (r *Repository) Reload(ctx context.Context, name string) error {
	var refusals int
	return r.await(ctx, name, func(e *entry) {
		refusals = e.refusals
		e.rest, e.again, e.used = nil, true, r.now()
		e.asked = e.used
		e.note("it is being loaded again", StateChecking)
		signal(r.wanted)
		signal(r.lined) // it may be in line already, and wait for requests
	}, func(e *entry) bool { return !e.again && e.checking == "" && e.refusals == refusals && e.current != nil })
}

// await does something to an entry that has it loaded, and waits until that is done or has come to nothing.
func (r *Repository) await(ctx context.Context, name string, begin func(*entry), done func(*entry) bool) error {
	r.mu.Lock()
	e := r.entry(name)
	if e != nil {
		begin(e)
	}
	for {
		switch {
		case r.closed:
			r.mu.Unlock()
			return ErrClosed
		case e == nil || r.entries[e.source.Name] != e:
			defer r.mu.Unlock()
			return &NotFoundError{Name: name, Near: r.near(name)}
		case done(e):
			r.mu.Unlock()
			return nil
		case !e.again && !e.woken && e.checking == "" && e.state != StateChecking:
			defer r.mu.Unlock()
			refusal := e.refusal(name)
			if e.current != nil { // the next look has seen by now that what serves is what lies there
				refusal.Reason = e.lastRefusal
			}
			return refusal
		}
		news := e.news
		r.mu.Unlock()
		select {
		case <-news:
		case <-ctx.Done():
			return ctx.Err()
		}
		r.mu.Lock()
	}
}

// Pin keeps a model loaded, once it is, whatever others want its memory for and however long nobody wants it; or no more.
func (r *Repository) Pin(name string, pinned bool) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	e := r.entry(name)
	if e == nil {
		return &NotFoundError{Name: name, Near: r.near(name)}
	}
	e.pinned = pinned
	signal(r.wanted)
	return nil
}

// isPinned says so, by Pin or by its settings. The caller holds mu.
func (e *entry) isPinned() bool { return e.pinned || e.source.Settings.Pinned }

// tell wakes those who wait for news of the entry. The caller holds mu.
func (e *entry) tell() {
	close(e.news)
	e.news = make(chan struct{})
}
