package pagestore

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/weft-run/weft/runtime/kvcache"
)

// folder is a folder with two clocks: one that is set, and one that nobody sets.
type folder struct {
	t     *testing.T
	path  string
	clock time.Time
	ran   time.Duration
	quota int64
	limit func(io.Writer) io.Writer
	log   bytes.Buffer
}

func newFolder(t *testing.T) *folder {
	return &folder{t: t, path: t.TempDir(), clock: time.Unix(1e9, 0), quota: 1 << 20}
}

// open opens the folder as a process does that starts.
func (f *folder) open() *Store {
	f.t.Helper()
	return Open(Options{
		Dir: func() (*os.Root, error) { return os.OpenRoot(f.path) }, Quota: f.quota, MaxAge: time.Hour, Log: slog.New(slog.NewTextHandler(&f.log, nil)),
		now: func() time.Time { return f.clock }, running: func() time.Duration { return f.ran }, limit: f.limit,
	})
}

// pass lets time go by.
func (f *folder) pass(d time.Duration) { f.clock, f.ran = f.clock.Add(d), f.ran+d }

// have says which runs a store has, by the names of their sessions.
func have(s *Store, runs ...Run) (names string) {
	for _, r := range runs {
		if s.Has(r.Keys[0]) {
			names += r.Session.Name
		}
	}
	return names
}

func (f *folder) files() []string {
	f.t.Helper()
	list, err := filepath.Glob(filepath.Join(f.path, "*"))
	if err != nil {
		f.t.Fatal(err)
	}
	return list
}

const testPage = 40 // bytes

// testRun makes a run of pages; a page's Key and bytes follow from the seed and its number.
func testRun(session string, seed, first, pages int) Run {
	r := Run{Session: Session{"uid=1", session}, Model: "m", PageTokens: 16, First: first}
	for i := first; i < first+pages; i++ {
		r.Keys = append(r.Keys, kvcache.Key{byte(seed), byte(i), 1})
		r.Pages = append(r.Pages, bytes.Repeat([]byte{byte(seed*16 + i)}, testPage)...)
	}
	return r
}

// read returns how many first pages of a run a store gives, which must be those that were put.
func read(t *testing.T, s *Store, r Run) int {
	t.Helper()
	got := make([]byte, len(r.Pages))
	n := s.Read(r.Keys, got)
	if !bytes.Equal(got[:n*testPage], r.Pages[:n*testPage]) {
		t.Fatal("other bytes are read than were written")
	}
	return n
}

func TestPagesOutlastTheProcess(t *testing.T) {
	f := newFolder(t)
	s := f.open()
	a, b := testRun("a", 1, 0, 3), testRun("a", 1, 3, 2)
	for _, r := range []Run{a, b} {
		if err := s.Put(r); err != nil {
			t.Fatal(err)
		}
	}
	both := Run{Keys: slices.Concat(a.Keys, b.Keys), Pages: slices.Concat(a.Pages, b.Pages)}
	for _, s := range []*Store{s, f.open()} {
		if n := read(t, s, both); n != 5 || s.Known(both.Keys) != 5 || !s.Has(b.Keys[1]) {
			t.Errorf("%d of 5 pages, %d known", n, s.Known(both.Keys))
		}
		if n := read(t, s, testRun("a", 2, 0, 1)); n != 0 {
			t.Error("a page is found that was never kept")
		}
		if list := s.Sessions(); len(list) != 1 || list[0].Tokens != 5*16 || list[0].Bytes != 2*headerBytes+5*testPage || list[0].Model != "m" {
			t.Errorf("sessions %+v", list)
		}
	}
	for _, path := range f.files() {
		if info, err := os.Stat(path); err != nil || info.Mode() != 0o600 {
			t.Errorf("%s: %v, %v", path, info.Mode(), err)
		}
	}
}

// stride is the given step through a file's bytes, or a longer one where there is no time.
func stride(step int) int {
	if testing.Short() {
		return 331
	}
	return step
}

