package scheduler

import "github.com/weft-run/weft/runtime/kvcache"

// waitsFor returns the sequence whose prompt q is to share and which has not computed it yet, or nil.
func (s *Scheduler) waitsFor(q *sequence) *sequence {
	if q.behind == 0 {
		return nil
	}
	if first := s.byID[q.behind]; first != nil && first.computed < first.prompt && !first.paused {
		return first
	}
	return nil
}

// open gives q, which holds no page, pages for all tokens it has, or for as many as it is to reach. What is known of them needs no computing, but for the last
// token, whose logits are wanted. It returns false, and q holds no page, when there are too few.
func (s *Scheduler) open(q *sequence) bool {
	found := len(q.tokens) - 1
	if q.promptLogits && q.scored < q.prompt-1 {
		found = min(found, q.scored) // rows that are to be scored are computed
	}
	if first := s.byID[q.behind]; first != nil && first.computed >= found && found == q.prompt-1 && s.pages.Has(&first.table, s.sees(found)) {
		c, copied, ok := s.pages.Fork(&q.table, &first.table, found)
		if !ok {
			return false
		}
		if copied {
			s.step.Copies = append(s.step.Copies, c)
		}
		q.computed = found
	} else if q.root != (kvcache.Key{}) {
		q.computed = s.pages.Match(&q.table, s.keys(q, found), s.sees)
	}
	if !s.pages.Grow(&q.table, s.reach(q)) || s.spare(q) < s.promise(q) {
		// A copy to a page of the fork may stand in the step by now; nobody reads what it writes before it is written again.
		s.pages.Release(&q.table)
		q.computed = 0
		return false
	}
	return true
}

// noteFound tells the accounting what q, which begins, has found. A prompt that could find nothing does not count.
func (s *Scheduler) noteFound(q *sequence) {
	looked := q.root != (kvcache.Key{}) && q.prompt > s.pages.PageTokens() && !q.promptLogits
	if looked || q.computed > 0 {
		s.pages.Began(&q.table, q.computed)
	}
}

// keys returns the Keys of the full pages of q's first tokens tokens.
func (s *Scheduler) keys(q *sequence, tokens int) []kvcache.Key {
	size := s.pages.PageTokens()
	q.keys = AppendKeys(q.keys, q.root, q.turns, q.tokens[:max(tokens, len(q.keys)*size)], size)
	return q.keys[:tokens/size]
}

// AppendKeys appends to keys, those of the first pages of a sequence, the Keys of its other full pages of size tokens.
func AppendKeys(keys []kvcache.Key, root kvcache.Key, turns []Turn, tokens []int32, size int) []kvcache.Key {
	for i := len(keys); i < len(tokens)/size; i++ {
		before := root
		if i > 0 {
			before = keys[i-1]
		}
		for _, t := range turns {
			if t.From >= i*size && t.From < (i+1)*size {
				before = before.Turn(t.From, t.To)
			}
		}
		keys = append(keys, before.Next(tokens[i*size:(i+1)*size]))
	}
	return keys
}

// commit makes the pages of q that are full known to others.
func (s *Scheduler) commit(q *sequence) {
	if q.root != (kvcache.Key{}) {
		s.pages.Commit(&q.table, s.keys(q, q.computed))
	}
}

// Check looks whether the accounting of pages is right, as kvcache.Manager.Check does: the sequences that run are all who hold any.
func (s *Scheduler) Check() error {
	tables := make([]*kvcache.Table, len(s.running))
	for i, q := range s.running {
		tables[i] = &q.table
	}
	return s.pages.Check(tables)
}
