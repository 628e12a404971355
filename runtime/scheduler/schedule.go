package scheduler

import (
	"fmt"
	"slices"
)

// Schedule decides the next step. One that has rows must be given to Update before the next Schedule. A step without rows says
// that every sequence is paused, or that there is none.
//
// Decoding goes first: it takes one row of each stream, and a stream that waits is a gap that its reader sees. Prompts fill the
// rest of the budget, those of the poorest caller first, and what they leave admits sequences from the queue: one that does not fit
// is overtaken for a while and then holds up the others. Guesses take what nobody else wanted.
func (s *Scheduler) Schedule() Step {
	if s.inStep {
		panic("BUG: scheduler: Schedule before Update of the step before")
	}
	s.step = Step{Parts: s.step.Parts[:0], Copies: s.step.Copies[:0]}
	s.count()
	s.grow()
	s.admit()
	s.decode()
	s.prefill()
	if !s.chunk.measuring {
		s.speculate()
	}
	s.inStep = s.step.Rows > 0
	return s.step
}

// grow gives each sequence that decodes the page for its next token, and where rows see a window each prompt those of its next chunk, the oldest first. When there is none it takes pages away:
// from a paused sequence, else from the last in the order of keeps. That one keeps what it has and sits this step out.
func (s *Scheduler) grow() {
	for i := 0; i < len(s.running); i++ {
		q := s.running[i]
		if q.paused {
			continue
		}
		for !s.grant(q, s.reach(q)) {
			victim := s.newestPaused()
			if victim == nil {
				victim = slices.MaxFunc(s.running, keeps)
			}
			if victim == q {
				break
			}
			s.preempt(victim)
			i = slices.Index(s.running, q)
		}
	}
}

// newestPaused returns the newest running sequence that is paused, or nil.
func (s *Scheduler) newestPaused() *sequence {
	for i := len(s.running) - 1; i >= 0; i-- {
		if s.running[i].paused {
			return s.running[i]
		}
	}
	return nil
}

// preempt takes the pages of v away. Its tokens stay; it waits in its place of the queue and is computed again, to the same bits
// (docs/adr/0002-preemption-by-recompute.md).
func (s *Scheduler) preempt(v *sequence) {
	s.pages.Release(&v.table)
	v.computed = 0
	v.running = false
	v.overtook = nil
	if !v.paused {
		v.caller.running--
	}
	i := slices.Index(s.running, v)
	s.running = slices.Delete(s.running, i, i+1)
	s.waiting = insert(s.waiting, v)
	s.step.Preempted++
}

// decode adds the sequences that lack one token. When a step is too small for all of them they take turns.
func (s *Scheduler) decode() {
	start := slices.IndexFunc(s.running, func(q *sequence) bool { return q.arrival >= s.turn })
	s.turn = 0
	for k := range s.running {
		q := s.running[(max(start, 0)+k)%len(s.running)]
		if q.paused || q.lacks() != 1 || s.pages.Room(&q.table) < len(q.tokens) {
			continue
		}
		if !s.add(q, 1) {
			s.turn = q.arrival
			return
		}
		s.step.DecodeRows++
	}
}

// prefill adds chunks of the sequences that lack more than one token.
func (s *Scheduler) prefill() {
	s.order = s.order[:0]
	for _, q := range s.running {
		if !q.paused && q.lacks() > 1 {
			s.order = append(s.order, q)
		}
	}
	slices.SortFunc(s.order, fair)
	for _, q := range s.order {
		s.add(q, s.room-(s.step.Rows-s.step.DecodeRows))
	}
}

// admit takes sequences from the queue while the step has rows for them, and there are places and pages for all tokens they have.
// It takes places and pages from those who are to yield them, and pages from paused sequences, where that is enough; the others finish sooner when they are left
// alone. Pages that are too few for the first go to others for a while.
func (s *Scheduler) admit() {
	for s.budget(); ; {
		q := s.first()
		if q == nil || s.wantedBefore(q) >= s.room {
			return
		}
		if places := s.places(); (places >= s.cfg.MaxBatch || !s.open(q)) && !s.makeRoom(q, places) {
			s.overtake(q)
			return
		}
		s.seat(q)
	}
}

// places is how many places are taken.
func (s *Scheduler) places() (places int) {
	for _, c := range s.callers {
		places += c.running
	}
	return places
}

// seat makes q, which has pages, one of those that run.
func (s *Scheduler) seat(q *sequence) {
	// All memory that the sequence will need, so that decoding allocates nothing.
	q.tokens = slices.Grow(q.tokens, q.limit-len(q.tokens))
	q.keys = slices.Grow(q.keys, q.limit/s.pages.PageTokens()-len(q.keys))
	s.pages.Reserve(&q.table, q.limit)
	i := slices.Index(s.waiting, q)
	s.waiting = slices.Delete(s.waiting, i, i+1)
	s.running = insert(s.running, q)
	q.running = true
	q.caller.running++
	q.paid = max(q.paid, q.computed)
	s.caughtUp(q)
}

