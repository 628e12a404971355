package cpu

import (
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"
)

// task is work cut into chunks that may run in any order, at the same time, on any worker.
type task interface {
	run(s *scratch, chunk int)
	// tensorAt names the weight tensor that the task reads at an address, if any. A fault elsewhere is our own mistake.
	tensorAt(address uintptr) (name string, ok bool)
}

// How long a worker without work, and a caller that waits for one, keep their core before they give it up. The gap
// between two operations of a step is a few microseconds; waking a parked worker costs about as much as the spin.
const (
	workerSpin = 60 * time.Microsecond
	callerSpin = 60 * time.Microsecond
	spinPolls  = 1000 // between two looks at the clock
)

// pool runs one task at a time: the calling goroutine and every worker that is awake take chunks until none is left.
//
// A dispatch opens the pool, and the caller closes it when the chunks have run out. A worker counts itself in before it
// looks whether the pool is open, so the caller waits only for workers that came in, never for one that sleeps or has
// lost its core.
//
// Each thread has a share of consecutive chunks, so that it reads memory from one end to the other and what it asks for ahead is
// what it takes next; a thread that has finished its own takes from the others' shares: a slow core computes fewer.
//
// A thread that writes one word and then reads another, as the caller does when it closes the pool and asks who is in, writes by
// Swap: Go's Store and Load have the order too, but qemu 7.2 lets arm64's LDAR overtake an STLR, and a caller slept for ever.
type pool struct {
	workers []*worker
	caller  worker // the goroutine that dispatches, of which only number 0, scratch and tenure are in use
	stopped sync.WaitGroup

	// Written by the caller while the pool is closed and nobody is in, read by those who came in while it was open.
	task   task
	shares []share // of the caller, then of each worker

	// Each hot word has a cache line of its own.
	_     [64]byte
	epoch atomic.Uint32 // counts dispatches; workers watch it
	open  atomic.Bool
	_     [56]byte
	in    atomic.Int32 // workers that came in
	_     [60]byte

	asleep atomic.Bool   // the caller sleeps until the last worker leaves
	left   chan struct{} // sent once by the worker that clears asleep

	stop atomic.Bool

	// How threads have their cores, beside neighbours (neighbour.go).
	began      time.Time // its clock's
	cores      cores
	hopAt      time.Duration // when the caller may be moved again
	sharing    atomic.Int32  // workers that share their cores
	callerCore atomic.Int32  // kept while there are any

	longest time.Duration // the time of the caller's longest chunk in this dispatch; the caller's
	resting int           // workers that rest; the caller's
	calm    atomic.Bool   // the rests that are on, or the next one, may end: what this process did beside the workers is over

	mu       sync.Mutex // guards what follows
	fault    error      // the first fault since takeFault
	panicked any        // the first other panic of the dispatch
}

// share is consecutive chunks, on a cache line of its own.
type share struct {
	next atomic.Int32
	end  int32
	_    [56]byte
}

type worker struct {
	number  int // of its share
	scratch scratch
	parked  atomic.Bool
	wake    chan struct{}
	busy    atomic.Bool // it came in
	resting atomic.Bool // it stays parked until the caller clears this

	// How it has its core. All but shares is the worker's own.
	tenure tenure
	slice  time.Duration // how long it keeps a core that others want; 0: nobody does
	off    int32         // the core that it keeps off
	due    bool          // it is to pass its core on
	shares atomic.Bool   // it does so in time: it needs no rest

	// The caller's: when it last held the caller up, when the rest ends, and how long it is.
	late  time.Time
	until time.Time
	rest  time.Duration
}

// newPool starts threads-1 workers; the caller is the last thread.
func newPool(threads int) *pool {
	p := &pool{began: time.Now(), cores: newCores(threads), left: make(chan struct{}, 1), shares: make([]share, threads)}
	for i := range threads - 1 {
		w := &worker{number: i + 1, wake: make(chan struct{}, 1)}
		p.workers = append(p.workers, w)
		p.stopped.Add(1)
		go p.work(w)
	}
	return p
}

// scratchOf returns the memory of a thread, of which the caller is number 0. Only a task may use it, or who dispatches while none runs.
func (p *pool) scratchOf(thread int) *scratch {
	if thread == 0 {
		return &p.caller.scratch
	}
	return &p.workers[thread-1].scratch
}

