package engine

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/weft-run/weft/runtime/kvcache"
	"github.com/weft-run/weft/runtime/pagestore"
	"github.com/weft-run/weft/runtime/scheduler"
)

// Spill says where pages go that are to outlast the engine.
type Spill struct {
	Store    *pagestore.Store // nil: nowhere
	All      bool             // every request's, not only those of sessions
	Model    string           // as lists name it
	Numerics int              // the version of docs/numerics.md
	// Digest is the base's content digest, once it is known: on disk pages are known by it.
	Digest func() (digest string, known bool)
}

const (
	// outBytes and inBytes are moved between two steps, at least a page: some tenths of a millisecond, and a millisecond for a
	// request that waits.
	outBytes = 1 << 20
	inBytes  = 4 << 20
	// restTimes is how many times as long as it wrote the writer rests, so that others' steps have the processors and the disk.
	restTimes = 3
	// maxJobs is how many ended sequences may wait to be written; the oldest are given up, whose pages a later one of the session covers.
	maxJobs = 64
	// digestPatience is how long the writer waits between two looks whether the base's digest is known.
	digestPatience = 250 * time.Millisecond
	// flushTime is how long an engine that is closed goes on writing.
	flushTime = 5 * time.Second
)

// spiller moves pages between the cache and the disk. It has two goroutines, one that writes what sequences have left and one that reads what
// sequences begin with; the engine's own only copies pages in and out, between steps, and waits for neither. settle stops them.
type spiller struct {
	e       *Engine
	moves   chan *move
	stop    chan struct{} // closed: nothing is moved any more
	flushed chan struct{} // closed when nothing waits to be written, once hurry is set
	workers sync.WaitGroup

	asked    atomic.Bool  // a request came whose pages go to disk
	prefill  atomic.Int64 // tokens computed in a second, 0: not known; a moving average
	readRate float64      // bytes read and moved in a second, 0: not known; of the reader
	readAt   time.Time    // when that was seen; of the reader

	mu     sync.Mutex // guards what follows
	jobs   []job
	loads  []*Stream
	hurry  bool          // write without rest, and end
	jobbed chan struct{} // one message: jobs or hurry changed
	loaded chan struct{} // one message: loads changed
}

// job is an ended sequence whose pages are to be written.
type job struct {
	stream *Stream
	tokens []int32
	asked  time.Time
}

// move is what the spiller asks of the engine's goroutine.
type move struct {
	keys    []kvcache.Key
	data    []byte // [len(keys), bytes of a page], to be filled or to be stored; nil: pages are only looked for, and count as used
	in      bool
	lasting bool
	domain  string // whose pages they are
	n       int    // of the first keys, those that could be moved or found
	done    chan struct{}
}

func newSpiller(e *Engine) *spiller {
	sp := &spiller{
		e: e, moves: make(chan *move), stop: make(chan struct{}), flushed: make(chan struct{}),
		jobbed: make(chan struct{}, 1), loaded: make(chan struct{}, 1),
	}
	sp.workers.Go(sp.write)
	sp.workers.Go(sp.load)
	return sp
}

// moves is the channel of moves, or nil, on which nothing ever comes.
func (e *Engine) moves() chan *move {
	if e.spiller == nil {
		return nil
	}
	return e.spiller.moves
}

// move makes one move. It is the engine's goroutine's, between two steps.
func (e *Engine) move(m *move) {
	defer close(m.done)
	l := &e.loop
	if m.data == nil {
		t := kvcache.Table{Lasting: m.lasting, Domain: m.domain}
		m.n = l.manager.Match(&t, m.keys, nil) / e.cfg.PageTokens
		l.manager.Release(&t) // tail first, so the tail is the first to go
		return
	}
	size := len(m.data) / len(m.keys)
	for i, key := range m.keys {
		bytes := m.data[i*size : (i+1)*size]
		page, known := l.manager.Find(key)
		switch {
		case !m.in && known:
			e.cfg.Backend.ReadPage(bytes, l.pages.Cache, page)
		case m.in && !known:
			var ok bool
			if page, ok = l.manager.Adopt(key, m.domain); !ok {
				return
			}
			e.cfg.Backend.WritePage(l.pages.Cache, page, bytes)
		case !known:
			return
		}
		m.n++
	}
}

// ask has the engine's goroutine make a move. It returns how many pages that came to, 0 when the engine has ended.
func (sp *spiller) ask(m *move) int {
	m.done = make(chan struct{})
	select {
	case sp.moves <- m:
		<-m.done
		return m.n
	case <-sp.stop:
		return 0
	}
}

// spills says whether pages of a request go to disk.
func (e *Engine) spills(r *Request) bool {
	return e.spiller != nil && (r.Session != "" || e.cfg.Spill.All)
}

// Keeps says whether a request came whose pages are to outlast the engine. They are known by the digest of the base, so who closes the engine sees to it
// that Spill.Digest knows it.
func (e *Engine) Keeps() bool { return e.spiller != nil && e.spiller.asked.Load() }

// keep has the pages of an ended sequence written, whose computed tokens are given.
func (e *Engine) keep(s *Stream, tokens []int32) {
	if len(tokens) < e.cfg.PageTokens || !e.spills(&s.request) {
		return
	}
	sp := e.spiller
	sp.mu.Lock()
	defer sp.mu.Unlock()
	if len(sp.jobs) == maxJobs {
		sp.jobs = append(sp.jobs[:0], sp.jobs[1:]...)
	}
	sp.jobs = append(sp.jobs, job{s, tokens, time.Now()})
	signal(sp.jobbed)
}

func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default: // a message is there already
	}
}

// settle ends the spiller. What waits to be written is written before, for a while, where the pages can be trusted.
func (e *Engine) settle(flush bool) {
	sp := e.spiller
	if sp == nil {
		return
	}
	if flush {
		sp.mu.Lock()
		sp.hurry = true
		sp.mu.Unlock()
		signal(sp.jobbed)
		deadline := time.NewTimer(flushTime)
		defer deadline.Stop()
		for open := true; open; {
			select {
			case m := <-sp.moves:
				e.move(m)
			case <-sp.flushed:
				open = false
			case <-deadline.C:
				e.cfg.Log.Warn("engine: not all pages could be written in time; those that were not are computed again", "time", flushTime)
				open = false
			}
		}
	}
	close(sp.stop)
	sp.workers.Wait()
}

// keys returns the Keys that tokens of a stream's have in memory and on disk. The latter need the base's digest: none when it is not known.
func (sp *spiller) keys(s *Stream, tokens []int32) (memory, disk []kvcache.Key) {
	digest, known := sp.e.cfg.Spill.Digest()
	if !known {
		return nil, nil
	}
	root, turns := sp.e.root(&s.request, s.stages)
	memory = scheduler.AppendKeys(nil, root, turns, tokens, sp.e.cfg.PageTokens)
	root, turns = sp.e.rootOf(kvcache.Identity{Base: digest, Numerics: sp.e.cfg.Spill.Numerics}, &s.request, s.stages)
	return memory, scheduler.AppendKeys(nil, root, turns, tokens, sp.e.cfg.PageTokens)
}

func (r *Request) session() pagestore.Session {
	if r.Session == "" {
		return pagestore.Session{}
	}
	return pagestore.Session{Caller: r.Caller, Name: r.Session}
}
