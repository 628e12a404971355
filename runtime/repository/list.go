package repository

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"github.com/weft-run/weft/runtime/engine"
	"github.com/weft-run/weft/runtime/near"
)

// The states of a model, in the order in which it goes through them.
const (
	StateSeen     = "seen"     // some of its files are there, and others are missing
	StateSettling = "settling" // its files are there, and not still yet
	StateChecking = "checking" // it is read and loaded up to its first token, or in line for that
	StateServing  = "serving"
	StateRefused  = "refused"
	StateUnloaded = "unloaded" // it gave its memory back, or there was none for it; a request has it loaded
	StateRetiring = "retiring" // replaced or removed; requests that began on it still run
)

// Status is what one generation is, or why a name has none. Fields that come from the file are zero where it was never loaded.
type Status struct {
	Name  string
	State string
	// Reason says why the state is not serving; beside serving, why newer content under the name is not in service.
	Reason string
	// Next is, beside serving, the state of newer content under the name that is not in service: seen, settling, checking, refused.
	Next            string
	Aliases         []string
	Pinned          bool   // it is not unloaded for others, nor because nobody wants it
	LastRefusal     string // why what lay there was refused the last time, and when
	LastRefused     time.Time
	Used            time.Time // when a request let it go, or it came into service
	Builtin         bool
	Files           []string
	Bytes           int64 // of the files
	Memory          int64 // reserved in the budget
	Generation      uint64
	Leases          int
	Architecture    string
	Quantization    string
	Parameters      int64
	ContextLen      int
	CacheType       string // as served
	Draft           string // by the settings
	Template        string // where it comes from; "": there is none that can be used
	TemplateProblem string
	HeaderDigest    string
	Digest          string // "" while it is being computed
	// Arrived is when the content was there: for a file that came by rename the time of the rename. Wanted is the same, or when somebody
	// had it loaded again. Served is when its first token had been computed.
	Arrived, Wanted, Served time.Time
	Engine                  engine.Stats
}

// List says of every name, and of every generation that is still held, what it is and how it is: names in order, and for each
// what is in service or why nothing is, then what is retiring, the newest first.
func (r *Repository) List() []Status {
	list, engines := r.list()
	// Outside the lock: an engine calls back into the repository.
	for i, e := range engines {
		if e != nil {
			list[i].Engine = e.Stats()
		}
	}
	return list
}

// Status says of one name or alias what List does.
func (r *Repository) Status(name string) (Status, error) {
	r.mu.Lock()
	e := r.entry(name)
	if e == nil {
		defer r.mu.Unlock()
		return Status{}, &NotFoundError{Name: name, Near: r.near(name)}
	}
	s, engine := e.status()
	r.mu.Unlock()
	if engine != nil {
		s.Engine = engine.Stats()
	}
	return s, nil
}

// status describes an entry, but for its engine, nil where it has none. The caller holds mu.
func (e *entry) status() (Status, *engine.Engine) {
	s := Status{Name: e.source.Name, State: e.state, Files: e.source.Paths, Builtin: e.source.Builtin != nil, Arrived: e.seen}
	var engine *engine.Engine
	switch {
	case e.current != nil:
		s, engine = e.current.status(StateServing), e.current.Engine
		s.Next = e.state
	case e.known != nil && e.known.key == e.seenKey:
		s = e.known.status // of what lies there still, but for its memory
		s.State = e.state
	}
	s.Reason, s.Aliases, s.Pinned, s.Used = e.reason, slices.Clone(e.aliases), e.isPinned(), e.used
	s.LastRefusal, s.LastRefused = e.lastRefusal, e.refusedAt
	return s, engine
}

// Has says whether anything, served or not, has a name or an alias.
func (r *Repository) Has(name string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.entry(name) != nil
}

// Serving lists the generations in service, by name. They are not leased: what is exported of them may be looked at, and Network is not to
// be computed with.
func (r *Repository) Serving() []*Model {
	r.mu.Lock()
	defer r.mu.Unlock()
	list := make([]*Model, 0, len(r.entries))
	for _, e := range r.entries {
		if e.current != nil {
			list = append(list, e.current)
		}
	}
	slices.SortFunc(list, func(a, b *Model) int { return strings.Compare(a.Name, b.Name) })
	return list
}

func (r *Repository) list() ([]Status, []*engine.Engine) {
	type item struct {
		Status
		engine *engine.Engine
	}
	var items []item
	r.mu.Lock()
	for _, e := range r.entries {
		s, engine := e.status()
		items = append(items, item{s, engine})
	}
	for _, m := range r.retired {
		items = append(items, item{m.status(StateRetiring), m.Engine})
	}
	r.mu.Unlock()
	slices.SortFunc(items, func(a, b item) int {
		retiring := func(it item) int {
			if it.State == StateRetiring {
				return 1
			}
			return 0
		}
		return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(retiring(a), retiring(b)), cmp.Compare(b.Generation, a.Generation))
	})
	list, engines := make([]Status, len(items)), make([]*engine.Engine, len(items))
	for i, it := range items {
		list[i], engines[i] = it.Status, it.engine
	}
	return list, engines
}

// status describes a generation. The caller holds Repository.mu.
func (m *Model) status(state string) Status {
	digest, _ := m.Digest()
	return Status{
		Name: m.Name, State: state, Builtin: m.Builtin, Files: m.Files, Bytes: m.Bytes, Memory: m.Memory,
		Generation: m.Generation, Leases: m.leases, Architecture: m.Config.Architecture, Quantization: m.Quantization,
		Parameters: m.Parameters, ContextLen: m.ContextLen, CacheType: m.CacheType.String(), Draft: m.Settings.Draft,
		Template: m.TemplateOrigin, TemplateProblem: m.TemplateProblem,
		HeaderDigest: m.HeaderDigest, Digest: digest, Arrived: m.Arrived, Wanted: m.Wanted, Served: m.Served,
	}
}

// near lists the names and aliases that look like name. The caller holds mu.
func (r *Repository) near(name string) []string {
	known := make([]string, 0, len(r.entries)+len(r.aliases))
	for n := range r.entries {
		known = append(known, n)
	}
	for n := range r.aliases {
		known = append(known, n)
	}
	return near.Names(name, known)
}
