// Package repository owns the models in service: which file stands behind a name, its mapping, engine, tokenizer and template,
// the memory that all of them together may take, and the moment when each is let go. It watches no folder (daemon/watch does)
// and computes nothing (runtime/engine does).
//
// It is level-triggered: Sync is told everything that there is now, compares it with what is in service, and loads, swaps
// and retires until the two agree. What cannot be loaded is listed with the reason, is tried again when it changes, and never
// takes down what was in service under its name. What is there and in service may be unloaded, because it is asked for, idle, or others want
// its memory (unload.go): its name stays, and the first request for it has it loaded again.
//
// A model in service is one immutable generation. A request takes a lease on it and keeps that generation to its end: replacing
// and removing a model only take it out of the list, and its engine is closed and its file unmapped after the last lease. A
// generation whose file was truncated or written in place has lost its weights, and one in which a block is infinite or not a number
// never had them all: it leaves service at once, and its
// requests fail.
//
// Units: sizes are bytes, contexts are tokens. A Repository is safe for concurrent use. It runs four goroutines until
// Close, which bury what was retired, read models in the background, for their digests and for damaged weights, unload what is idle, and begin checks, with
// one more for each of these.
package repository

import (
	"context"
	"log/slog"
	"os"
	"sync"
	"time"

	"github.com/weft-run/weft/kernels"
	"github.com/weft-run/weft/runtime/engine"
	"github.com/weft-run/weft/runtime/gguf"
)

// Options are what a Repository is made of.
type Options struct {
	// OpenBackend opens a backend for one engine of a model, by the model's name.
	OpenBackend func(model string) kernels.Backend
	// Calm is called when the reading of a model is over, which takes cores from the steps of others. May be nil.
	Calm func()
	// Budget bounds weights, caches and scratch memory of all models together; 0 does not.
	Budget int64
	// Defaults are the settings for what a Source leaves open.
	Defaults Settings
	// StepTokens, PageTokens and MaxQueue are those of every engine.
	StepTokens, PageTokens, MaxQueue int
	// ReadTimeout is how long an engine waits for a stream's reader; 0 is the engine's own choice.
	ReadTimeout time.Duration
	// Spill says where pages go that are to outlast an engine; the repository fills in model and digest.
	Spill engine.Spill
	// Limits are those for reading files; the zero value means gguf.DefaultLimits.
	Limits gguf.Limits
	// StateDir is where digests are remembered; nil: nowhere.
	StateDir *os.Root
	// Changed is called when a generation has come into service or left it. It must neither wait nor call back. May be nil.
	Changed func()
	// Unloaded is told of each model that is unloaded, and why. It must neither wait nor call back. May be nil.
	Unloaded func(model string, cause Cause)
	// Observer makes the observer of a model's engine. May be nil.
	Observer func(model string) engine.Observer
	Log      *slog.Logger
}

// Settings are how a model is served. A generation includes them: a change is a swap. A zero field takes the default.
type Settings struct {
	ContextLen  int    // tokens of one sequence; 0: the model's own, then what memory allows
	Parallel    int    // sequences in one step
	CacheType   string // a name of kernels.ParseCacheType; where the model does not fit a quantized one, f16 serves
	Speculation string // "auto" or "off": see engine.Config.NoSpeculation
	Sharing     string // SharingOn or SharingOff: see engine.Config.NoSharing
	Draft       string // name of the model that guesses for this one, or ""; for who joins the two: here it only makes part of the generation
	Template    string // Jinja text, or the name of a template that the program has; "": the file's own
	Sampling    map[string]float64
	Aliases     []string
	IdleUnload  time.Duration // without a request for so long it is unloaded; 0: the default, and of that never; negative: never
	Pinned      bool          // it is never unloaded but by Unload
	// DefaultAdapters are for who serves requests; the repository only makes them part of the generation.
	DefaultAdapters []string
}

// What Settings.Sharing may be.
const (
	SharingOn  = "on"
	SharingOff = "off"
)

// Source is one name of the models folder as it lies there now.
type Source struct {
	Name string
	// Paths are the model's files, a split set in the order of its numbers.
	Paths []string
	// Builtin is the model itself, in place of Paths.
	Builtin  []byte
	Settings Settings
	// Missing says what files the model lacks, Waiting why those that are there do not count yet: what was in service stays, and
	// nothing is loaded.
	Missing, Waiting string
	// Problem says why this cannot be a model as it lies there.
	Problem string
}

// Repository is the set of models.
type Repository struct {
	o     Options
	log   *slog.Logger
	start time.Time
	now   func() time.Time // tests have others

	patience time.Duration // probePatience; tests have another

	syncing sync.Mutex // held by the one Sync that runs; taken before mu
	last    []Source   // guarded by syncing: of the last Sync

	mu         sync.Mutex
	entries    map[string]*entry // by name
	aliases    map[string]string // to names
	retired    []*Model          // out of service, held by leases or about to be buried
	dead       []*Model          // of retired: held by nobody
	generation uint64
	held       int64         // bytes that loaded models have reserved
	inCheck    int           // checks that run
	idle       chan struct{} // closed when nothing is being checked nor in line for it; nil while that is so
	closed     bool

	lined     chan struct{} // one message: something is in line to be checked
	wanted    chan struct{} // one message: something is to be loaded again, or may become idle at another time
	wake      chan struct{} // one message: there may be dead
	stop      context.CancelFunc
	workers   sync.WaitGroup
	inspector *inspector
}

