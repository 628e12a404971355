package scheduler

import "cmp"

// yields says whether v, which runs, gives its place up to q, which waits. Within a caller it is a matter of rank. Between two,
// everyone has a place before anyone has two; further places go to who is behind by more than a quantum, and from Batch to
// Interactive as soon as that is not ahead. None of these can be turned round at once, or two sequences would
// take one place from each other for ever. cost is how many more rows than a quantum that must be.
func yields(v, q *sequence, cost int) bool {
	from, to := v.caller, q.caller
	if from == to {
		return cmp.Or(cmp.Compare(q.class, v.class), cmp.Compare(q.priority, v.priority)) < 0
	}
	if from.running < 2 && to.running > 0 {
		return false
	}
	lead := int64(from.served - to.served)
	return to.running == 0 && from.running > 1 || lead > int64(quantum+cost) || lead >= 0 && q.class < v.class
}

// makeRoom takes pages from paused sequences, and places and pages from those who yield them, and gives them to q, which waits. It returns false, and takes nothing, where all of
// them together have too few: what they lost would fit them again in the same step, and be lost again in the next.
func (s *Scheduler) makeRoom(q *sequence, places int) bool {
	if !s.givers(q, places >= s.cfg.MaxBatch) {
		return false
	}
	for _, v := range s.giving {
		if !v.paused {
			places--
		}
		s.preempt(v)
		if places < s.cfg.MaxBatch && s.open(q) {
			return true
		}
	}
	return false
}

// givers lists those whom q takes from, one after the other until it fits: where it wants a place one who yields it, then who is paused, the newest first, then who yields. It
// returns false when that is not enough.
func (s *Scheduler) givers(q *sequence, place bool) bool {
	need := s.needs(q)
	short := s.spare(q) < need
	s.giving, s.tables = s.giving[:0], s.tables[:0]
	give := func(v *sequence) {
		v.gives = true
		s.giving, s.tables = append(s.giving, v), append(s.tables, &v.table)
		if !v.paused {
			v.caller.running-- // others of it may yield no more
		}
	}
	if place {
		first := s.yielder(q, short)
		if first == nil {
			return false
		}
		give(first)
	}
	for i := len(s.running) - 1; i >= 0; i-- {
		if s.running[i].paused {
			give(s.running[i])
		}
	}
	for v := s.yielder(q, short); v != nil; v = s.yielder(q, short) {
		give(v)
	}
	enough := s.pages.FreeWithout(s.tables)-s.promised(q) >= need
	for _, v := range s.giving {
		v.gives = false
		if !v.paused {
			v.caller.running++
		}
	}
	return enough
}

// yielder returns the sequence that yields to q before all others that do not give already, or nil. It spares the last place of a caller where another has two.
// Where q wants the pages and not only the place, v's do not stay in the cache: then v's caller must be ahead by what is computed again too, or that would be a good part of all work.
func (s *Scheduler) yielder(q *sequence, short bool) (worst *sequence) {
	for _, v := range s.running {
		if v.paused || v.gives {
			continue
		}
		cost := 0
		if short {
			cost = min(v.computed, mostCost)
		}
		if yields(v, q, cost) && (worst == nil || cmp.Or(cmp.Compare(min(v.caller.running, 2), min(worst.caller.running, 2)), fair(v, worst)) > 0) {
			worst = v
		}
	}
	return worst
}
