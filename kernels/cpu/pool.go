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
// lost its core. Chunks are taken by an atomic counter: a slow core takes fewer.
type pool struct {
	workers []*worker
	callers scratch // of the goroutine that dispatches
	stopped sync.WaitGroup

	// Written by the caller while the pool is closed and nobody is in, read by those who came in while it was open.
	task   task
	chunks int32

	// Each hot word has a cache line of its own.
	_     [64]byte
	next  atomic.Int32 // the next chunk
	_     [60]byte
	epoch atomic.Uint32 // counts dispatches; workers watch it
	open  atomic.Bool
	_     [56]byte
	in    atomic.Int32 // workers that came in
	_     [60]byte

	asleep atomic.Bool   // the caller sleeps until the last worker leaves
	left   chan struct{} // sent once by the worker that clears asleep

	stop atomic.Bool

	mu       sync.Mutex // guards what follows
	fault    error      // the first fault since takeFault
	panicked any        // the first other panic of the dispatch
}

type worker struct {
	scratch scratch
	parked  atomic.Bool
	wake    chan struct{}
}

// newPool starts threads-1 workers; the caller is the last thread.
func newPool(threads int) *pool {
	p := &pool{left: make(chan struct{}, 1)}
	for range threads - 1 {
		w := &worker{wake: make(chan struct{}, 1)}
		p.workers = append(p.workers, w)
		p.stopped.Add(1)
		go p.work(w)
	}
	return p
}

// close stops the workers and waits for them.
func (p *pool) close() {
	p.stop.Store(true)
	p.epoch.Add(1)
	p.wakeParked()
	p.stopped.Wait()
}

// dispatch runs all chunks of t and returns when they are done. A fault in one is kept for takeFault; any other panic
// is raised again here. Calls must not overlap.
func (p *pool) dispatch(t task, chunks int) {
	p.task, p.chunks = t, int32(chunks)
	p.next.Store(0)
	shared := chunks > 1 && len(p.workers) > 0
	if shared {
		p.open.Store(true)
		p.epoch.Add(1)
		p.wakeParked()
	}
	p.drain(&p.callers)
	if shared {
		p.open.Store(false)
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
	for start := time.Now(); ; {
		for range spinPolls {
			if p.in.Load() == 0 {
				return
			}
		}
		if time.Since(start) > callerSpin {
			break
		}
	}
	p.asleep.Store(true)
	if p.in.Load() == 0 && p.asleep.CompareAndSwap(true, false) {
		return
	}
	<-p.left
}

// leaveTask counts a worker out, and wakes the caller if it is the last one and the caller sleeps.
func (p *pool) leaveTask() {
	if p.in.Add(-1) == 0 && p.asleep.Load() && p.asleep.CompareAndSwap(true, false) {
		p.left <- struct{}{}
	}
}

// drain takes chunks until none is left or one has failed. A read of mapped memory that faults ends it.
func (p *pool) drain(s *scratch) {
	before := debug.SetPanicOnFault(true)
	defer p.leave(before)
	for {
		chunk := p.next.Add(1) - 1
		if chunk >= p.chunks {
			return
		}
		p.task.run(s, int(chunk))
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
		p.in.Add(1)
		if p.open.Load() {
			p.drain(&w.scratch)
		}
		p.leaveTask()
	}
}

// await returns the epoch when it is another than seen: it spins for a while, then parks.
func (p *pool) await(w *worker, seen uint32) uint32 {
	for start := time.Now(); time.Since(start) < workerSpin; {
		for range spinPolls {
			if e := p.epoch.Load(); e != seen {
				return e
			}
		}
	}
	w.parked.Store(true)
	if p.epoch.Load() != seen && w.parked.CompareAndSwap(true, false) {
		return p.epoch.Load()
	}
	<-w.wake // sent once by whoever cleared parked
	return p.epoch.Load()
}

// wakeParked wakes every worker that is parked.
func (p *pool) wakeParked() {
	for _, w := range p.workers {
		if w.parked.Load() && w.parked.CompareAndSwap(true, false) {
			w.wake <- struct{}{}
		}
	}
}
