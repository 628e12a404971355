package adapters

import (
	"context"
	"log/slog"
	"os"
	"slices"
	"sync"
	"time"

	"github.com/weft-run/weft/runtime/ledger"
)

// Options are what a Registry is made of.
type Options struct {
	Bases Bases
	// Budget bounds the bytes of bound adapters; 0 does not.
	Budget int64
	// Settle is how long one file of two may be new alone before the pair counts.
	Settle time.Duration
	// StateDir is where digests and proofs are remembered; nil: nowhere.
	StateDir *os.Root
	Log      *slog.Logger
}

// The states of an adapter, in the order in which it goes through them.
const (
	StateSeen      = "seen"     // some of its files are missing
	StateSettling  = "settling" // its files are there, and not still yet, or not read yet
	StateParsed    = "parsed"   // its headers are read, and it waits for a base that it fits
	StateChecked   = "checked"  // it fits a base, and waits to be tested
	StatePublished = "published"
	StateRefused   = "refused"
	StateRetiring  = "retiring" // replaced or removed; requests that began with it still run
)

// What is remembered from one run to the next.
var (
	digestKind = ledger.Kind{File: "adapters", What: "digests of adapters", Max: 20_000, Good: isDigest}
	proofKind  = ledger.Kind{File: "proofs", What: "proofs of adapters", Max: 20_000, Good: isDifference}
)

// Registry is the set of adapters: which generation stands behind a name, who holds it, and what of it is in memory.
//
// It is level-triggered as the model repository is: Sync is told everything that there is now. What is new goes through admission in the
// background: seen, settling, parsed, checked, tested, published. A generation is immutable. A request leases the one that is published
// when it comes and keeps it to its end; replacing and removing only change what the name points at, and a retired generation goes with
// its last lease. What is refused stays listed with its reason and takes nothing out of service.
//
// A generation is bound to a base's generation when it is first wanted there, and is dropped with either of the two, or for want of
// room while nobody holds it. It is safe for concurrent use and runs one goroutine until Close.
type Registry struct {
	o       Options
	log     *slog.Logger
	open    func(o *Origin) (content, error) // tests give others
	now     func() time.Time
	digests *ledger.Ledger // of content, by the files' identity
	proofs  *ledger.Ledger // how much an adapter changes a base, by both digests
	loads   chan struct{}  // holds one message for each load that runs: each takes memory beyond the budget

	ctx    context.Context // ends with Close
	stop   context.CancelFunc
	wake   chan struct{} // one message: there is something to do
	worker sync.WaitGroup

	mu         sync.Mutex
	entries    map[string]*entry
	aliases    map[string]string // to names
	ids        map[string]int    // of every name that was ever seen
	line       []*entry          // to be admitted: in front those that somebody waits for, or that replace what is published
	held       []*entry          // one of their two files waits for the other
	unproven   []*entry          // checked; tested in idle time
	generation uint64
	retired    []*generation // held by leases
	bound      map[*binding]bool
	resident   int64 // bytes of bound
	tick       uint64
	plain      map[uint64][]float32 // logits of the probe prompt without adapter, by the base's generation
	rebased    int                  // how often the bases have changed
	closed     bool
}

// entry is one name of the adapters folder.
type entry struct {
	id      int
	origin  Origin
	key     string // of what lies there
	seen    time.Time
	state   string // of what lies there, "" where that is published
	reason  string
	told    string // the last refusal that the log has
	about   *About // of what lies there, once its headers are read
	current *generation
	aliases []string // those that lead here
	pinned  bool
	wanted  bool          // somebody waits for it
	due     bool          // in line, and not admitted since
	busy    bool          // being admitted
	base    bool          // the state holds until the bases change
	hold    time.Time     // until when it waits: one new file of two for the other, what could not be used or read for the next try; zero: it does not
	news    chan struct{} // closed at the next change of the above
}

