package repository

import (
	"context"
	"fmt"
	"slices"
	"time"
)

// tend looks again when something is wanted or the system failed, and unloads what is idle, until ctx ends.
func (r *Repository) tend(ctx context.Context) {
	timer := time.NewTimer(time.Hour)
	timer.Stop()
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
		case <-r.wanted:
			if r.anyWanted() {
				r.resync()
			}
		}
		next, due := r.nextRetry()
		if due {
			r.resync()
		}
		if idle := r.unloadIdle(); idle > 0 && (next == 0 || idle < next) {
			next = idle
		}
		if next > 0 {
			timer.Reset(next)
		}
	}
}

// troubleRest is how long what the system could not read waits for the next try.
const troubleRest = 10 * time.Second

// nextRetry says whether something that the system could not read is to be tried again now, and returns when the next is, 0 for never.
func (r *Repository) nextRetry() (next time.Duration, due bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	now := r.now()
	for _, e := range r.entries {
		if e.retry.IsZero() {
			continue
		}
		if left := e.retry.Sub(now); left <= 0 {
			due = true
		} else if next == 0 || left < next {
			next = left
		}
	}
	return next, due
}

// anyWanted says whether something is to be loaded that is not in line for it.
func (r *Repository) anyWanted() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, e := range r.entries {
		if (e.woken || e.again) && e.due == nil && e.checking == "" {
			return true
		}
	}
	return false
}

// leastLook is the least time between two looks for idle models.
const leastLook = 10 * time.Millisecond

// unloadIdle unloads the models that nobody has wanted for as long as their settings say, and returns when the next may be
// idle for so long, 0 for never.
func (r *Repository) unloadIdle() (next time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	now := r.now()
	for _, e := range r.entries {
		m := e.current
		if m == nil || m.Settings.IdleUnload <= 0 || e.isPinned() {
			continue
		}
		left := m.Settings.IdleUnload
		if m.leases == 0 {
			left -= now.Sub(e.used)
		}
		if left <= 0 && e.idle() {
			r.unload(e, CauseIdle, fmt.Sprintf("nobody wanted it for %v; a request has it loaded again", m.Settings.IdleUnload))
			continue
		}
		if left = max(left, leastLook); next == 0 || left < next {
			next = left
		}
	}
	return next
}

// idle says whether a model may be unloaded unasked: nobody holds or has pinned it, and it can come back. The caller holds mu.
func (e *entry) idle() bool {
	return e.current != nil && e.current.leases == 0 && !e.isPinned() && e.current.key == e.seenKey && e.state == "" && e.checking == "" && !e.again
}

// tryShort lets those that found no memory try again, where what was buried gave memory back for good. What was unloaded
// gave it to who wanted it, or to the machine.
func (r *Repository) tryShort(buried []*Model) (any bool) {
	if !slices.ContainsFunc(buried, func(m *Model) bool { return !m.resting }) {
		return false
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, e := range r.entries {
		if e.rest != nil && e.rest.short {
			e.rest, any = nil, true
		}
		any = any || e.short
	}
	return any
}
