package scheduler

// patience is how many rows are computed for those that overtake a sequence while its pages are not free. Then nobody overtakes it
// any more, and what they give back is its own (docs/adr/0021-a-long-prompt-is-overtaken-for-a-while.md).
const patience = 4 * quantum

// overtake admits others before q, which is the first in the queue and for which pages are too few: the next in the order that fit what
// is free. They take nothing from anybody.
func (s *Scheduler) overtake(q *sequence) {
	for places := s.places(); places < s.cfg.MaxBatch && q.passed < patience; places++ {
		v := s.fitting(q)
		if v == nil || s.wantedBefore(v) >= s.room || !s.open(v) {
			return
		}
		v.overtook = q
		s.seat(v)
	}
}

// fitting returns the sequence of the queue that is to be admitted next of those, other than q, that fit the free pages, or nil. One free page is
// left to each that runs, it included: else those that overtake would have no page to grow by soon, and preempt or be preempted.
func (s *Scheduler) fitting(q *sequence) *sequence {
	var best *sequence
	most := s.spare(q) - len(s.running) - 1
	for _, v := range s.waiting {
		if v != q && s.needs(v) <= most && s.ready(v) && (best == nil || before(v, best)) {
			best = v
		}
	}
	return best
}

// caughtUp says that q does not wait any more: nobody is before it.
func (s *Scheduler) caughtUp(q *sequence) {
	q.passed = 0
	for _, v := range s.running {
		if v.overtook == q {
			v.overtook = nil
		}
	}
}