// generation is one state of a name's content. What does not change is set before it is published.
type generation struct {
	name      string
	number    uint64
	origin    Origin
	about     *About
	digest    string
	home      string // the base that it was published for
	seen      time.Time
	published time.Time

	// Guarded by Registry.mu.
	leases  int
	retired bool
	bound   map[uint64]*binding // by the base's generation
	fits    map[string]string   // why it does not fit a base of that shape; "": it does
}

// New returns an empty registry and starts its goroutine.
func New(o Options) *Registry {
	r := newRegistry(o)
	r.worker.Go(r.run)
	return r
}

// newRegistry makes a registry whose work nobody does yet.
func newRegistry(o Options) *Registry {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	ctx, stop := context.WithCancel(context.Background())
	return &Registry{
		o: o, log: o.Log, open: openContent, now: time.Now, ctx: ctx, stop: stop, wake: make(chan struct{}, 1),
		digests: ledger.Open(o.StateDir, digestKind, o.Log), proofs: ledger.Open(o.StateDir, proofKind, o.Log),
		loads: make(chan struct{}, maxLoads), entries: map[string]*entry{}, aliases: map[string]string{}, ids: map[string]int{},
		bound: map[*binding]bool{}, plain: map[uint64][]float32{},
	}
}

// Close ends admission. Leases that are out stay good.
func (r *Registry) Close() {
	r.mu.Lock()
	r.closed = true
	for _, e := range r.entries {
		e.tell()
	}
	r.mu.Unlock()
	r.stop()
	r.worker.Wait()
	r.digests.Flush()
	r.proofs.Flush()
}

// enqueue puts an entry in line to be admitted. The caller holds mu.
func (r *Registry) enqueue(e *entry) {
	urgent := e.wanted || e.current != nil
	switch {
	case e.waits(r.now()):
		r.held = append(r.held, e)
	case urgent:
		r.line = slices.Insert(r.line, 0, e) // it may stand further back too, where it is passed over
		e.due = true
	case !e.due:
		r.line = append(r.line, e)
		e.due = true
	}
	r.signal()
}

const (
	// idleLook is how often the registry asks whether the machine is idle, while something is left to be tested then.
	idleLook = 250 * time.Millisecond
	// troubleRest is how long what the system could not read waits for the next try.
	troubleRest = 10 * time.Second
)

// tryAgain puts an entry in line after a while. The caller holds mu.
func (r *Registry) tryAgain(e *entry, wait time.Duration) {
	e.hold = r.now().Add(wait)
	r.held = append(r.held, e)
}

// note says what becomes of what lies there. The caller holds mu.
func (e *entry) note(state, reason string) {
	if e.state == state && e.reason == reason {
		return
	}
	e.state, e.reason, e.base = state, reason, false
	e.tell()
}

// tell wakes those who wait for news of the entry. The caller holds mu.
func (e *entry) tell() {
	close(e.news)
	e.news = make(chan struct{})
}

// refuse notes and logs why what lies there is not published. The caller holds mu.
func (r *Registry) refuse(e *entry, reason string) {
	e.note(StateRefused, reason)
	r.tellRefusal(e)
}

func (r *Registry) tellRefusal(e *entry) {
	if tell := e.key + e.reason; e.told != tell {
		e.told = tell
		r.log.Warn("adapter refused", "adapter", e.origin.Name, "reason", e.reason, "still_serving", e.current != nil)
	}
}

func (r *Registry) signal() {
	select {
	case r.wake <- struct{}{}:
	default:
	}
}

// retire takes a generation out of service. The caller holds mu and has taken it out of its entry.
func (r *Registry) retire(g *generation) {
	g.retired = true
	if g.leases > 0 {
		r.retired = append(r.retired, g)
		return
	}
	r.bury(g)
}

// bury drops all that a generation has in memory. The caller holds mu, and nobody holds the generation.
func (r *Registry) bury(g *generation) {
	for _, b := range g.bound {
		r.drop(b)
	}
	r.retired = slices.DeleteFunc(r.retired, func(x *generation) bool { return x == g })
	r.log.Info("adapter unloaded", "adapter", g.name, "generation", g.number)
}
