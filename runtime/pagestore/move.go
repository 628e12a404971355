package pagestore

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/weft-run/weft/runtime/kvcache"
)

// Run is a run of pages of one sequence, to be kept.
type Run struct {
	Session    Session   // who asked for them, or none
	Asked      time.Time // when the pages were computed: a session that was removed since is not written again
	Model      string
	PageTokens int
	First      int           // number of the first page in its sequence
	Keys       []kvcache.Key // 1 to MaxPages
	Pages      []byte        // [len(Keys), bytes of a page]
}

// Has says whether a page is kept.
func (s *Store) Has(key kvcache.Key) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, ok := s.index[key]
	return ok
}

// Known is the number of first Keys whose pages are kept.
func (s *Store) Known(keys []kvcache.Key) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i, key := range keys {
		if _, ok := s.index[key]; !ok {
			return i
		}
	}
	return len(keys)
}

// Put keeps a run of pages. That it could not is told in the log, once until it can again; it costs computing them again.
func (s *Store) Put(r Run) error {
	s.writing.Lock()
	defer s.writing.Unlock()
	g := &segment{
		header: header{
			session: r.Session, model: r.Model, pageBytes: len(r.Pages) / len(r.Keys), pageTokens: r.PageTokens, first: r.First,
			keys: r.Keys, sums: make([][sha256.Size]byte, len(r.Keys)),
		},
		name: hex.EncodeToString(r.Keys[len(r.Keys)-1][:]) + suffix, size: int64(headerBytes + len(r.Pages)),
	}
	for i := range g.sums {
		g.sums[i] = sha256.Sum256(r.Pages[i*g.pageBytes : (i+1)*g.pageBytes])
	}
	s.mu.Lock()
	if at, gone := s.forgotten[r.Session]; gone && !r.Asked.After(at) {
		s.mu.Unlock()
		return nil
	}
	err := s.load()
	if err == nil && g.size > s.o.Quota {
		err = fmt.Errorf("%d bytes are more than kv_quota, which is %d", g.size, s.o.Quota)
	}
	if err == nil {
		err = s.makeRoom(g.size)
	}
	s.mu.Unlock()
	if err == nil {
		err = s.write(g, r.Pages)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.wrote(err)
	if err != nil {
		return fmt.Errorf("pagestore: %w", err)
	}
	s.use(g)
	s.add(g)
	return nil
}

// write makes the file of a segment: after a loss of power it is there whole or not at all.
func (s *Store) write(g *segment, pages []byte) error {
	hidden := g.name + hiddenSuffix
	f, err := s.dir.OpenFile(hidden, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	w := s.o.limit(f)
	_, err = w.Write(g.encode())
	if err == nil {
		_, err = w.Write(pages)
	}
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err == nil {
		err = s.dir.Rename(hidden, g.name)
	}
	if err != nil {
		s.discard(hidden) // half a file takes room on a disk that is full
		return err
	}
	d, err := s.dir.Open(".")
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// Read reads the pages of keys into dst, one behind the other, and returns how many of the first are there, each found to be what was
// written. A file with a page that is not is removed.
func (s *Store) Read(keys []kvcache.Key, dst []byte) int {
	if len(keys) == 0 {
		return 0
	}
	size := len(dst) / len(keys)
	for done := 0; done < len(keys); {
		s.mu.Lock()
		p, ok := s.index[keys[done]]
		s.mu.Unlock()
		if !ok {
			return done
		}
		n, err := s.read(p, keys[done:], dst[done*size:], size)
		done += n
		if err != nil && !isUseless(err) {
			s.o.Log.Warn("kept pages cannot be read now, and are left alone", "file", p.segment.name, "page", p.page+n, "reason", err)
			return done
		}
		if err != nil {
			s.o.Log.Warn("kept pages are not used, and removed", "file", p.segment.name, "page", p.page+n, "reason", err)
			s.mu.Lock()
			if s.segments[p.segment.name] == p.segment { // else another has its name by now
				s.drop(p.segment)
				s.discard(p.segment.name)
			}
			s.mu.Unlock()
			return done
		}
	}
	return len(keys)
}

// read reads the first of keys from p on that lie in one file, and says that the file was used.
func (s *Store) read(p place, keys []kvcache.Key, dst []byte, size int) (n int, err error) {
	g := p.segment
	if g.pageBytes != size {
		return 0, fmt.Errorf("%w: a page has %d bytes, one of this cache has %d", errDamaged, g.pageBytes, size)
	}
	f, err := s.dir.Open(g.name)
	if err != nil {
		return 0, err
	}
	defer f.Close()
	for ; n < len(keys) && p.page+n < len(g.keys) && g.keys[p.page+n] == keys[n]; n++ {
		page := dst[n*size : (n+1)*size]
		if _, err := f.ReadAt(page, int64(headerBytes)+int64(p.page+n)*int64(size)); err != nil {
			if errors.Is(err, io.EOF) {
				err = fmt.Errorf("%w: the file was cut", errDamaged)
			}
			return n, err
		}
		if sha256.Sum256(page) != g.sums[p.page+n] {
			return n, fmt.Errorf("%w: the page is not what its sum says", errDamaged)
		}
	}
	s.Touch(keys[:n])
	return n, nil
}

// Touch notes that the pages of keys were used, all at once: of what is used together the tail goes first. The time is noted in their files too, so
// that it outlasts the process.
func (s *Store) Touch(keys []kvcache.Key) {
	s.mu.Lock()
	var used []*segment
	for _, key := range keys {
		if g := s.index[key].segment; g != nil && (len(used) == 0 || g != used[len(used)-1]) {
			used = append(used, g)
		}
	}
	s.use(used...)
	s.mu.Unlock()
	for now := s.o.now(); len(used) > 0; used = used[1:] {
		s.note(used[0], now)
	}
}

// use gives segments the next turn. The caller holds mu.
func (s *Store) use(used ...*segment) {
	s.turn++
	for _, g := range used {
		g.turn, g.used, g.left = s.turn, s.o.running(), time.Time{}
	}
}

// note gives a file the time of its last use.
func (s *Store) note(g *segment, at time.Time) {
	if err := s.dir.Chtimes(g.name, at, at); err != nil {
		s.o.Log.Debug("the last use of kept pages is not noted", "file", g.name, "reason", err)
	}
}
