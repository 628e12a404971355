package pagestore

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Info is what is kept of one session.
type Info struct {
	Session
	Model  string
	Tokens int // of the longest sequence that it has pages of
	Bytes  int64
	Used   time.Time
}

// Sessions lists what is kept of sessions, the one used last first. Pages that two sessions of a caller share belong to the one
// that had them first.
func (s *Store) Sessions() []Info {
	s.mu.Lock()
	defer s.mu.Unlock()
	by := map[Session]*Info{}
	for _, g := range s.segments {
		if g.session == (Session{}) {
			continue
		}
		info := by[g.session]
		if info == nil {
			info = &Info{Session: g.session}
			by[g.session] = info
		}
		info.Bytes += g.size
		info.Tokens = max(info.Tokens, (g.first+len(g.keys))*g.pageTokens)
		if used := s.lastUse(g); !used.Before(info.Used) {
			info.Used, info.Model = used, g.model
		}
	}
	list := make([]Info, 0, len(by))
	for _, info := range by {
		list = append(list, *info)
	}
	slices.SortFunc(list, func(a, b Info) int {
		return cmp.Or(b.Used.Compare(a.Used), strings.Compare(a.Caller, b.Caller), strings.Compare(a.Name, b.Name))
	})
	return list
}

// Forget removes what is kept of a session, and what was computed for it until now and waits to be written: when it returns the disk has
// nothing of it, and gets nothing. It returns whether there was anything, and the bytes. What the disk does not let go stays in the lists, and
// the error says why.
func (s *Store) Forget(session Session) (bytes int64, found bool, err error) {
	s.writing.Lock() // what is being written is removed too
	defer s.writing.Unlock()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.forgotten[session] = s.o.now()
	for _, g := range s.segments {
		if g.session != session {
			continue
		}
		found = true
		if no := s.remove(g); no != nil {
			err = fmt.Errorf("pagestore: what is kept of a session cannot be removed: %w%s", no, advice(no))
			continue
		}
		bytes += g.size
	}
	return bytes, found, err
}

// Usage returns the bytes that are kept, and in how many files.
func (s *Store) Usage() (bytes int64, files int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.bytes, len(s.segments)
}
