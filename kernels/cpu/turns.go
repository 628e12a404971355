package cpu

import (
	"sync"
	"time"
)

// turns lets the steps of several Backends share the workers by time: start-time fair queuing (Goyal, Vin and Cheng, 1996). A step is never
// interrupted. Each Backend has a virtual time, that of its turns; of those who want the next turn the one with the least has it, so who
// takes long turns has fewer of them. Who comes, or comes back, begins at the virtual time of the turn that is on: nobody saves up.
//
// The engines of one model, which are its generations while it is replaced, share one account: to other models they are one. Among them
// equal time would be two short steps of the new generation between two of the old one, whose readers would see the three as one gap. So
// there it is the turn of who had one the longest ago, and only a turn that was far longer than the others' is made up for.
//
// Between two of its steps an engine samples, and wants no turn: without patience one with short steps would lose its claim each time, and
// have one turn for each long one of another. So a turn that is due to one who has just had one is kept for it, if it usually comes back soon
// (anticipatory scheduling: Iyer and Druschel, 2001). The workers rest meanwhile, for a small part of what it is behind at most. Nothing of
// this allocates.
type turns struct {
	clock func() time.Duration // since a moment long ago
	timer *time.Timer          // ends the keeping

	mu      sync.Mutex // guards what follows, and every turn
	holder  *turn      // whose turn is on, or nil
	kept    *turn      // for whom the next one is kept, or nil
	until   time.Duration
	waiting []*turn
	virtual time.Duration // where the turn that was granted last began
	models  map[string]*account
}

// account is what the turns of one model share.
type account struct {
	model string // "": it is of one turn alone
	users int
	ended uint64 // turns of all of them

	start, end time.Duration // virtual times of its last turn, or of the one that one of them waits for
}

// turn is one Backend's.
type turn struct {
	of      *account
	due     time.Duration // when it is due, in the virtual time of its account
	seen    uint64        // of its account's turns, when its last one ended
	began   time.Duration // by the clock
	done    time.Duration // by the clock, when it had its last turn; 0: it had none
	away    time.Duration // how long it usually takes to come back: a moving average
	granted chan struct{} // one message: it is its turn
}

const (
	// A turn is kept for the time that its owner is behind over patienceShare, but for these bounds. Sampling takes some tenths of a millisecond to
	// two; now and then another process has the core meanwhile.
	patienceShare = 16
	leastPatience = time.Millisecond
	mostPatience  = 20 * time.Millisecond
	// Behind a turn the others of the same model may have the time that it took over dueShare before it is due again: steps of as many streams on two
	// generations take turns one by one, and one of a long prompt leaves the others a fifth of the time at least.
	dueShare = 4
)

func newTurns() *turns {
	began := time.Now()
	q := &turns{clock: func() time.Duration { return time.Since(began) + 1 }, models: map[string]*account{}}
	q.timer = time.AfterFunc(time.Hour, q.expire)
	q.timer.Stop()
	return q
}

// open returns the turn of one more Backend, which is of a model, or of none ("").
func (q *turns) open(model string) *turn {
	q.mu.Lock()
	defer q.mu.Unlock()
	a := q.models[model]
	if a == nil {
		a = &account{model: model}
		if model != "" {
			q.models[model] = a
		}
	}
	a.users++
	return &turn{of: a, seen: a.ended, granted: make(chan struct{}, 1)}
}

// beside says whether t takes turns with others of its account: one of them has a turn, waits for one or had one since t's last.
func (q *turns) beside(t *turn) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return t.of.ended != t.seen || q.wanted(t.of)
}

// take returns when it is t's turn.
func (q *turns) take(t *turn) {
	q.mu.Lock()
	now := q.ask(t, q.clock())
	q.mu.Unlock()
	if !now {
		<-t.granted
	}
}

// give ends t's turn.
func (q *turns) give(t *turn) {
	q.mu.Lock()
	defer q.mu.Unlock()
	now := q.clock()
	q.end(t, now)
	if q.kept != nil {
		q.timer.Reset(q.until - now)
	}
}

// leave says that t wants no more turns.
func (q *turns) leave(t *turn) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if t.of.users--; t.of.users == 0 {
		delete(q.models, t.of.model)
	}
	if q.kept == t {
		q.next(q.clock())
	}
}

// expire is the timer's.
func (q *turns) expire() {
	q.mu.Lock()
	defer q.mu.Unlock()
	now := q.clock()
	switch {
	case q.kept == nil: // it came meanwhile
	case now < q.until: // and another is waited for
		q.timer.Reset(q.until - now)
	default:
		q.next(now)
	}
}

// ask says whether it is t's turn now; else t waits. The caller holds mu.
func (q *turns) ask(t *turn, now time.Duration) bool {
	if t.done > 0 {
		t.away += (min(now-t.done, 2*mostPatience) - t.away) / 8
	}
	if !q.wanted(t.of) {
		t.of.start = max(t.of.end, q.virtual)
	}
	switch {
	case q.holder != nil:
	case q.kept == nil, q.kept == t, q.kept.behind(t) <= 0:
		q.grant(t, now)
		return true
	}
	q.waiting = append(q.waiting, t)
	return false
}

// end ends the turn of the holder and passes it on, or keeps it. The caller holds mu.
func (q *turns) end(t *turn, now time.Duration) {
	took := now - t.began
	t.of.end = t.of.start + took
	t.of.start = t.of.end
	t.due = t.of.end + took/dueShare
	t.done, q.holder = now, nil
	t.of.ended++
	t.seen = t.of.ended
	w := q.first()
	if w < 0 {
		return
	}
	behind := t.behind(q.waiting[w])
	if patience := min(max(behind/patienceShare, leastPatience), mostPatience); t.away < behind && t.away <= patience {
		q.kept, q.until = t, now+patience
		return
	}
	q.next(now)
}

// first is the index of the one who is due among those who wait, of equal ones who came first; -1: nobody waits. The caller holds mu.
func (q *turns) first() int {
	best := -1
	for i, t := range q.waiting {
		if best < 0 || t.behind(q.waiting[best]) > 0 {
			best = i
		}
	}
	return best
}

// next grants the turn to the one who is due, if there is one. The caller holds mu.
func (q *turns) next(now time.Duration) {
	q.kept = nil
	w := q.first()
	if w < 0 {
		return
	}
	t := q.waiting[w]
	q.waiting = append(q.waiting[:w], q.waiting[w+1:]...)
	q.grant(t, now)
	t.granted <- struct{}{}
}

// grant begins t's turn. The caller holds mu.
func (q *turns) grant(t *turn, now time.Duration) {
	q.holder, q.kept = t, nil
	q.virtual = max(q.virtual, t.of.start)
	t.began = now
}

// wanted says whether the turn that is on, or one that is waited for, is of an account. The caller holds mu.
func (q *turns) wanted(a *account) bool {
	if q.holder != nil && q.holder.of == a {
		return true
	}
	for _, t := range q.waiting {
		if t.of == a {
			return true
		}
	}
	return false
}

// behind is how much time t may have before it is the other's turn; 0 or less: it is the other's, if that came first.
func (t *turn) behind(other *turn) time.Duration {
	if t.of == other.of {
		return other.due - t.due
	}
	return other.of.start - t.of.start
}
