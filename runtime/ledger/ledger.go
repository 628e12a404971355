// Package ledger owns small files of remembered facts in the state folder: digests of files by the files' identity, what adapters were
// tested with. Each fact is a value under a key. It knows nothing of what they mean, and what cannot be read or written is only
// logged: it costs finding the facts again and nothing else. A Ledger is safe for concurrent use and starts no goroutine.
package ledger

import (
	"bytes"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"strings"
	"sync"
)

// The file is text: the line `weft NAME 1`, one line `VALUE KEY` for each fact, the oldest first, and the line `end CRC` with the CRC-32
// (IEEE, hex) of all bytes before it. It is replaced whole, by rename. Values have no spaces, and neither has line ends.
const (
	version = "1"
	maxFile = 16 << 20 // bytes
)

// Kind says what a ledger remembers.
type Kind struct {
	File string            // its name in the state folder, and in the first line
	What string            // the facts in the words of the log: "digests"
	Max  int               // facts that are kept; the oldest go
	Good func(string) bool // whether a text is such a value
}

func (k Kind) magic() string { return "weft " + k.File + " " }

// Ledger is one such file.
type Ledger struct {
	Kind
	dir *os.Root // nil: nothing is kept
	log *slog.Logger

	mu    sync.Mutex
	known map[string]string // key to value
	order []string          // keys, the oldest first
	// unwritten says that the file lacks something, failing that the last try to write it failed.
	unwritten, failing bool
}

// Open reads what the folder has. dir may be nil: then facts are kept in memory alone.
func Open(dir *os.Root, k Kind, log *slog.Logger) *Ledger {
	s := &Ledger{Kind: k, dir: dir, log: log, known: map[string]string{}}
	if dir == nil {
		return s
	}
	b, err := s.read()
	switch {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		log.Warn("remembered "+k.What+" cannot be read; they are found again", "file", k.File, "reason", err)
	default:
		if err := s.parse(b); err != nil {
			clear(s.known)
			s.order = nil
			log.Warn("remembered "+k.What+" are ignored; they are found again", "file", k.File, "reason", err)
			if errors.Is(err, errNewer) {
				s.dir = nil // a newer program's file is left alone
			}
		}
	}
	return s
}

func (s *Ledger) read() ([]byte, error) {
	f, err := s.dir.Open(s.File)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, maxFile))
}

var (
	errNewer   = errors.New("written by a newer version")
	errDamaged = errors.New("damaged")
)

func (s *Ledger) parse(b []byte) error {
	head, _, _ := bytes.Cut(b, []byte("\n"))
	made, ok := strings.CutPrefix(string(head), s.magic())
	if !ok {
		return fmt.Errorf("%w: first line is %.40q", errDamaged, head)
	}
	if made != version {
		return fmt.Errorf("%w: format %.20q, this program reads %s", errNewer, made, version)
	}
	body, tail, ok := cutLast(b, "end ")
	if !ok || tail != sum(body) {
		return fmt.Errorf("%w: the last line does not match the others", errDamaged)
	}
	for line := range strings.Lines(string(body[len(head)+1:])) {
		value, key, ok := strings.Cut(strings.TrimSuffix(line, "\n"), " ")
		if !ok || !s.Good(value) {
			return fmt.Errorf("%w: line %.80q", errDamaged, line)
		}
		s.remember(key, value)
	}
	return nil
}

// cutLast takes the last line of b, which begins with prefix, off what is before it.
func cutLast(b []byte, prefix string) (body []byte, rest string, ok bool) {
	at := bytes.LastIndex(b, []byte("\n"+prefix))
	if at < 0 {
		return nil, "", false
	}
	return b[:at+1], string(b[at+1+len(prefix):]), true
}

func sum(body []byte) string { return fmt.Sprintf("%08x\n", crc32.ChecksumIEEE(body)) }

func (s *Ledger) remember(key, value string) {
	if _, ok := s.known[key]; !ok {
		s.order = append(s.order, key)
	}
	s.known[key] = value
	if len(s.order) > s.Max {
		delete(s.known, s.order[0])
		s.order = s.order[1:]
	}
}

// Get finds a fact.
func (s *Ledger) Get(key string) (value string, known bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	value, known = s.known[key]
	return value, known
}

// Put remembers a fact and writes all of them.
func (s *Ledger) Put(key, value string) {
	s.Note(key, value)
	s.Flush()
}

// Note remembers a fact until the next Flush writes it.
func (s *Ledger) Note(key, value string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.known[key] == value {
		return
	}
	s.remember(key, value)
	s.unwritten = true
}

// Flush writes what is not written.
func (s *Ledger) Flush() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.save()
}

// save writes what is remembered, if that is not written. The log has one line when that begins to fail and one when it works again.
// The caller holds mu.
func (s *Ledger) save() {
	if s.dir == nil || !s.unwritten {
		return
	}
	err := s.write(s.text())
	s.unwritten = err != nil
	switch {
	case err != nil && !s.failing:
		s.log.Warn(s.What+" cannot be remembered; they are found again after a restart", "file", s.File, "reason", err)
	case err == nil && s.failing:
		s.log.Info(s.What+" are remembered again", "file", s.File)
	}
	s.failing = err != nil
}

// text is the file that holds what is remembered.
func (s *Ledger) text() []byte {
	var b bytes.Buffer
	b.WriteString(s.magic() + version + "\n")
	for _, key := range s.order {
		fmt.Fprintf(&b, "%s %s\n", s.known[key], key)
	}
	b.WriteString("end " + sum(b.Bytes()))
	return b.Bytes()
}

// write replaces the file: after a loss of power it is the old one or the new one.
func (s *Ledger) write(b []byte) error {
	hidden := "." + s.File + ".tmp"
	f, err := s.dir.OpenFile(hidden, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(b)
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		_ = s.dir.Remove(hidden) // half a file takes room on a disk that is full
		return err
	}
	if err := s.dir.Rename(hidden, s.File); err != nil {
		return err
	}
	d, err := s.dir.Open(".")
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
