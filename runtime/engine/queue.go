package engine

import "time"

// enter gives a request of a caller a place among those that wait or are at work, or refuses it. The caller holds mu.
//
// The last quarter of the queue is for callers who have less than an equal share of all places, so that one who asks without end
// does not fill it for the others.
func (e *Engine) enter(caller string) error {
	places, mine := e.cfg.MaxBatch+e.cfg.MaxQueue, e.callers[caller]
	full := &QueueFullError{Queue: e.live - e.stats.Running, RetryAfter: e.retryAfter()}
	if e.live >= places {
		return full
	}
	others := len(e.callers)
	if mine > 0 {
		others--
	}
	// One more caller than there are: whoever comes next finds a share too.
	if share := places / (others + 2); e.live >= places-e.cfg.MaxQueue/4 && mine >= share {
		full.Mine, full.Share = mine, share
		return full
	}
	e.live++
	if e.callers == nil {
		e.callers = map[string]int{}
	}
	e.callers[caller]++
	return nil
}

// leave ends what enter began. The caller holds mu.
func (e *Engine) leave(caller string) {
	e.live--
	if e.callers[caller]--; e.callers[caller] == 0 {
		delete(e.callers, caller)
	}
}

// retryAfter guesses when a place becomes free. The caller holds mu.
func (e *Engine) retryAfter() time.Duration {
	guess := e.service / time.Duration(e.cfg.MaxBatch)
	return min(max(guess.Truncate(time.Second)+time.Second, time.Second), time.Minute)
}