// budget sets how many rows of the step are for prompts.
func (s *Scheduler) budget() {
	decode, read := 0, false
	prompts := s.first() != nil
	for _, q := range s.running {
		switch {
		case q.paused:
		case q.lacks() > 1:
			prompts = true
		case s.pages.Room(&q.table) >= len(q.tokens):
			decode++
			read = read || q.class == Interactive
		}
	}
	s.room = max(0, s.cfg.StepTokens-decode)
	if read && prompts {
		s.room = min(s.room, s.chunk.rows(decode))
	}
	if s.beside {
		s.room = min(s.room, max(besideRows-decode, besideRows/2))
	}
}

// wantedBefore is how many rows the prompts want that go before q.
func (s *Scheduler) wantedBefore(q *sequence) (rows int) {
	for _, v := range s.running {
		if !v.paused && v.lacks() > 1 && fair(v, q) < 0 {
			rows += v.lacks()
		}
	}
	return rows
}

// add puts as many rows of q into the step as its budgets allow, at most most. It returns false when that is none.
func (s *Scheduler) add(q *sequence, most int) bool {
	rows := min(q.lacks(), most, s.cfg.StepTokens-s.step.Rows, s.pages.Room(&q.table)-q.computed)
	logits := s.cfg.LogitRows - s.step.LogitRows
	// Prompt rows that are to be scored and were not before q was preempted: [from, to).
	from, to := q.computed, q.computed
	if q.promptLogits {
		from = max(q.computed, q.scored)
		to = max(from, min(q.prompt-1, q.computed+rows, from+logits))
		if to < q.prompt-1 {
			rows = min(rows, to-q.computed)
		}
	}
	sample := q.sample && rows == q.lacks()
	if sample && to-from >= logits {
		sample = false
		rows--
	}
	if rows < 1 || len(s.step.Parts) >= s.cfg.MaxBatch {
		return false
	}
	s.step.Parts = append(s.step.Parts, Part{
		ID: q.id, Pos: q.computed, Tokens: q.tokens[q.computed : q.computed+rows], Pages: q.table.Pages(),
		ScoreFrom: from - q.computed, ScoreTo: to - q.computed, Sample: sample,
	})
	if !q.begun {
		q.begun = true
		s.noteFound(q)
		s.step.Parts[len(s.step.Parts)-1].Reused = q.computed
	}
	s.step.Rows += rows
	s.step.LogitRows += to - from
	if sample {
		s.step.LogitRows++
	}
	return true
}

// Update takes the results of a step back: for each part with Sample set, in the order of the parts, the token of its first row
// with logits and one more for each of its drafts that was what was sampled before it; none for sequences that were cancelled
// meanwhile. It returns those that are done, valid until the next Update.
func (s *Scheduler) Update(step Step, sampled []Sampled) []Finished {
	s.inStep = false
	s.finished = s.finished[:0]
	for i := range step.Parts {
		part := &step.Parts[i]
		n := 0
		for n < len(sampled) && sampled[n].ID == part.ID {
			n++
		}
		mine := sampled[:n]
		sampled = sampled[n:]
		q := s.byID[part.ID]
		switch {
		case q == nil:
		case part.Sample && n == 0:
			panic(fmt.Sprintf("BUG: scheduler: no token was sampled for sequence %d", part.ID))
		case n > part.SampleRows():
			panic(fmt.Sprintf("BUG: scheduler: %d tokens were sampled for sequence %d, which asked for %d", n, part.ID, part.SampleRows()))
		default:
			s.advance(q, part, mine)
		}
	}
	if len(sampled) > 0 {
		panic(fmt.Sprintf("BUG: scheduler: a token was sampled for sequence %d, which did not ask", sampled[0].ID))
	}
	s.tick()
	return s.finished
}

// advance takes in what a step computed for q: the rows that were its tokens, and of the drafts those that became so.
func (s *Scheduler) advance(q *sequence, part *Part, sampled []Sampled) {
	for _, t := range sampled {
		q.tokens = append(q.tokens, t.Token)
	}
	q.computed += len(part.Tokens) - part.Drafts + max(0, len(sampled)-1)
	q.charge()
	if q.overtook != nil {
		q.overtook.passed += len(part.Tokens)
	}
	q.scored = max(q.scored, part.Pos+part.ScoreTo)
	if len(sampled) > 0 {
		q.drafts = 0
	}
	if part.Drafts > 0 {
		s.pages.Trim(&q.table, q.computed)
	}
	s.commit(q)
	s.slide(q)
	switch {
	case len(sampled) > 0 && s.ends(q, sampled[len(sampled)-1].Token):
		s.finish(q, Stop)
	case len(sampled) > 0 && len(q.tokens) >= s.cfg.ContextLen && !q.bounded:
		s.finish(q, Full)
	case len(sampled) > 0 && len(q.tokens) >= q.limit, !q.sample && q.lacks() == 0:
		s.finish(q, Length)
	}
}

// ends says whether a token ends q.
func (s *Scheduler) ends(q *sequence, token int32) bool {
	return !q.ignoreEOG && slices.Contains(s.cfg.EOG, token)
}

func (s *Scheduler) finish(q *sequence, reason Reason) {
	s.remove(q)
	s.finished = append(s.finished, Finished{ID: q.id, Reason: reason, Tokens: q.tokens[:q.computed]})
}