// entry is one name of the models folder.
type entry struct {
	source     Source
	aliases    []string  // those that lead here
	current    *Model    // in service, or nil
	seenKey    string    // of what lies there
	changed    time.Time // latest change of its files
	seen       time.Time // when it came
	state      string    // of what lies there: StateSeen, StateSettling, StateChecking, StateRefused, or "" when it is in service
	reason     string    // why what lies there is not in service; "" when it is
	told       string    // the last refusal that the log has: content and reason
	refusedKey string    // of the content that was refused for good: it is not tried again
	short      bool      // newer content was refused for want of memory
	retry      time.Time // when what the system could not read is tried again, or zero
	due        *look     // in line to be checked, or nil
	checking   string    // key of what is being checked, or ""

	rest   *rest         // why it is not to be in service until a request wants it, or nil
	known  *known        // of its last generation, while that is unloaded; or nil
	woken  bool          // it rested, and somebody wants it
	asked  time.Time     // when somebody had it loaded again, if anybody did
	again  bool          // it is to be loaded although its content is in service
	pinned bool          // Pin was asked for
	used   time.Time     // when it came into service, or a request let it go or wanted it last
	news   chan struct{} // closed at the next change of state

	refusals    int       // how often something that lay there was not taken into service
	lastRefusal string    // why, the last time
	refusedAt   time.Time // and when
}

// New returns an empty repository and starts its goroutines.
func New(o Options) *Repository {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Calm == nil {
		o.Calm = func() {}
	}
	if o.Changed == nil {
		o.Changed = func() {}
	}
	if o.Limits == (gguf.Limits{}) {
		o.Limits = gguf.DefaultLimits()
	}
	ctx, stop := context.WithCancel(context.Background())
	r := &Repository{
		o: o, log: o.Log, start: time.Now(), stop: stop,
		entries: map[string]*entry{}, aliases: map[string]string{},
		lined: make(chan struct{}, 1), wake: make(chan struct{}, 1), wanted: make(chan struct{}, 1), now: time.Now,
		patience: probePatience,
	}
	r.inspector = newInspector(o.StateDir, o.Log, r.fail, r.Busy)
	r.workers.Go(func() { r.reap(ctx) })
	r.workers.Go(func() { r.inspector.run(ctx) })
	r.workers.Go(func() { r.runChecks(ctx) })
	r.workers.Go(func() { r.tend(ctx) })
	return r
}

// Close takes all models out of service, ends their streams, and unmaps their files: those on which leases are held with the last
// of these.
func (r *Repository) Close() {
	r.mu.Lock()
	r.closed = true
	for _, e := range r.entries {
		if e.current != nil {
			r.retire(e.current)
		}
		e.tell()
	}
	clear(r.entries)
	clear(r.aliases)
	r.tellIdle()
	r.mu.Unlock()
	r.stop()
	r.workers.Wait()
	r.mu.Lock()
	dead := r.dead
	var held []*Model
	for _, m := range r.retired {
		switch {
		case m.buried: // in dead, or by a Release
		case m.leases == 0:
			m.buried = true
			dead = append(dead, m)
		default:
			held = append(held, m)
		}
	}
	r.dead = nil
	r.mu.Unlock()
	for _, m := range held {
		r.inspector.hasten(m)
		m.Engine.Close()
	}
	for _, m := range dead {
		r.bury(context.Background(), m) // no engine computes any more
	}
}

// Memory returns the bytes that models have reserved, and the budget, 0 when there is none.
func (r *Repository) Memory() (held, budget int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.held, r.o.Budget
}

// Acquire leases the model of a name, or of an alias, exactly matched. One that is unloaded is loaded from now on: the error says so, and Load waits
// for it. The error is a *NotFoundError, a *RefusedError or ErrClosed.
func (r *Repository) Acquire(name string) (*Lease, error) {
	m, err := r.find(name)
	if err != nil {
		return nil, err
	}
	// Outside the lock: the file system may be slow. What was changed in place is refused here, before a request has begun.
	if err := m.intact(); err != nil {
		r.fail(m, err)
		r.release(m)
		return nil, &RefusedError{Name: name, Reason: lostReason(err)}
	}
	return &Lease{Model: m, r: r}, nil
}

// find counts a lease on the model in service.
func (r *Repository) find(name string) (*Model, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return nil, ErrClosed
	}
	e := r.entry(name)
	if e == nil {
		return nil, &NotFoundError{Name: name, Near: r.near(name)}
	}
	r.wakeUp(e)
	if e.current == nil {
		return nil, e.refusal(name)
	}
	e.current.leases++
	return e.current, nil
}

// entry finds a name or an alias. The caller holds mu.
func (r *Repository) entry(name string) *entry {
	if e := r.entries[name]; e != nil {
		return e
	}
	return r.entries[r.aliases[name]]
}

func (r *Repository) release(m *Model) {
	r.mu.Lock()
	m.leases--
	if e := r.entries[m.Name]; e != nil && e.current == m {
		e.used = r.now()
		if e.due != nil && m.leases == 0 {
			signal(r.lined) // there may be room beside an older generation now
		}
	}
	if m.leases < 0 {
		panic("BUG: repository: more leases released than taken")
	}
	// Once the repository is closed there is no reaper, and the engine has ended, so that burying is quick.
	last := r.closed && m.retired && m.leases == 0 && !m.buried
	if last {
		m.buried = true
	} else {
		r.buryIfFree(m)
	}
	r.mu.Unlock()
	if last {
		r.bury(context.Background(), m) // no engine computes any more
	}
}
