package scheduler

import "github.com/weft-run/weft/runtime/kvcache"

// Attention within a window: pages that no row to come sees are given back while the sequence goes on, and a prompt gets its pages step by step, so that
// a sequence never holds more than its window and a step (docs/adr/0022-pages-behind-the-window-are-given-back.md).

// sees returns the position from which on the row at pos reads the cache.
func (s *Scheduler) sees(pos int) int { return kvcache.Sees(s.cfg.Window, pos) }

// reach is how many tokens of q are to have pages before the next step.
func (s *Scheduler) reach(q *sequence) int {
	if s.cfg.Window == 0 {
		return len(q.tokens)
	}
	return min(len(q.tokens), q.computed+s.cfg.StepTokens)
}

// most is the largest number of pages that a sequence of so many tokens holds at once, where at most so many rows of it are in a step.
func (s *Scheduler) most(tokens, rows int) int {
	if s.cfg.Window == 0 {
		return s.pages.PagesFor(tokens)
	}
	return min(s.pages.PagesFor(tokens), kvcache.WindowPages(s.cfg.Window, min(rows, s.cfg.StepTokens), s.pages.PageTokens()))
}

// needs is the largest number of pages that q holds at once until all its tokens are computed.
func (s *Scheduler) needs(q *sequence) int { return s.most(len(q.tokens), len(q.tokens)) }

// promise is how many pages q, which has some, is still to get: a prompt those of all its tokens, and one that decodes what its window has left and comes to see again
// further on. Where its tokens do not fill the window yet, its next page is nobody's.
func (s *Scheduler) promise(q *sequence) int {
	if s.cfg.Window == 0 {
		return 0
	}
	tokens, end := len(q.tokens), len(q.tokens)
	if q.lacks() == 1 {
		tokens, end = q.computed, q.limit
	}
	return max(0, min(s.beyond(q, end), s.most(tokens, q.lacks())-q.table.Held()))
}

// promised is how many of the free pages are promised to those that run, other than q.
func (s *Scheduler) promised(q *sequence) (pages int) {
	if s.cfg.Window == 0 {
		return 0
	}
	for _, v := range s.running {
		if v != q && !v.paused && !v.gives {
			pages += s.promise(v)
		}
	}
	return pages
}

// spare is how many free pages are not promised to others than q.
func (s *Scheduler) spare(q *sequence) int { return s.pages.Free() - s.promised(q) }

// beyond is how many pages more than q has so many tokens want.
func (s *Scheduler) beyond(q *sequence, tokens int) int {
	return s.pages.PagesFor(tokens) - s.pages.PagesFor(s.pages.Room(&q.table))
}

// grant gives q the pages for tokens tokens. It returns false where too few are free that are not promised to others.
func (s *Scheduler) grant(q *sequence, tokens int) bool {
	need := s.beyond(q, tokens)
	return need <= 0 || need <= s.spare(q) && s.pages.Grow(&q.table, tokens)
}

// slide gives back the pages of q that no row to come sees.
func (s *Scheduler) slide(q *sequence) {
	if s.cfg.Window > 0 {
		s.pages.Slide(&q.table, s.sees(q.computed))
	}
}
