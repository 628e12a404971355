package scheduler

import "time"

// Expire ends the sequences whose deadline is not after now, a time on the clock that their deadlines are on. What it returns is
// valid until the next Update or Expire. It must not be called between Schedule and Update.
func (s *Scheduler) Expire(now time.Duration) []Finished {
	s.finished = s.finished[:0]
	if s.timed == 0 {
		return s.finished
	}
	for _, list := range [][]*sequence{s.waiting, s.running} {
		for i := len(list) - 1; i >= 0; i-- { // from the end, as finish takes out of the list
			if q := list[i]; q.deadline > 0 && q.deadline <= now {
				s.finish(q, Expired)
			}
		}
	}
	return s.finished
}

// Deadline returns the earliest deadline of all sequences, or 0 when none has one.
func (s *Scheduler) Deadline() time.Duration {
	var first time.Duration
	if s.timed == 0 {
		return first
	}
	for _, list := range [][]*sequence{s.waiting, s.running} {
		for _, q := range list {
			if q.deadline > 0 && (first == 0 || q.deadline < first) {
				first = q.deadline
			}
		}
	}
	return first
}
