package repository

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

// The file of remembered digests is text: the line `weft digests 1`, one line `DIGEST IDENTITY` for each model, the oldest
// first, and the line `end CRC` with the CRC-32 (IEEE, hex) of all bytes before it. It is replaced whole, by rename.
const (
	digestFile    = "digests"
	digestMagic   = "weft digests "
	digestVersion = "1"
	maxDigests    = 1000
	maxDigestFile = 16 << 20 // bytes
)

// digestStore remembers digests by identity of files. What cannot be read or written costs computing them again and nothing
// else, so it is only logged.
type digestStore struct {
	dir *os.Root // nil: nothing is kept
	log *slog.Logger

	mu    sync.Mutex
	known map[string]string // identity to digest
	order []string          // identities, the oldest first
	// unwritten says that the file lacks something, failing that the last try to write it failed.
	unwritten, failing bool
}

func openDigestStore(dir *os.Root, log *slog.Logger) *digestStore {
	s := &digestStore{dir: dir, log: log, known: map[string]string{}}
	if dir == nil {
		return s
	}
	b, err := s.read()
	switch {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		log.Warn("remembered digests cannot be read; they are computed again", "file", digestFile, "reason", err)
	default:
		if err := s.parse(b); err != nil {
			clear(s.known)
			s.order = nil
			log.Warn("remembered digests are ignored; they are computed again", "file", digestFile, "reason", err)
			if errors.Is(err, errNewer) {
				s.dir = nil // a newer program's file is left alone
			}
		}
	}
	return s
}

func (s *digestStore) read() ([]byte, error) {
	f, err := s.dir.Open(digestFile)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, maxDigestFile))
}

var (
	errNewer   = errors.New("written by a newer version")
	errDamaged = errors.New("damaged")
)

func (s *digestStore) parse(b []byte) error {
	head, _, _ := bytes.Cut(b, []byte("\n"))
	version, ok := strings.CutPrefix(string(head), digestMagic)
	if !ok {
		return fmt.Errorf("%w: first line is %.40q", errDamaged, head)
	}
	if version != digestVersion {
		return fmt.Errorf("%w: format %.20q, this program reads %s", errNewer, version, digestVersion)
	}
	body, tail, ok := cutLast(b, "end ")
	if !ok || tail != sum(body) {
		return fmt.Errorf("%w: the last line does not match the others", errDamaged)
	}
	for line := range strings.Lines(string(body[len(head)+1:])) {
		digest, identity, ok := strings.Cut(strings.TrimSuffix(line, "\n"), " ")
		if !ok || len(digest) != 64 {
			return fmt.Errorf("%w: line %.80q", errDamaged, line)
		}
		s.remember(identity, digest)
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

func (s *digestStore) remember(identity, digest string) {
	if _, ok := s.known[identity]; !ok {
		s.order = append(s.order, identity)
	}
	s.known[identity] = digest
	if len(s.order) > maxDigests {
		delete(s.known, s.order[0])
		s.order = s.order[1:]
	}
}

// get finds a digest.
func (s *digestStore) get(identity string) (string, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	digest, ok := s.known[identity]
	return digest, ok
}

// put remembers a digest and writes all of them.
func (s *digestStore) put(identity, digest string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.remember(identity, digest)
	s.unwritten = true
	s.save()
}

// retry writes what could not be written.
func (s *digestStore) retry() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.save()
}

// save writes what is remembered, if that is not written. The log has one line when that begins to fail and one when it works again.
// The caller holds mu.
func (s *digestStore) save() {
	if s.dir == nil || !s.unwritten {
		return
	}
	err := s.write(s.text())
	s.unwritten = err != nil
	switch {
	case err != nil && !s.failing:
		s.log.Warn("digests cannot be remembered; they are computed again after a restart", "file", digestFile, "reason", err)
	case err == nil && s.failing:
		s.log.Info("digests are remembered again", "file", digestFile)
	}
	s.failing = err != nil
}

// text is the file that holds what is remembered.
func (s *digestStore) text() []byte {
	var b bytes.Buffer
	b.WriteString(digestMagic + digestVersion + "\n")
	for _, identity := range s.order {
		fmt.Fprintf(&b, "%s %s\n", s.known[identity], identity)
	}
	b.WriteString("end " + sum(b.Bytes()))
	return b.Bytes()
}

// write replaces the file: after a loss of power it is the old one or the new one.
func (s *digestStore) write(b []byte) error {
	const hidden = "." + digestFile + ".tmp"
	f, err := s.dir.OpenFile(hidden, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(b)
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		_ = s.dir.Remove(hidden) // half a file takes room on a disk that is full
		return err
	}
	if err := s.dir.Rename(hidden, digestFile); err != nil {
		return err
	}
	d, err := s.dir.Open(".")
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
