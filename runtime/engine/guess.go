package engine

import (
	"time"

	"github.com/weft-run/weft/runtime/scheduler"
	"github.com/weft-run/weft/runtime/speculation"
)

// speculate shows the tokens of a step to what guesses are made of, and offers the scheduler guesses at what follows them. Nothing
// here changes an answer: a guess is released only where it is what was sampled, from the logits and at the position that it
// would have been sampled from without.
func (e *Engine) speculate(step scheduler.Step, took time.Duration) {
	l := &e.loop
	if e.cfg.NoSpeculation {
		return
	}
	decode := step.DecodeRows + step.DraftRows
	if decode < step.Rows {
		decode = 0
	}
	l.pace.Observe(decode, step.DraftRows, took)
	sequences := 0
	for i := range step.Parts {
		if step.Parts[i].Sample {
			sequences++
		}
	}
	l.pace.Plan(sequences)
	l.alone = l.onlyOne(step)
	for first, next := 0, 0; first < len(l.sampled); first = next {
		id := l.sampled[first].ID
		for next < len(l.sampled) && l.sampled[next].ID == id {
			next++
		}
		if s := l.streams[id]; s != nil { // else it has ended
			l.scheduler.Draft(id, e.guess(s, l.sampled[first:next]))
		}
	}
}

// guess returns guesses at what follows the tokens that a stream has just got. They are valid until the next call.
func (e *Engine) guess(s *Stream, got []scheduler.Sampled) []int32 {
	l := &e.loop
	if s.lookup == nil {
		s.lookup = speculation.NewLookup(s.request.Prompt, s.limit())
	}
	for _, t := range got {
		s.lookup.Add(t.Token)
	}
	// A guess more than the reader's buffer holds could not be released, and one token comes in any case.
	most := s.room() - 1
	if e.cfg.guesses != nil {
		all := e.cfg.guesses(s, got)
		return all[:max(0, min(most, len(all)))]
	}
	l.guesses = s.lookup.Guess(l.guesses[:0], l.pace.Guesses(s.lookup.Trust, most))
	if s.byDraft = false; len(l.guesses) == 0 { // what stood there before costs nothing to find
		l.guesses = e.draftGuesses(s, most)
		s.byDraft = len(l.guesses) > 0
	}
	return l.guesses
}