// H38: any one bit flipped, any length cut or added: the page is a miss or has its bytes, and the log says what was found.
func TestDamagedFilesAreMisses(t *testing.T) {
	f := newFolder(t)
	r := testRun("a", 1, 0, 2)
	if err := f.open().Put(r); err != nil {
		t.Fatal(err)
	}
	path := f.files()[0]
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	try := func(what string, b []byte) {
		t.Helper()
		f.log.Reset()
		if err := os.WriteFile(path, b, 0o600); err != nil {
			t.Fatal(err)
		}
		if n := read(t, f.open(), r); n == 2 {
			t.Errorf("%s: all pages are there", what)
		}
		if f.log.Len() == 0 {
			t.Errorf("%s: the log says nothing", what)
		}
	}
	for at := 0; at < len(whole); at += stride(1) {
		b := slices.Clone(whole)
		b[at] ^= 1 << (at % 8)
		try(fmt.Sprintf("bit of byte %d", at), b)
	}
	for n := 0; n < len(whole); n += stride(101) {
		try(fmt.Sprintf("cut to %d", n), whole[:n])
	}
	try("one byte more", append(slices.Clone(whole), 0))
	// Cut after it was opened.
	if err := os.WriteFile(path, whole, 0o600); err != nil {
		t.Fatal(err)
	}
	s := f.open()
	if err := os.Truncate(path, headerBytes+testPage+1); err != nil {
		t.Fatal(err)
	}
	if n := read(t, s, r); n != 1 || len(f.files()) != 0 {
		t.Errorf("%d pages of a file that was cut, %d files left", n, len(f.files()))
	}
}

// A file that the system cannot read now is left where it is, for the next who asks and the next start.
func TestUnreadableFilesAreLeftAlone(t *testing.T) {
	f := newFolder(t)
	r := testRun("a", 1, 0, 2)
	s := f.open()
	if err := s.Put(r); err != nil {
		t.Fatal(err)
	}
	path := f.files()[0]
	aside := filepath.Join(t.TempDir(), "aside")
	// A link to itself cannot be opened, by root neither.
	if err := errors.Join(os.Rename(path, aside), os.Symlink(filepath.Base(path), path)); err != nil {
		t.Fatal(err)
	}
	for _, s := range []*Store{s, f.open()} {
		if n := read(t, s, r); n != 0 || len(f.files()) != 1 {
			t.Errorf("%d pages, files %v", n, f.files())
		}
	}
	if n := strings.Count(f.log.String(), "cannot be read now"); n != 2 {
		t.Errorf("the log says it %d times: %s", n, &f.log)
	}
	if err := os.Rename(aside, path); err != nil {
		t.Fatal(err)
	}
	for _, s := range []*Store{s, f.open()} {
		if n := read(t, s, r); n != 2 {
			t.Errorf("%d pages when it can be read again", n)
		}
	}
}

// A file of a newer version is not used, and not removed: a newer program may be back tomorrow.
func TestNewerFilesAreLeftAlone(t *testing.T) {
	f := newFolder(t)
	r := testRun("a", 1, 0, 1)
	if err := f.open().Put(r); err != nil {
		t.Fatal(err)
	}
	path := f.files()[0]
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	b[8]++
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
	if n := read(t, f.open(), r); n != 0 || len(f.files()) != 1 || !strings.Contains(f.log.String(), "newer version") {
		t.Errorf("%d pages, files %v, log %s", n, f.files(), &f.log)
	}
}

// errFull is a full disk.
var errFull = errors.New("no space left on device")

// limited is a file on a disk with room for so many bytes.
type limited struct {
	w    io.Writer
	room *int
}

func (l limited) Write(b []byte) (int, error) {
	n, err := l.w.Write(b[:min(len(b), *l.room)])
	*l.room -= n
	if err == nil && n < len(b) {
		err = errFull
	}
	return n, err
}

