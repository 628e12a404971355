package engine

import (
	"time"

	"github.com/weft-run/weft/runtime/scheduler"
)

// deadline is a request's deadline on the scheduler's clock, or 0.
func (l *loop) deadline(r *Request) time.Duration {
	if r.Deadline.IsZero() {
		return 0
	}
	return max(r.Deadline.Sub(l.began), 1)
}

// expire ends the streams whose deadline has passed: whether they wait, are computed or are paused, nobody wants them any more.
func (e *Engine) expire(now time.Time) {
	l := &e.loop
	expired := l.scheduler.Expire(now.Sub(l.began))
	for _, f := range expired {
		e.finish(l.streams[f.ID], FinishError, ErrDeadline)
	}
	if len(expired) > 0 {
		e.note(scheduler.Step{})
	}
}
