package scheduler

import (
	"cmp"
	"slices"
)

// Class says what kind of reader waits for a sequence.
type Class uint8

// The classes, in the order in which sequences of one caller go.
const (
	Interactive Class = iota // somebody reads along
	Batch                    // nobody does: it may wait
)

func (c Class) String() string {
	if c == Batch {
		return "batch"
	}
	return "interactive"
}

// quantum is how many rows a caller must be ahead of another before it gives a place up to it. A place that changes hands costs the
// rows of a page or so, as pages are kept; where the cache is not shared, a whole sequence.
const quantum = 256

// mostCost bounds how much further ahead a caller must be whose rows would be computed again: others wait that long for it.
const mostCost = 3 * quantum

// round is how many rows make callers differ where those that run take pages from each other: as many as the most by which one must be ahead to give pages up to one that waits.
const round = quantum + mostCost

// memory is how many rows a caller is at most held to be ahead of the poorest: one who asks for little is far behind for ever, and
// who comes new must not be given all that another had before.
const memory = 16 * quantum

// caller is one of those who share the steps. Fairness is start-time fair queuing in rows (Goyal, Vin and Cheng, 1996): each caller
// has a virtual time, the rows that were computed for it, and who has the least goes first. Who comes back after a pause
// starts where the poorest of the others is: nobody saves up for later. A row that is computed again after a preemption is not
// counted, so that a caller's virtual time only grows as it gets ahead and nobody is poor for being preempted.
type caller struct {
	name    string
	number  uint64 // of callers, in order of their coming
	served  uint64 // virtual time, in rows
	alive   int    // its sequences
	active  int    // of them, those that are not paused
	running int    // of the active ones, those that hold pages: its places. Counted during Schedule only
	places  int    // running when the step was begun
}

// join counts a new sequence of a caller.
func (s *Scheduler) join(q *sequence, name string) {
	i := slices.IndexFunc(s.callers, func(c *caller) bool { return c.name == name })
	if i < 0 {
		// Those who are gone and have no lead left are as good as new ones.
		s.callers = slices.DeleteFunc(s.callers, func(c *caller) bool { return c.alive == 0 && c.served <= s.virtual })
		i = len(s.callers)
		s.callers = append(s.callers, &caller{name: name, number: s.arrivals})
	}
	q.caller = s.callers[i]
	q.caller.alive++
	s.activate(q.caller)
}

// activate counts a sequence that may be scheduled from now on.
func (s *Scheduler) activate(c *caller) {
	if c.active == 0 {
		c.served = max(c.served, s.virtual)
	}
	c.active++
}

// leave ends what join began. When nothing is left to share, nobody is ahead of anybody.
func (s *Scheduler) leave(q *sequence) {
	q.caller.alive--
	if !q.paused {
		q.caller.active--
	}
	if len(s.byID) == 0 {
		s.callers = s.callers[:0]
	}
}

// charge counts what has been computed for q and never was before.
func (q *sequence) charge() {
	if q.computed > q.paid {
		q.caller.served += uint64(q.computed - q.paid)
		q.paid = q.computed
	}
}

// tick moves the virtual time of all to that of the poorest active caller.
func (s *Scheduler) tick() {
	var least uint64
	found := false
	for _, c := range s.callers {
		if c.active > 0 && (!found || c.served < least) {
			least, found = c.served, true
		}
	}
	if found {
		s.virtual = max(s.virtual, least)
	}
	for _, c := range s.callers {
		c.served = min(c.served, s.virtual+memory)
	}
}

// own orders the sequences of one caller.
func own(a, b *sequence) int {
	return cmp.Or(cmp.Compare(a.class, b.class), cmp.Compare(a.priority, b.priority), cmp.Compare(a.arrival, b.arrival))
}

// fair orders all sequences: the poorest caller's first, and its own in their order.
func fair(a, b *sequence) int {
	if a.caller == b.caller {
		return own(a, b)
	}
	return cmp.Or(cmp.Compare(a.caller.served, b.caller.served), cmp.Compare(a.class, b.class), cmp.Compare(a.caller.number, b.caller.number))
}

// keeps orders the sequences by who keeps its pages where one that runs lacks some. Who has several places is behind: its last may not be taken while another has two, so what
// it took would be taken from it at once. Callers of the same round are alike: in the order of fair they change with every row, and each would take the other's
// pages for a row of its own (docs/adr/0024-pages-do-not-go-back-and-forth.md). While pages are granted the order stays as it is.
func keeps(a, b *sequence) int {
	if a.caller == b.caller {
		return own(a, b)
	}
	return cmp.Or(cmp.Compare(min(a.caller.places, 2), min(b.caller.places, 2)), cmp.Compare(a.caller.served/round, b.caller.served/round),
		cmp.Compare(a.class, b.class), cmp.Compare(a.caller.number, b.caller.number))
}

// count sets how many places each caller has.
func (s *Scheduler) count() {
	for _, c := range s.callers {
		c.running = 0
	}
	for _, q := range s.running {
		if !q.paused {
			q.caller.running++
		}
	}
	for _, c := range s.callers {
		c.places = c.running
	}
}

// first returns the sequence of the queue that is to be admitted next, or nil: of a caller without a place, else of the poorest.
func (s *Scheduler) first() *sequence {
	var best *sequence
	for _, q := range s.waiting {
		if s.ready(q) && (best == nil || before(q, best)) {
			best = q
		}
	}
	return best
}

// ready says whether q, which waits, may be admitted.
func (s *Scheduler) ready(q *sequence) bool { return !q.paused && s.waitsFor(q) == nil }

// before says whether a is to be admitted before b.
func before(a, b *sequence) bool {
	return cmp.Or(cmp.Compare(min(a.caller.running, 1), min(b.caller.running, 1)), fair(a, b)) < 0
}