// H40: a disk that is full at any byte costs the pages that did not fit, and leaves nothing of them; later ones are written again.
func TestFullDisk(t *testing.T) {
	f := newFolder(t)
	room := 0
	f.limit = func(w io.Writer) io.Writer { return limited{w, &room} }
	s := f.open()
	r := testRun("a", 1, 0, 2)
	for n := 0; n < headerBytes+2*testPage; n += stride(13) {
		room = n
		if err := s.Put(r); !errors.Is(err, errFull) || s.Has(r.Keys[0]) || len(f.files()) != 0 {
			t.Fatalf("with room for %d bytes: %v, files %v", n, err, f.files())
		}
	}
	if n := strings.Count(f.log.String(), "cannot be kept"); n != 1 {
		t.Errorf("the log says it %d times", n)
	}
	room = 1 << 20
	if err := s.Put(r); err != nil || read(t, s, r) != 2 || !strings.Contains(f.log.String(), "kept on disk again") {
		t.Errorf("with room again: %v, log %s", err, &f.log)
	}
}

// H39: a process that is killed after any byte of a write leaves what was there before; what it left of the write is removed.
func TestKilledWhileWriting(t *testing.T) {
	f := newFolder(t)
	old, r := testRun("a", 1, 0, 1), testRun("a", 1, 1, 2)
	if err := f.open().Put(old); err != nil {
		t.Fatal(err)
	}
	all := append((&header{session: r.Session, pageBytes: testPage, pageTokens: 16, keys: r.Keys, sums: make([][32]byte, 2)}).encode(), r.Pages...)
	for n := 0; n <= len(all); n += stride(11) {
		if err := os.WriteFile(filepath.Join(f.path, "x"+suffix+hiddenSuffix), all[:n], 0o600); err != nil {
			t.Fatal(err)
		}
		if s := f.open(); read(t, s, old) != 1 || s.Has(r.Keys[0]) || len(f.files()) != 1 {
			t.Fatalf("after %d bytes: files %v", n, f.files())
		}
	}
}

// The quota holds; what was not used for the longest time goes first, and of one sequence the tail.
func TestQuotaAndAge(t *testing.T) {
	f := newFolder(t)
	f.quota = 3 * (headerBytes + 2*testPage)
	s := f.open()
	put := func(r Run) {
		t.Helper()
		if err := s.Put(r); err != nil {
			t.Fatal(err)
		}
	}
	a, tail, b, c := testRun("a", 1, 0, 2), testRun("a", 1, 2, 2), testRun("b", 2, 0, 2), testRun("c", 3, 0, 2)
	put(a)
	put(tail)
	s.Touch(append(slices.Clone(a.Keys), tail.Keys...))
	f.pass(time.Minute)
	put(b)
	f.pass(time.Minute)
	put(c)
	if s.Has(tail.Keys[0]) || !s.Has(a.Keys[0]) || !s.Has(b.Keys[0]) || !s.Has(c.Keys[0]) {
		t.Error("not the tail of the oldest sequence went")
	}
	f.pass(time.Minute)
	s.Touch(a.Keys)
	put(tail)
	if s.Has(b.Keys[0]) || !s.Has(a.Keys[0]) || len(f.files()) != 3 {
		t.Error("not what was used longest ago went")
	}
	if bytes, files := s.Usage(); bytes != f.quota || files != 3 {
		t.Errorf("%d bytes in %d files", bytes, files)
	}
	if err := s.Put(testRun("d", 4, 0, MaxPages)); err != nil { // 64 pages of 40 bytes fit beside two others
		t.Error(err)
	}
	f.quota = headerBytes
	if s = f.open(); len(f.files()) != 0 { // a smaller quota holds from the start on
		t.Errorf("files %v", f.files())
	}
	if err := s.Put(a); err == nil || len(f.files()) != 0 {
		t.Error("more than the quota was kept")
	}
	f.quota = 1 << 20
	s = f.open()
	put(a)
	f.pass(59 * time.Minute)
	put(b)
	read(t, s, b)
	f.pass(2 * time.Minute)
	s.Expire()
	if s.Has(a.Keys[0]) || !s.Has(b.Keys[0]) {
		t.Error("what is old stays, or what is new went")
	}
	f.pass(2 * time.Hour)
	s = f.open()
	f.pass(judgeAfter)
	if s.Expire(); len(f.files()) != 0 {
		t.Errorf("what was old at the start stays: %v", f.files())
	}
}