// close stops the workers and waits for them.
func (p *pool) close() {
	p.stop.Store(true)
	for _, w := range p.workers {
		w.resting.Store(false)
	}
	p.epoch.Add(1)
	p.wakeParked()
	p.stopped.Wait()
}

// dispatch runs all chunks of t and returns when they are done. A fault in one is kept for takeFault; any other panic
// is raised again here. Calls must not overlap.
func (p *pool) dispatch(t task, chunks int) {
	p.task, p.longest = t, 0
	for i := range p.shares {
		s := &p.shares[i]
		s.next.Store(int32(chunks * i / len(p.shares)))
		s.end = int32(chunks * (i + 1) / len(p.shares))
	}
	shared := chunks > 1 && len(p.workers) > 0
	if shared {
		if p.resting > 0 {
			p.endRests(time.Now())
		}
		if p.sharing.Load() > 0 {
			p.callerCore.Store(p.cores.current())
		}
		p.open.Store(true)
		p.epoch.Add(1)
		p.wakeParked()
	}
	p.drain(&p.caller)
	if shared {
		p.open.Swap(false)
		p.awaitEmpty()
	}
	p.task = nil
	if v := p.takePanic(); v != nil {
		panic(v)
	}
}

// awaitEmpty returns when every worker that came in has left. After a while it sleeps: a worker that takes so long over its last chunk
// has lost its core to another process, and the kernel moves it to the one that is given up here.
func (p *pool) awaitEmpty() {
	if p.in.Load() == 0 {
		return
	}
	start := time.Now()
	for {
		for range spinPolls {
			if p.in.Load() == 0 {
				return
			}
		}
		if time.Since(start) > callerSpin {
			break
		}
	}
	late := p.busyWorkers()
	p.asleep.Swap(true)
	if p.in.Load() == 0 && p.asleep.CompareAndSwap(true, false) {
		return
	}
	<-p.left
	now := time.Now()
	if wait := now.Sub(start); p.stalled(wait) {
		p.beginRests(late, now, wait)
	}
}

// leaveTask counts a worker out, and wakes the caller if it is the last one and the caller sleeps.
func (p *pool) leaveTask() {
	if p.in.Add(-1) == 0 && p.asleep.Load() && p.asleep.CompareAndSwap(true, false) {
		p.left <- struct{}{}
	}
}

// drain takes chunks, of w's share first, until none is left, one has failed, or w is to pass its
// core on, which the caller never is. A read of mapped memory that faults ends it.
func (p *pool) drain(w *worker) {
	before := debug.SetPanicOnFault(true)
	defer p.leave(before)
	w.tenure.seen = p.clock()
	for i := range p.shares {
		from := &p.shares[(w.number+i)%len(p.shares)]
		for {
			chunk := from.next.Add(1) - 1
			if chunk >= from.end {
				break
			}
			p.task.run(&w.scratch, int(chunk))
			switch {
			case w != &p.caller:
				if !w.goesOn(p) {
					return
				}
			case len(p.workers) > 0:
				p.watch()
			}
		}
	}
}

// work is a worker's life.
func (p *pool) work(w *worker) {
	defer p.stopped.Done()
	var seen uint32
	for {
		seen = p.await(w, seen)
		if p.stop.Load() {
			return
		}
		if w.resting.Load() {
			continue
		}
		w.busy.Store(true)
		p.in.Add(1)
		if p.open.Load() {
			p.drain(w)
		}
		w.busy.Store(false)
		p.leaveTask()
		if w.due {
			w.pass(p)
			seen = p.epoch.Load() - 1 // the dispatch may be on still
		}
	}
}

// await returns the epoch when it is another than seen: it spins for a while, then parks. A worker that rests parks at once.
func (p *pool) await(w *worker, seen uint32) uint32 {
	for start := time.Now(); !w.resting.Load() && time.Since(start) < workerSpin; {
		for range spinPolls {
			if e := p.epoch.Load(); e != seen {
				return e
			}
		}
	}
	w.parked.Swap(true)
	if !w.resting.Load() && p.epoch.Load() != seen && w.parked.CompareAndSwap(true, false) {
		return p.epoch.Load()
	}
	<-w.wake // sent once by whoever cleared parked
	w.tenure.since = p.clock()
	return p.epoch.Load()
}

// wakeParked wakes every worker that is parked.
func (p *pool) wakeParked() {
	for _, w := range p.workers {
		if w.parked.Load() && !w.resting.Load() && w.parked.CompareAndSwap(true, false) {
			w.wake <- struct{}{}
		}
	}
}
