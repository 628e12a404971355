package adapters

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"time"

	"github.com/weft-run/weft/runtime/near"
)

// Status is what one generation is, or why a name has none. What comes from the files is zero where they were never read.
type Status struct {
	ID        int
	Name      string
	Aliases   []string
	State     string
	Reason    string // why the state is not published; beside published, why newer content under the name is not
	Next      string // beside published, the state of newer content under the name
	Files     []File
	About     About
	For       string // the base that settings or files name
	Number    uint64
	Digest    string
	Pinned    bool
	Leases    int
	Resident  int64
	Seen      time.Time
	Published time.Time
	Bases     []OnBase
}

// OnBase is what is known of a generation on a base that it is for.
type OnBase struct {
	Base       BaseInfo
	Difference float64 // of the probe's logits, relative; 0: not tested there yet
	Resident   int64
}

// List says of every name, and of every generation that is still held, what it is and how it is: names in order, and for each first what is
// published or why nothing is, then what is retiring, the newest first.
func (r *Registry) List() []Status {
	serving := r.o.Bases.Serving()
	r.mu.Lock()
	defer r.mu.Unlock()
	list := make([]Status, 0, len(r.entries)+len(r.retired))
	for _, e := range r.entries {
		list = append(list, r.status(e, serving))
	}
	for _, g := range r.retired {
		s := r.describe(g, nil)
		s.ID, s.State = r.ids[g.name], StateRetiring
		list = append(list, s)
	}
	slices.SortFunc(list, func(a, b Status) int {
		return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(retiring(a), retiring(b)), cmp.Compare(b.Number, a.Number))
	})
	return list
}

func retiring(s Status) int {
	if s.State == StateRetiring {
		return 1
	}
	return 0
}

// Status says of one name or alias what List does.
func (r *Registry) Status(name string) (Status, error) {
	serving := r.o.Bases.Serving()
	r.mu.Lock()
	defer r.mu.Unlock()
	e := r.entry(name)
	if e == nil {
		return Status{}, &NotFoundError{Name: name, Near: r.near(name)}
	}
	return r.status(e, serving), nil
}

// status describes an entry. The caller holds mu.
func (r *Registry) status(e *entry, serving []BaseInfo) Status {
	s := Status{Name: e.origin.Name, State: e.state, Files: e.origin.Files, For: e.origin.Base, Seen: e.seen}
	if e.about != nil {
		s.About = *e.about
		s.For = cmp.Or(s.For, e.about.BaseName)
	}
	if e.current != nil {
		s = r.describe(e.current, serving)
		s.State, s.Next = StatePublished, e.state
	}
	s.ID, s.Reason, s.Aliases, s.Pinned = e.id, e.reason, slices.Clone(e.aliases), e.pinned
	return s
}

// describe describes a generation. The caller holds mu.
func (r *Registry) describe(g *generation, serving []BaseInfo) Status {
	s := Status{
		Name: g.name, Files: g.origin.Files, About: *g.about, For: cmp.Or(g.origin.Base, g.about.BaseName),
		Number: g.number, Digest: g.digest, Leases: g.leases, Seen: g.seen, Published: g.published,
	}
	for _, b := range g.bound {
		s.Resident += b.bytes
	}
	known := called(serving, func(b BaseInfo) bool { _, known := g.fits[b.Digest]; return known })
	if len(known) == 0 {
		return s
	}
	for _, base := range r.match(g, known).bases {
		on := OnBase{Base: base}
		if b := g.bound[base.Generation]; b != nil {
			on.Resident = b.bytes
		}
		if text, proven := r.proofs.Get(proofKey(g.digest, base.Digest)); proven {
			on.Difference = differenceOf(text)
		}
		s.Bases = append(s.Bases, on)
	}
	return s
}

// Memory returns the bytes that bound adapters take, and the budget, 0 when there is none.
func (r *Registry) Memory() (resident, budget int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.resident, r.o.Budget
}