// What is forgotten does not come back with what waited to be written; what is asked for later does.
func TestForgottenSessionsStayForgotten(t *testing.T) {
	f := newFolder(t)
	s := f.open()
	waits, other := testRun("a", 1, 2, 1), testRun("b", 2, 0, 1)
	waits.Asked = f.clock
	if err := errors.Join(s.Put(testRun("a", 1, 0, 2)), s.Put(other)); err != nil {
		t.Fatal(err)
	}
	f.pass(time.Second)
	if n, found, err := s.Forget(Session{"uid=1", "a"}); err != nil || !found || n != headerBytes+2*testPage {
		t.Errorf("%d bytes, %v", n, found)
	}
	if _, found, _ := s.Forget(Session{"uid=2", "b"}); found {
		t.Error("another's session of the same name was forgotten")
	}
	if err := s.Put(waits); err != nil || s.Has(waits.Keys[0]) || !s.Has(other.Keys[0]) || len(f.files()) != 1 {
		t.Errorf("%v, files %v", err, f.files())
	}
	waits.Asked = f.clock.Add(time.Second)
	if err := s.Put(waits); err != nil || !s.Has(waits.Keys[0]) {
		t.Error("a session cannot begin anew")
	}
}

// A session that is forgotten while its pages are being written has nothing on the disk when that is answered.
func TestForgottenWhileWritten(t *testing.T) {
	f := newFolder(t)
	begun, finish := make(chan struct{}), make(chan struct{})
	begin := sync.OnceFunc(func() { close(begun) })
	f.limit = func(w io.Writer) io.Writer {
		begin()
		<-finish
		return w
	}
	s := f.open()
	var all sync.WaitGroup
	all.Go(func() {
		if err := s.Put(testRun("a", 1, 0, 2)); err != nil {
			t.Error(err)
		}
	})
	<-begun
	all.Go(func() {
		if _, _, err := s.Forget(Session{"uid=1", "a"}); err != nil {
			t.Error(err)
		}
		if list := f.files(); len(list) != 0 {
			t.Errorf("%v is there", list)
		}
	})
	close(finish)
	all.Wait()
}

// Everything at once, under the race detector.
func TestConcurrentUse(t *testing.T) {
	f := newFolder(t)
	f.quota = 6 * (headerBytes + 2*testPage)
	s := f.open()
	var all sync.WaitGroup
	for worker := range 4 {
		all.Go(func() {
			for i := range 12 {
				r := testRun(fmt.Sprint(i%3), i%5, 0, 2)
				switch (i + worker) % 4 {
				case 0:
					if _, _, err := s.Forget(r.Session); err != nil {
						t.Error(err)
					}
				case 1:
					s.Sessions()
					s.Expire()
				default:
					if err := s.Put(r); err != nil {
						t.Error(err)
					}
				}
				got := make([]byte, len(r.Pages))
				if n := s.Read(r.Keys, got); !bytes.Equal(got[:n*testPage], r.Pages[:n*testPage]) {
					t.Error("other bytes are read than were written")
				}
			}
		})
	}
	all.Wait()
	if bytes, files := s.Usage(); bytes > f.quota || files != len(f.files()) {
		t.Errorf("%d bytes in %d files, %d there", bytes, files, len(f.files()))
	}
}

// FuzzHeader: no bytes make the reader fail, and what it takes it would write. Short bytes are a header whose rest is zeros; sealed, its
// sum is right, without which nothing behind it is looked at.
func FuzzHeader(f *testing.F) {
	r := testRun("a", 1, 0, 2)
	h := header{session: r.Session, model: "m", pageBytes: testPage, pageTokens: 16, first: 3, keys: r.Keys, sums: make([][32]byte, 2)}
	f.Add(h.encode(), int64(headerBytes+2*testPage), false)
	f.Fuzz(func(t *testing.T, b []byte, size int64, sealed bool) {
		if sealed {
			b = append(bytes.Clone(b), make([]byte, max(0, headerBytes-len(b)))...)
			sum := sha256.Sum256(b[summedFrom:])
			copy(b[16:], sum[:])
		}
		h, err := parseHeader(b, size)
		if err != nil {
			return
		}
		again, err := parseHeader(h.encode(), size)
		if err != nil || len(again.keys) != len(h.keys) || again.session != h.session {
			t.Errorf("what was read cannot be written: %v", err)
		}
	})
}
