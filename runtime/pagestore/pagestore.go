// Package pagestore owns the pages of caches on disk: pages of named sessions, and of everything where the operator wants it, found again
// by Key after the model was unloaded or the daemon was started anew. It knows no cache and no model (runtime/engine moves pages in and
// out), and nothing of what a page holds: a Key says that, and a sum says whether it still does.
//
// A file holds a segment: pages that follow each other in one sequence, with who named them. It is written whole under a hidden
// name, synced and renamed, so there is never half of one; what cannot be read, or is not what it says it is, is a miss and a line in the log. Quota and
// age bound what is kept; the least recently used goes first, and of one sequence the tail.
//
// A disk that is full or cannot be written costs what would be kept, and is told of once; each Put tries anew. What cannot be removed stays in
// the lists, and is removed when it can be.
//
// Units: sizes are bytes. A Store is safe for concurrent use; it starts no goroutine.
package pagestore

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/weft-run/weft/runtime/kvcache"
)

// Options are what a Store is made of.
type Options struct {
	// Dir opens the folder, which is of the store alone. Where it cannot, it is asked again when there is something to keep.
	Dir    func() (*os.Root, error)
	Quota  int64 // of all files together
	MaxAge time.Duration
	Log    *slog.Logger

	// In tests, the machine's clock, the one that nobody sets, and what stands between a file and what is written to it.
	now     func() time.Time
	running func() time.Duration
	limit   func(io.Writer) io.Writer
}

// Store is a folder of segments.
type Store struct {
	o       Options
	writing sync.Mutex // held by the one Put that writes; taken before mu

	mu        sync.Mutex    // guards what follows
	dir       *os.Root      // nil: it could not be opened yet
	judge     time.Duration // when the ages of what former processes left are judged, on the clock that nobody sets
	turn      int64         // of the last use
	segments  map[string]*segment
	index     map[kvcache.Key]place
	bytes     int64
	forgotten map[Session]time.Time // sessions that were removed, and when
	failing   bool                  // the last write failed
	stuck     bool                  // the last removal failed
}

// segment is one file.
type segment struct {
	header
	name string
	size int64
	turn int64         // of its last use: what has the lowest goes first
	used time.Duration // when that was, on the clock that nobody sets
	left time.Time     // when a former process used it, by its file; zero once this one did, or has judged that
}

// place is where a page lies.
type place struct {
	segment *segment
	page    int
}

// Open reads what the folder has, and removes what was being written when the last process ended.
func Open(o Options) *Store {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.now == nil {
		o.now = time.Now
	}
	if began := time.Now(); o.running == nil {
		o.running = func() time.Duration { return time.Since(began) }
	}
	if o.limit == nil {
		o.limit = func(w io.Writer) io.Writer { return w }
	}
	s := &Store{o: o, segments: map[string]*segment{}, index: map[kvcache.Key]place{}, forgotten: map[Session]time.Time{}}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.wrote(s.load())
	return s
}

// load opens the folder, once. The caller holds mu.
func (s *Store) load() error {
	if s.dir != nil {
		return nil
	}
	dir, err := s.o.Dir()
	if err != nil {
		return err
	}
	entries, err := fs.ReadDir(dir.FS(), ".")
	if err != nil {
		return errors.Join(err, dir.Close())
	}
	s.dir, s.judge = dir, s.o.running()+judgeAfter
	var found []*segment
	for _, e := range entries {
		switch name := e.Name(); {
		case strings.HasSuffix(name, hiddenSuffix):
			s.discard(name)
		case strings.HasSuffix(name, suffix):
			switch g, err := s.open(name); {
			case err == nil:
				found = append(found, g)
			case errors.Is(err, errNewer):
				s.o.Log.Warn("kept pages of a newer version are left alone", "file", name, "reason", err)
			case isUseless(err):
				s.o.Log.Warn("kept pages are not used, and removed", "file", name, "reason", err)
				s.discard(name)
			default:
				s.o.Log.Warn("kept pages cannot be read now, and are left alone", "file", name, "reason", err)
			}
		}
	}
	slices.SortFunc(found, func(a, b *segment) int { return a.left.Compare(b.left) })
	for i, g := range found {
		if i == 0 || g.left.After(found[i-1].left) {
			s.turn++
		}
		g.turn = s.turn
		s.add(g)
	}
	s.removed(s.makeRoom(0))
	return nil
}

// isUseless says whether an error speaks of a file, and not of a system that cannot read it now.
func isUseless(err error) bool {
	return errors.Is(err, errDamaged) || errors.Is(err, errFormat) || errors.Is(err, fs.ErrNotExist)
}

// open reads the header of a file.
func (s *Store) open(name string) (*segment, error) {
	f, err := s.dir.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%w: not a regular file", errDamaged)
	}
	b := make([]byte, headerBytes)
	switch _, err := io.ReadFull(f, b); {
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return nil, fmt.Errorf("%w: the file was cut", errDamaged)
	case err != nil:
		return nil, err
	}
	h, err := parseHeader(b, info.Size())
	if err != nil {
		return nil, err
	}
	return &segment{header: h, name: name, size: info.Size(), left: info.ModTime()}, nil
}

// add puts a segment into the index. The caller holds mu.
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

// wrote tells of a disk that does not take what is to be kept, once until it does. The caller holds mu.
func (s *Store) wrote(err error) {
	switch {
	case err != nil && !s.failing:
		s.o.Log.Warn("pages cannot be kept on disk; they are computed again when they are not in memory", "reason", err.Error()+advice(err))
	case err == nil && s.failing:
		s.o.Log.Info("pages are kept on disk again")
	}
	s.failing = err != nil
}

// advice says what to do about a disk that cannot be written, as the end of a sentence that begins with the error.
func advice(err error) string {
	switch {
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
		return "; make room there, or lower kv_quota"
	case errors.Is(err, syscall.EROFS), errors.Is(err, fs.ErrPermission):
		return "; make the folder writable for the daemon's user"
	}
	return ""
}
