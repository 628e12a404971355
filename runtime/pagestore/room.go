package pagestore

import (
	"cmp"
	"context"
	"errors"
	"io/fs"
	"strings"
	"time"
)

// judgeAfter is how long after its start a store judges how old is what former processes left: the clock of a machine may be set
// when it is on the network, some time after the daemon started.
const judgeAfter = 10 * time.Minute

// remove removes a segment's file, and drops it. Where the file cannot be removed it stays. The caller holds mu.
func (s *Store) remove(g *segment) error {
	if s.segments[g.name] != g {
		return nil // another has its name by now
	}
	if err := s.dir.Remove(g.name); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	s.drop(g)
	return nil
}

// discard removes a file that is of no use; one that cannot be removed is found again at the next start.
func (s *Store) discard(name string) {
	if err := s.dir.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
		s.o.Log.Debug("a file of no use cannot be removed", "file", name, "reason", err)
	}
}

// makeRoom removes segments until the quota has room for so many bytes more. The caller holds mu.
func (s *Store) makeRoom(bytes int64) error {
	for s.bytes+bytes > s.o.Quota && len(s.segments) > 0 {
		var first *segment
		for _, g := range s.segments {
			if first == nil || cmp.Or(cmp.Compare(g.turn, first.turn), cmp.Compare(first.first, g.first), strings.Compare(g.name, first.name)) < 0 {
				first = g
			}
		}
		if err := s.remove(first); err != nil {
			return err
		}
	}
	return nil
}

// Expire removes what was not used for longer than MaxAge.
func (s *Store) Expire() {
	s.mu.Lock()
	defer s.mu.Unlock()
	running := s.o.running()
	var failed error
	for _, g := range s.segments {
		if !g.left.IsZero() {
			if running < s.judge {
				continue
			}
			s.judgeAge(g)
		}
		if running-g.used > s.o.MaxAge {
			if err := s.remove(g); err != nil {
				failed = err
			}
		}
	}
	s.removed(failed)
	for session, at := range s.forgotten {
		if s.o.now().Sub(at) > time.Hour { // longer than anything waits to be written
			delete(s.forgotten, session)
		}
	}
}

// judgeAge takes the age of what a former process left from its file, once. A file of the future, by a clock that was set back since, begins to age
// now. The caller holds mu.
func (s *Store) judgeAge(g *segment) {
	now := s.o.now()
	age := now.Sub(g.left)
	if age < 0 {
		age = 0
		s.note(g, now)
	}
	g.used, g.left = s.o.running()-age, time.Time{}
}

// lastUse is when a segment was used last, by the machine's clock. The caller holds mu.
func (s *Store) lastUse(g *segment) time.Time {
	now := s.o.now()
	switch {
	case g.left.IsZero():
		return now.Add(g.used - s.o.running())
	case g.left.After(now):
		return now
	}
	return g.left
}

// removed tells of what is to go and cannot be removed, once until it can. The caller holds mu.
func (s *Store) removed(err error) {
	if err != nil && !s.stuck {
		s.o.Log.Warn("kept pages are to be removed and cannot be; that is tried again", "reason", err.Error()+advice(err))
	}
	s.stuck = err != nil
}

// Run expires what is old until ctx ends.
func (s *Store) Run(ctx context.Context) {
	ticker := time.NewTicker(time.Minute)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			s.Expire()
		}
	}
}
