package cpu

import (
	"runtime"
	"time"
)

// A chunk takes some hundreds of microseconds, on a slow core and in a long context more. A worker that holds the caller up for longer than
// stall, and than two of the caller's own chunks take, has lost its core, and will again: it rests, and the caller goes on without it, because
// where memory is the limit half of the cores do far more than half of the work. It is tried again after firstRest, and after twice as long each
// time that it loses its core again, unless it has learnt to share it by then. But one that holds the caller up for less than 1/worthwhile of the
// time since it last did goes on: where memory is the limit a second thread adds about a quarter to what one does, elsewhere more.
const (
	stall      = time.Millisecond
	worthwhile = 4
	firstRest  = 25 * time.Millisecond
	longRest   = 800 * time.Millisecond
)

// A core that another process wants too is given in slices of some milliseconds. Whoever loses it inside a chunk holds up the dispatch for as
// long as the other's slice is. So under such a neighbour, and only then:
//
//   - a worker keeps off the caller's core: left alone, Linux puts both of them on one core and the neighbour on the other, as two and one that
//     run are as even as three can be,
//   - and gives its core up between two chunks, before its slice is over: the dispatch goes on without it meanwhile. How long a slice is it
//     learns: it stays a little longer each time, until it loses the core again;
//   - a caller that loses its core moves to another one, as nobody else does what the caller does.
//
// A worker that has its core for itself again, which a yield tells that returns at once, is bound to nothing any more.
const (
	mostSlice  = 4 * time.Millisecond
	leastSlice = 250 * time.Microsecond
	handedOver = 100 * time.Microsecond // a yield that takes longer had another process run
	hopPause   = 20 * time.Millisecond  // between two moves of the caller
	noCore     = -1
)

// cores is what the system says and does about cores, of the calling thread.
type cores interface {
	// current is the number of the core that the thread is on, or noCore.
	current() int32
	// lost counts how often the thread had to give up a core to another.
	lost() int64
	// yield lets others have the core.
	yield()
	// keepOff keeps the thread off a core, in place of the one before; noCore gives all cores back that it had at first. Where
	// no other core is left it does nothing.
	keepOff(core int32)
}

// tenure is how a thread of the pool has its core. It belongs to that thread.
type tenure struct {
	since time.Duration // by the pool's clock, when it got the core, as far as it knows
	seen  time.Duration // when it was last known to have it
	lost  int64         // cores.lost when it was last asked
}

// taken says whether another process has had the core since it was last seen, and after how long a time. A chunk that takes long for other
// reasons, as the disk or the machine below this one, took the core from nobody.
func (t *tenure) taken(c cores, now time.Duration) (after time.Duration, taken bool) {
	after = t.seen - t.since
	late := now-t.seen > stall
	t.seen = now
	if !late {
		return 0, false
	}
	before := t.lost
	t.lost = c.lost()
	if t.lost == before {
		return 0, false
	}
	t.since = now
	return after, true
}

// clock is the time since the pool began. It costs half of what time.Now does.
func (p *pool) clock() time.Duration { return time.Since(p.began) }

// goesOn says, behind a chunk, whether a worker may begin one more. One that may not leaves the dispatch and passes its core on.
func (w *worker) goesOn(p *pool) bool {
	now := p.clock()
	if after, taken := w.tenure.taken(p.cores, now); taken {
		if w.slice == 0 { // from now on it shares
			w.slice, w.off = mostSlice, noCore
			runtime.LockOSThread()
			p.sharing.Add(1)
		}
		w.slice = min(w.slice, after) * 3 / 4
		if w.slice < leastSlice {
			w.slice = leastSlice
			w.shares.Store(false)
		}
	}
	w.due = w.slice > 0 && (now-w.tenure.since > w.slice || p.callerCore.Load() != w.off)
	return !w.due
}

// pass gives a worker's core to whoever wants it.
func (w *worker) pass(p *pool) {
	w.due = false
	if at := p.callerCore.Load(); at != w.off {
		p.cores.keepOff(at)
		w.off = at
	}
	before := p.clock()
	p.cores.yield()
	now := p.clock()
	w.tenure.since, w.tenure.seen = now, now
	if now-before > handedOver {
		w.shares.Store(true)
		w.slice = min(w.slice+w.slice/32, mostSlice)
		return
	}
	if w.slice *= 2; w.slice > 4*mostSlice { // nobody has wanted it for a while
		w.alone(p)
	}
}

// alone ends the sharing of a core.
func (w *worker) alone(p *pool) {
	w.slice = 0
	w.shares.Store(false)
	p.cores.keepOff(noCore)
	p.sharing.Add(-1)
	runtime.UnlockOSThread()
}

// watch looks, behind a chunk of the caller, whether it has lost its core, and moves it to another one then.
func (p *pool) watch() {
	now := p.clock()
	p.longest = max(p.longest, now-p.caller.tenure.seen)
	if _, taken := p.caller.tenure.taken(p.cores, now); !taken || now < p.hopAt {
		return
	}
	p.hopAt = now + hopPause
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	p.cores.keepOff(p.cores.current())
	p.cores.keepOff(noCore)
	p.callerCore.Store(p.cores.current())
}

// stalled says whether workers who held the caller up for that long lost their cores.
func (p *pool) stalled(wait time.Duration) bool { return wait > max(stall, 2*p.longest) }

// busyWorkers returns a bit for each of the first 64 workers that is in.
func (p *pool) busyWorkers() (set uint64) {
	for i, w := range p.workers {
		if w.busy.Load() {
			set |= 1 << i
		}
	}
	return set
}

// beginRests lets the workers rest that held up the caller for that long, and cost more than they bring.
func (p *pool) beginRests(late uint64, now time.Time, wait time.Duration) {
	for i, w := range p.workers {
		if late>>i&1 == 0 || w.resting.Load() || w.shares.Load() { // one that shares is late by a slice now and then
			continue
		}
		since := now.Sub(w.late)
		if w.late = now; wait < since/worthwhile {
			continue
		}
		if now.Sub(w.until) < 2*w.rest {
			w.rest = min(2*w.rest, longRest)
		} else {
			w.rest = firstRest
		}
		w.until = now.Add(w.rest)
		w.resting.Store(true)
		p.resting++
	}
}

// endRests calls back the workers whose rest is over, or all of them when it is calm.
func (p *pool) endRests(now time.Time) {
	calm := p.calm.Load() && p.calm.Swap(false)
	for _, w := range p.workers {
		if calm {
			w.until, w.rest = time.Time{}, 0
		}
		if w.resting.Load() && now.After(w.until) {
			w.resting.Store(false)
			p.resting--
		}
	}
}

// anyCores knows nothing of cores: nobody loses one.
type anyCores struct{}

func (anyCores) current() int32 { return noCore }
func (anyCores) lost() int64    { return 0 }
func (anyCores) yield()         {}
func (anyCores) keepOff(int32)  {}
