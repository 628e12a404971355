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

// most is the largest number of pages that a sequence of so many tokens holds at once.
func (s *Scheduler) most(tokens int) int {
	if s.cfg.Window == 0 {
		return s.pages.PagesFor(tokens)
	}
	return min(s.pages.PagesFor(tokens), kvcache.WindowPages(s.cfg.Window, s.cfg.StepTokens, s.pages.PageTokens()))
}

// slide gives back the pages of q that no row to come sees.
func (s *Scheduler) slide(q *sequence) {
	if s.cfg.Window > 0 {
		s.pages.Slide(&q.table, s.sees(q.computed))
	}
}
