package scheduler

// Speculation: a sequence that decodes may carry guesses at the tokens that follow. Their rows are computed together with the
// one that it lacks, and each is worth a token where the guesses up to it turn out to be what is sampled. The others leave keys
// and values behind in positions that nobody reads before they are written again; pages are committed for tokens alone.

// Draft offers guesses at the tokens that follow those of a sequence, in place of what was offered before. They hold until the
// sequence's next token. What would reach over the sequence's end is cut off, and so is a token that ends it: the row of a last
// token is never computed.
func (s *Scheduler) Draft(id SeqID, guesses []int32) {
	q := s.byID[id]
	if q == nil || !q.running || !q.sample {
		return
	}
	// The row of the last guess gives one more token.
	room := min(cap(q.tokens), q.limit-1) - len(q.tokens)
	q.drafts = 0
	for _, token := range guesses[:max(0, min(len(guesses), room))] {
		if s.ends(q, token) {
			break
		}
		q.drafts++
		q.tokens[:cap(q.tokens)][len(q.tokens)+q.drafts-1] = token
	}
}

// Tokens returns all tokens of a sequence, prompt first, valid until the next call that takes the sequence further; none when there is no such
// sequence.
func (s *Scheduler) Tokens(id SeqID) []int32 {
	q := s.byID[id]
	if q == nil {
		return nil
	}
	return q.tokens
}

// speculate gives the rows, logits and pages that a step has left to the guesses of the sequences that decode in it.
func (s *Scheduler) speculate() {
	for i := range s.step.Parts {
		part := &s.step.Parts[i]
		q := s.byID[part.ID]
		if q.drafts == 0 || !part.Sample || len(part.Tokens) > 1 {
			continue
		}
		drafts := min(q.drafts, s.cfg.StepTokens-s.step.Rows, s.cfg.LogitRows-s.step.LogitRows)
		if drafts > 0 && !s.grant(q, len(q.tokens)+drafts) {
			drafts = min(drafts, s.pages.Room(&q.table)-len(q.tokens))
		}
		if drafts <= 0 {
			continue
		}
		part.Tokens = q.tokens[q.computed : len(q.tokens)+drafts]
		part.Pages = q.table.Pages()
		part.Drafts = drafts
		s.step.Rows += drafts
		s.step.LogitRows += drafts
		s.step.DraftRows += drafts
	}
}