// Has says whether files have a name or an alias.
func (r *Registry) Has(name string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.entry(name) != nil
}

// Name is the name of the adapter that an ID stands for.
func (r *Registry) Name(id int) (string, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for name, e := range r.entries {
		if e.id == id {
			return name, true
		}
	}
	return "", false
}

// near lists the names and aliases that look like name. The caller holds mu.
func (r *Registry) near(name string) []string {
	known := make([]string, 0, len(r.entries)+len(r.aliases))
	for n := range r.entries {
		known = append(known, n)
	}
	for n := range r.aliases {
		known = append(known, n)
	}
	return near.Names(name, known)
}

// Bases lists the bases in service that the published generation of a name is for; it waits as Acquire does.
func (r *Registry) Bases(ctx context.Context, name string) ([]BaseInfo, error) {
	g, err := r.find(ctx, name)
	if err != nil {
		return nil, err
	}
	defer r.release(g)
	m, err := r.matchNow(g, r.o.Bases.Serving())
	if err != nil {
		return nil, r.lost(g, err)
	}
	if len(m.bases) == 0 {
		return nil, &RefusedError{Name: name, Reason: m.problem}
	}
	return m.bases, nil
}

// Replaceable says whether a name points at a generation and nothing newer lies there: a *StaleError says what does.
func (r *Registry) Replaceable(name string, generation uint64) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	e := r.entries[name]
	if e == nil || e.current == nil {
		return &StaleError{Name: name, Want: generation}
	}
	have := e.current.number
	coming := e.key != e.current.key() && e.state != StateRefused
	if have != generation || coming {
		return &StaleError{Name: name, Want: generation, Have: have, Coming: have == generation}
	}
	return nil
}

// Pin keeps an adapter in memory, once it is there, whatever the budget says; or no more.
func (r *Registry) Pin(name string, pinned bool) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	e := r.entry(name)
	if e == nil {
		return &NotFoundError{Name: name, Near: r.near(name)}
	}
	e.pinned = pinned
	return nil
}

// Unload drops an adapter from memory where no request holds it. It comes back when one does.
func (r *Registry) Unload(name string) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	e := r.entry(name)
	if e == nil {
		return &NotFoundError{Name: name, Near: r.near(name)}
	}
	if e.current == nil {
		return nil
	}
	for _, b := range e.current.bound {
		if b.leases == 0 {
			r.drop(b)
		}
	}
	return nil
}

// GiveBack drops the adapters from memory that no request holds and that are not pinned, and returns how many bytes that are. They come back when
// one wants them.
func (r *Registry) GiveBack() (bytes int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for b := range r.bound {
		if b.leases == 0 && !r.pinned(b) {
			bytes += b.bytes
			r.drop(b)
		}
	}
	return bytes
}

// Load brings an adapter into memory for every base that it is for, which tests it where that has not been done.
func (r *Registry) Load(ctx context.Context, name string) error {
	return r.onEach(ctx, name, func(*Lease, Base) error { return nil })
}

// Test proves an adapter anew on every base that it is for.
func (r *Registry) Test(ctx context.Context, name string) error {
	return r.onEach(ctx, name, func(l *Lease, base Base) error { return r.test(l.b, base) })
}

// onEach leases an adapter on every base that it is for, one after the other, and does something with it there.
func (r *Registry) onEach(ctx context.Context, name string, do func(*Lease, Base) error) error {
	bases, err := r.Bases(ctx, name)
	if err != nil {
		return err
	}
	var errs []error
	for _, info := range bases {
		errs = append(errs, r.on(ctx, name, info.Name, do))
	}
	return errors.Join(errs...)
}

func (r *Registry) on(ctx context.Context, name, base string, do func(*Lease, Base) error) error {
	b, err := r.o.Bases.Lease(ctx, base)
	if err != nil {
		return err
	}
	defer b.Release()
	l, err := r.Acquire(ctx, name, b)
	if err != nil {
		return err
	}
	defer l.Release()
	return do(l, b)
}
