package sampler

import "slices"

// penalties counts the tokens in the window that the penalties look at.
type penalties struct {
	repetition, frequency, presence float64

	seen     []int32 // by id: times in the window, prompt and output
	written  []int32 // by id: times in the window, output alone
	distinct []int32 // ids with seen > 0

	window []placed // the last tokens, a ring of which next is the oldest; unused when everything counts
	limit  int      // tokens in a full window; -1 when everything counts
	next   int
}

// placed is one token of the window.
type placed struct {
	id      int32
	written bool
}

// windowStart is the capacity a window starts with; a wider one grows as tokens come.
const windowStart = 1024

func newPenalties(p Params, vocab int) *penalties {
	return &penalties{
		repetition: p.RepetitionPenalty, frequency: p.FrequencyPenalty, presence: p.PresencePenalty,
		seen: make([]int32, vocab), written: make([]int32, vocab),
		distinct: make([]int32, 0, vocab), // memory is touched only as far as tokens differ
		window:   make([]placed, 0, max(0, min(p.PenaltyLastN, windowStart))),
		limit:    p.PenaltyLastN,
	}
}

// add counts a token and, where the window is full, forgets the oldest one.
func (s *penalties) add(id int32, written bool) {
	switch {
	case s.limit < 0:
	case len(s.window) < s.limit:
		s.window = append(s.window, placed{id, written})
	default:
		oldest := s.window[s.next]
		s.window[s.next] = placed{id, written}
		s.next = (s.next + 1) % s.limit
		s.forget(oldest)
	}
	if s.seen[id]++; s.seen[id] == 1 {
		s.distinct = append(s.distinct, id)
	}
	if written {
		s.written[id]++
	}
}

func (s *penalties) forget(p placed) {
	if p.written {
		s.written[p.id]--
	}
	if s.seen[p.id]--; s.seen[p.id] == 0 {
		at := slices.Index(s.distinct, p.id)
		last := len(s.distinct) - 1
		s.distinct[at] = s.distinct[last]
		s.distinct = s.distinct[:last]
	}
}

// apply changes the logits and appends what they were to undo.
func (s *penalties) apply(logits []float32, undo []edit) []edit {
	for _, id := range s.distinct {
		undo = append(undo, edit{id, logits[id]})
		x := float64(logits[id])
		if x > 0 {
			x /= s.repetition
		} else {
			x *= s.repetition
		}
		if n := s.written[id]; n > 0 {
			x -= float64(float64(n)*s.frequency) + s.presence
		}
		logits[id] = float32(x)
	}
	return undo
}
