package cpu

import (
	"math"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// scripted are cores whose neighbour is as the test wants it.
type scripted struct {
	core   atomic.Int32
	losses atomic.Int64
	away   time.Duration // how long a yield takes

	mu  sync.Mutex
	off []int32 // what keepOff was told
}

func (c *scripted) current() int32 { return c.core.Load() }
func (c *scripted) lost() int64    { return c.losses.Load() }
func (c *scripted) yield()         { <-time.After(c.away) }
func (c *scripted) keepOff(core int32) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.off = append(c.off, core)
}

// told returns what keepOff was told since it was asked last.
func (c *scripted) told() []int32 {
	c.mu.Lock()
	defer c.mu.Unlock()
	defer func() { c.off = nil }()
	return c.off
}

// late has a thread look at its core behind a chunk that took far too long, and that it began after a while on the core.
func late(p *pool, t *tenure, had time.Duration) {
	t.seen = p.clock() - 2*stall
	t.since = t.seen - had
}

func TestWorkerSharesItsCore(t *testing.T) {
	c := &scripted{away: 2 * handedOver}
	p, w := &pool{began: time.Now(), cores: c}, &worker{}
	p.callerCore.Store(5)

	late(p, &w.tenure, time.Millisecond)
	if !w.goesOn(p) || w.slice != 0 {
		t.Fatal("a chunk that took long, while nobody else had the core, makes the worker share it")
	}
	c.losses.Add(1)
	late(p, &w.tenure, 2*time.Millisecond)
	if w.goesOn(p) || w.slice != 1500*time.Microsecond || p.sharing.Load() != 1 {
		t.Fatalf("a worker that lost its core after 2 ms keeps it for %v; %d share", w.slice, p.sharing.Load())
	}
	w.pass(p)
	if got := c.told(); !slices.Equal(got, []int32{5}) || !w.shares.Load() {
		t.Fatalf("it keeps off %v, want the caller's core 5; it shares: %v", got, w.shares.Load())
	}
	before := w.slice
	w.tenure.since -= time.Hour
	if w.goesOn(p) {
		t.Fatal("it goes on when its slice is over")
	}
	if w.pass(p); w.slice <= before || len(c.told()) != 0 {
		t.Errorf("a slice that was kept to makes the next %v, after %v", w.slice, before)
	}
	if !w.goesOn(p) {
		t.Error("it does not go on with a new slice")
	}
	p.callerCore.Store(3)
	if w.goesOn(p) {
		t.Error("it goes on though the caller has come to its core")
	}
	if w.pass(p); !slices.Equal(c.told(), []int32{3}) {
		t.Error("it does not follow the caller")
	}

	c.losses.Add(1)
	late(p, &w.tenure, 10*time.Microsecond)
	if w.goesOn(p); w.slice != leastSlice || w.shares.Load() {
		t.Errorf("a core that is lost at once is kept for %v, and the worker is spared rests: %v", w.slice, w.shares.Load())
	}
	c.away = 0
	for range 20 {
		if w.slice > 0 {
			w.pass(p)
		}
	}
	if got := c.told(); w.slice != 0 || p.sharing.Load() != 0 || w.shares.Load() || !slices.Equal(got, []int32{noCore}) {
		t.Errorf("nobody wants the core any more: a slice of %v, %d share, it keeps off %v", w.slice, p.sharing.Load(), got)
	}
}

func TestCallerThatLostItsCoreMoves(t *testing.T) {
	c := new(scripted)
	c.core.Store(2)
	p := &pool{began: time.Now(), cores: c, workers: make([]*worker, 1)}
	late(p, &p.caller.tenure, time.Second)
	if p.watch(); len(c.told()) != 0 {
		t.Error("it moved though nobody else had its core")
	}
	for range 2 { // the second time is too soon
		c.losses.Add(1)
		late(p, &p.caller.tenure, time.Second)
		p.watch()
	}
	if got := c.told(); !slices.Equal(got, []int32{2, noCore}) {
		t.Errorf("it kept off %v, want core 2 and then none", got)
	}
}

// Where chunks are long, as in a long context on a slow core, a worker that computes its last one has not lost its core.
func TestLongChunksAreNoStall(t *testing.T) {
	p := &pool{began: time.Now(), cores: new(scripted), workers: make([]*worker, 1), shares: make([]share, 2)}
	if p.stalled(stall) || !p.stalled(2*stall) {
		t.Error("beside short chunks a stall is not told, or told too soon")
	}
	late(p, &p.caller.tenure, 0) // its chunk took two stalls, and a little
	if p.watch(); p.stalled(4*stall) || !p.stalled(20*time.Second) {
		t.Error("beside a long chunk a stall is told too soon, or not at all")
	}
	if p.dispatch(new(counting), 0); !p.stalled(2 * stall) {
		t.Error("the long chunk of one dispatch counts in the next")
	}
}

func TestSharingWorkersDoNotRest(t *testing.T) {
	p := &pool{workers: []*worker{{}, {}}}
	p.workers[0].shares.Store(true)
	p.beginRests(3, time.Now(), math.MaxInt64)
	if p.workers[0].resting.Load() || !p.workers[1].resting.Load() {
		t.Error("the worker that shares its core rests, or the other does not")
	}
}

// A worker that a host, or a disk, holds up once in a while brings more than it costs.
func TestWorkerThatIsSeldomLateGoesOn(t *testing.T) {
	w := new(worker)
	p := &pool{workers: []*worker{w}}
	now := time.Now()
	for range 100 {
		if p.beginRests(1, now, 3*time.Millisecond); w.resting.Load() {
			t.Fatal("it rests for 3 ms of 20")
		}
		now = now.Add(20 * time.Millisecond)
	}
	if p.beginRests(1, now.Add(-12*time.Millisecond), 3*time.Millisecond); !w.resting.Load() {
		t.Error("it goes on though it held the caller up for 3 ms of 8")
	}
}

// restless are chunks of which some lose the core.
type restless struct {
	counting
	cores *scripted
}

func (r *restless) run(s *scratch, chunk int) {
	if chunk%16 == 5 {
		r.cores.losses.Add(1)
		<-time.After(stall + stall/2)
	}
	r.counting.run(s, chunk)
}

// Every chunk runs once also where threads lose their cores, share them, and move.
func TestPoolRunsEveryChunkOnceBesideANeighbour(t *testing.T) {
	for _, away := range []time.Duration{0, 2 * handedOver} {
		p, c := newPool(4), &scripted{away: away}
		p.cores = c
		shared := false
		for round := range 60 {
			c.core.Store(int32(round / 7))
			r := &restless{counting{make([]atomic.Int32, 40)}, c}
			p.dispatch(r, len(r.done))
			for i := range r.done {
				if n := r.done[i].Load(); n != 1 {
					t.Fatalf("round %d: chunk %d ran %d times", round, i, n)
				}
			}
			shared = shared || p.sharing.Load() > 0
		}
		p.close()
		if !shared {
			t.Error("no worker shared its core")
		}
	}
}
