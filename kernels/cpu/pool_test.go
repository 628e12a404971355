package cpu

import (
	"math"
	"runtime"
	"sync/atomic"
	"testing"
	"time"
)

// counting counts its chunks.
type counting struct{ done []atomic.Int32 }

func (c *counting) run(_ *scratch, chunk int) { c.done[chunk].Add(1) }

func (*counting) tensorAt(uintptr) (string, bool) { return "", false }

// Every chunk runs once, whether the workers were awake or parked.
func TestPoolRunsEveryChunkOnce(t *testing.T) {
	for _, threads := range []int{1, 2, 4} {
		p := newPool(threads)
		for round := range 300 {
			c := &counting{done: make([]atomic.Int32, 1+round%40)}
			p.dispatch(c, len(c.done))
			for i := range c.done {
				if n := c.done[i].Load(); n != 1 {
					t.Fatalf("%d threads, round %d: chunk %d ran %d times", threads, round, i, n)
				}
			}
			if round%100 == 99 {
				awaitParked(t, p)
			}
		}
		p.close()
	}
}

// spinning has two chunks: the caller's ends when the worker has begun its own, which takes pause.
type spinning struct {
	p     *pool
	pause time.Duration
	begun atomic.Bool
}

func (c *spinning) run(s *scratch, _ int) {
	if s == &c.p.caller.scratch {
		for !c.begun.Load() && !c.p.workers[0].resting.Load() {
			runtime.Gosched()
		}
		return
	}
	c.begun.Store(true)
	for start := time.Now(); time.Since(start) < c.pause; {
	}
}

func (*spinning) tensorAt(uintptr) (string, bool) { return "", false }

// A caller that falls asleep while the last worker leaves is woken.
func TestPoolWakesTheCaller(t *testing.T) {
	p := newPool(2)
	rounds, done := 0, make(chan struct{})
	go func() {
		defer close(done)
		for start := time.Now(); rounds < 1e5 && time.Since(start) < time.Second; rounds++ {
			p.dispatch(&spinning{p: p, pause: callerSpin + time.Duration(rounds%64-16)*time.Microsecond}, 2)
		}
	}()
	select {
	case <-done:
		p.close()
	case <-time.After(time.Minute):
		t.Fatal("a caller sleeps though nobody is in")
	}
}

// awaitParked waits until no worker uses its core.
func awaitParked(t *testing.T, p *pool) {
	t.Helper()
	deadline := time.Now().Add(10 * time.Second)
	for _, w := range p.workers {
		for !w.parked.Load() {
			if time.Now().After(deadline) {
				t.Fatal("an idle worker does not park")
			}
			runtime.Gosched()
		}
	}
}

// slow has chunks of which the workers', but not the caller's, take a while.
type slow struct {
	p      *pool
	pause  time.Duration
	shared atomic.Int32 // chunks that workers took
}

func (c *slow) run(s *scratch, _ int) {
	if s == &c.p.caller.scratch {
		<-time.After(2 * time.Millisecond) // so that the worker gets a chunk
		return
	}
	c.shared.Add(1)
	<-time.After(c.pause)
}

func (*slow) tensorAt(uintptr) (string, bool) { return "", false }

// A worker that holds up the caller is left out for a while, then tried again.
func TestPoolRestsAWorkerThatLostItsCore(t *testing.T) {
	p := newPool(2)
	defer p.close()
	c := &slow{p: p, pause: 20 * time.Millisecond}
	for p.resting == 0 { // until the worker came in
		p.dispatch(c, 2)
	}
	until := p.workers[0].until
	c.shared.Store(0)
	for time.Now().Before(until.Add(-10 * time.Millisecond)) {
		p.dispatch(c, 2)
	}
	if n := c.shared.Load(); n > 1 { // one that was on its way in
		t.Errorf("a worker that rests took %d chunks", n)
	}
	c.pause = 0
	for deadline := time.Now().Add(10 * time.Second); c.shared.Load() == 0; {
		if time.Now().After(deadline) {
			t.Fatal("the worker did not come back")
		}
		p.dispatch(c, 2)
	}
	if p.resting != 0 {
		t.Errorf("%d workers rest", p.resting)
	}
}

// Workers that rest come back when what took their cores is said to be over, and as if they had never lost them.
func TestPoolEndsRestsWhenItIsCalm(t *testing.T) {
	p := newPool(3)
	defer p.close()
	inAnHour := time.Now().Add(time.Hour)
	c := &slow{p: p}
	p.beginRests(3, inAnHour, math.MaxInt64)
	p.beginRests(3, inAnHour, math.MaxInt64)
	if p.dispatch(c, 3); p.resting != 2 {
		t.Errorf("%d of 2 workers rest", p.resting)
	}
	p.calm.Store(true)
	p.dispatch(c, 3)
	if p.resting != 0 || p.workers[0].resting.Load() || p.workers[1].rest != 0 {
		t.Errorf("%d workers rest, one of them for %v", p.resting, p.workers[1].rest)
	}
}

func TestCloseStopsTheWorkers(t *testing.T) {
	before := runtime.NumGoroutine()
	for range 5 {
		d, err := NewDevice(Options{Threads: 4})
		if err != nil {
			t.Fatal(err)
		}
		d.Close()
	}
	deadline := time.Now().Add(10 * time.Second)
	for runtime.NumGoroutine() > before {
		if time.Now().After(deadline) {
			t.Fatalf("%d goroutines, %d before", runtime.NumGoroutine(), before)
		}
		runtime.Gosched()
	}
}

// BenchmarkDispatch is what handing out an operation costs.
func BenchmarkDispatch(b *testing.B) {
	p := newPool(2)
	defer p.close()
	c := &counting{done: make([]atomic.Int32, 2)}
	for b.Loop() {
		p.dispatch(c, 2)
	}
}
