// Package pagestore owns the pages of caches on disk: pages of named sessions, and of everything where the operator wants it, found again
// by Key after the model was unloaded or the daemon was started anew. It knows no cache and no model (runtime/engine moves pages in and
// out), and nothing of what a page holds: a Key says that, and a sum says whether it still does.
//
// A file holds a segment: pages that follow each other in one sequence, with who named them. It is written whole under a hidden
// name, synced and renamed, so there is never half of one; what cannot be read, or is not what it says it is, is a miss and a line in the log. Quota and
// age bound what is kept; the least recently used goes first, and of one sequence the tail.
//
// Units: sizes are bytes. A Store is safe for concurrent use; it starts no goroutine.
package pagestore

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/weft-run/weft/runtime/kvcache"
)

// Options are what a Store is made of.
type Options struct {
	Dir    *os.Root // of the store alone
	Quota  int64    // of all files together
	MaxAge time.Duration
	Log    *slog.Logger

	// now and limit, in tests, are the clock and what stands between a file and what is written to it.
	now   func() time.Time
	limit func(io.Writer) io.Writer
}

// Store is a folder of segments.
type Store struct {
	o       Options
	writing sync.Mutex // held by the one Put that writes; taken before mu

	mu        sync.Mutex // guards what follows
	segments  map[string]*segment
	index     map[kvcache.Key]place
	bytes     int64
	forgotten map[Session]time.Time // sessions that were removed, and when
	failing   bool                  // the last write failed
}

// segment is one file.
type segment struct {
	header
	name string
	size int64
	used time.Time
}

// place is where a page lies.
type place struct {
	segment *segment
	page    int
}

// Open reads what the folder has, and removes what was being written when the last process ended.
func Open(o Options) (*Store, error) {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.now == nil {
		o.now = time.Now
	}
	if o.limit == nil {
		o.limit = func(w io.Writer) io.Writer { return w }
	}
	s := &Store{o: o, segments: map[string]*segment{}, index: map[kvcache.Key]place{}, forgotten: map[Session]time.Time{}}
	entries, err := fs.ReadDir(o.Dir.FS(), ".")
	if err != nil {
		return nil, fmt.Errorf("pagestore: %w", err)
	}
	for _, e := range entries {
		switch name := e.Name(); {
		case strings.HasSuffix(name, hiddenSuffix):
			s.discard(name)
		case strings.HasSuffix(name, suffix):
			switch err := s.open(name); {
			case err == nil:
			case errors.Is(err, errNewer):
				o.Log.Warn("kept pages of a newer version are left alone", "file", name, "reason", err)
			case isUseless(err):
				o.Log.Warn("kept pages are not used, and removed", "file", name, "reason", err)
				s.discard(name)
			default:
				o.Log.Warn("kept pages cannot be read now, and are left alone", "file", name, "reason", err)
			}
		}
	}
	s.Expire()
	s.mu.Lock()
	s.makeRoom(0)
	s.mu.Unlock()
	return s, nil
}

// isUseless says whether an error speaks of a file, and not of a system that cannot read it now.
func isUseless(err error) bool {
	return errors.Is(err, errDamaged) || errors.Is(err, errFormat) || errors.Is(err, fs.ErrNotExist)
}

// open reads the header of a file.
func (s *Store) open(name string) error {
	f, err := s.o.Dir.Open(name)
	if err != nil {
		return err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	if !info.Mode().IsRegular() {
		return fmt.Errorf("%w: not a regular file", errDamaged)
	}
	b := make([]byte, headerBytes)
	switch _, err := io.ReadFull(f, b); {
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return fmt.Errorf("%w: the file was cut", errDamaged)
	case err != nil:
		return err
	}
	h, err := parseHeader(b, info.Size())
	if err != nil {
		return err
	}
	s.add(&segment{header: h, name: name, size: info.Size(), used: info.ModTime()})
	return nil
}

// add puts a segment into the index. The caller holds mu, or is Open.
func (s *Store) add(g *segment) {
	if old := s.segments[g.name]; old != nil {
		s.drop(old)
	}
	s.segments[g.name] = g
	s.bytes += g.size
	for i, key := range g.keys {
		s.index[key] = place{g, i}
	}
}

// drop takes a segment out of the index. The caller holds mu.
func (s *Store) drop(g *segment) {
	if s.segments[g.name] != g {
		return
	}
	delete(s.segments, g.name)
	s.bytes -= g.size
	for _, key := range g.keys {
		if s.index[key].segment == g {
			delete(s.index, key)
		}
	}
}

// remove drops a segment and its file. The caller holds mu.
func (s *Store) remove(g *segment) {
	if s.segments[g.name] != g {
		return // another has its name by now
	}
	s.drop(g)
	s.discard(g.name)
}

// discard removes a file; one that cannot be removed is found again at the next start.
func (s *Store) discard(name string) {
	if err := s.o.Dir.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
		s.o.Log.Warn("a file of kept pages cannot be removed", "file", name, "reason", err)
	}
}

// makeRoom removes segments until the quota has room for so many bytes more. The caller holds mu.
func (s *Store) makeRoom(bytes int64) {
	for s.bytes+bytes > s.o.Quota && len(s.segments) > 0 {
		var first *segment
		for _, g := range s.segments {
			if first == nil || cmp.Or(g.used.Compare(first.used), cmp.Compare(first.first, g.first), strings.Compare(g.name, first.name)) < 0 {
				first = g
			}
		}
		s.remove(first)
	}
}

// Expire removes what was not used for longer than MaxAge.
func (s *Store) Expire() {
	s.mu.Lock()
	defer s.mu.Unlock()
	oldest := s.o.now().Add(-s.o.MaxAge)
	for _, g := range s.segments {
		if g.used.Before(oldest) {
			s.remove(g)
		}
	}
	for session, at := range s.forgotten {
		if at.Before(s.o.now().Add(-time.Hour)) { // longer than anything waits to be written
			delete(s.forgotten, session)
		}
	}
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
