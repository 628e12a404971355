package pagestore

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

const year = 365 * 24 * time.Hour

// A clock that is set by a year, forward or back, lets nothing go before its time, keeps nothing longer, and does not change what goes first.
func TestClockThatIsSet(t *testing.T) {
	for _, by := range []time.Duration{year, -year} {
		f := newFolder(t)
		f.quota = 2 * (headerBytes + 2*testPage)
		s := f.open()
		a, b, c := testRun("a", 1, 0, 2), testRun("b", 2, 0, 2), testRun("c", 3, 0, 2)
		put := func(r Run) {
			t.Helper()
			if err := s.Put(r); err != nil {
				t.Fatal(err)
			}
		}
		put(a)
		f.pass(30 * time.Minute)
		f.clock = f.clock.Add(by)
		s.Expire()
		put(b)
		if got := have(s, a, b); got != "ab" {
			t.Errorf("set by %v: of a and b there is %q", by, got)
		}
		if list := s.Sessions(); len(list) != 2 || !list[0].Used.Equal(f.clock) || !list[1].Used.Equal(f.clock.Add(-30*time.Minute)) {
			t.Errorf("set by %v: sessions %+v", by, list)
		}
		put(c)
		if got := have(s, a, b, c); got != "bc" {
			t.Errorf("set by %v: of a, b and c there is %q, want what was used last", by, got)
		}
		f.pass(30 * time.Minute)
		s.Touch(b.Keys)
		f.pass(31 * time.Minute)
		s.Expire()
		if got := have(s, b, c); got != "b" {
			t.Errorf("set by %v: an hour later there is %q, want what was used within it", by, got)
		}
	}
}

// A clock that is wrong when the daemon starts and is set soon lets nothing go; what is old then goes, and what is from the future begins to age.
func TestClockThatIsWrongAtTheStart(t *testing.T) {
	for _, by := range []time.Duration{year, -year} {
		f := newFolder(t)
		s := f.open()
		old, young := testRun("o", 1, 0, 2), testRun("y", 2, 0, 2)
		if err := errors.Join(s.Put(old), os.Chtimes(f.files()[0], f.clock, f.clock.Add(-55*time.Minute)), s.Put(young)); err != nil {
			t.Fatal(err)
		}
		s.Touch(young.Keys) // its file has the time of the folder's clock
		f.clock = f.clock.Add(by)
		s = f.open()
		s.Expire()
		f.pass(judgeAfter - time.Second)
		s.Expire()
		if got := have(s, old, young); got != "oy" {
			t.Errorf("off by %v: when it started there is %q", by, got)
		}
		f.clock = f.clock.Add(-by)
		f.pass(time.Second)
		s.Expire()
		if got := have(s, old, young); got != "y" {
			t.Errorf("off by %v: of an old and a young one there is %q", by, got)
		}
	}

	f := newFolder(t)
	f.quota = 2 * (headerBytes + 2*testPage)
	s := f.open()
	a, b, c := testRun("a", 1, 0, 2), testRun("b", 2, 0, 2), testRun("c", 3, 0, 2)
	if err := s.Put(a); err != nil {
		t.Fatal(err)
	}
	future := f.clock.Add(50 * year)
	if err := os.Chtimes(f.files()[0], future, future); err != nil {
		t.Fatal(err)
	}
	s = f.open()
	if err := errors.Join(s.Put(b), s.Put(c)); err != nil {
		t.Fatal(err)
	}
	if got := have(s, a, b, c); got != "bc" {
		t.Errorf("of one from the future and two that were used there is %q", got)
	}
	if err := os.Chtimes(filepath.Join(f.path, s.index[b.Keys[0]].segment.name), future, future); err != nil {
		t.Fatal(err)
	}
	s = f.open()
	f.pass(judgeAfter)
	s.Expire()
	for _, s := range []*Store{s, f.open()} {
		if list := s.Sessions(); len(list) == 0 || list[0].Name != "b" || list[0].Used.After(f.clock) {
			t.Errorf("one from the future is listed as %+v", list)
		}
	}
	f.pass(time.Hour + time.Second)
	if s.Expire(); s.Has(b.Keys[0]) {
		t.Error("what was from the future stays for ever")
	}
}

// Of what is used together the tail goes first, though its head was written, and read, before it.
func TestTailGoesFirst(t *testing.T) {
	f := newFolder(t)
	f.quota = 3 * (headerBytes + 2*testPage)
	s := f.open()
	head, middle, tail, other := testRun("h", 1, 0, 2), testRun("m", 1, 2, 2), testRun("t", 1, 4, 2), testRun("o", 2, 0, 2)
	all := Run{}
	for _, r := range []Run{head, middle, tail} {
		if err := s.Put(r); err != nil {
			t.Fatal(err)
		}
		f.pass(time.Second)
		all.Keys, all.Pages = append(all.Keys, r.Keys...), append(all.Pages, r.Pages...)
		s.Touch(all.Keys)
		f.pass(time.Second)
	}
	if n := read(t, s, all); n != 6 {
		t.Fatalf("%d pages", n)
	}
	s.Touch(all.Keys)
	for _, s := range []*Store{s, f.open()} { // by turns, and by the times of the files
		if err := s.Put(other); err != nil {
			t.Fatal(err)
		}
		if got := have(s, head, middle, tail, other); got != "hmo" {
			t.Errorf("there is %q", got)
		}
		if _, _, err := s.Forget(other.Session); err != nil {
			t.Fatal(err)
		}
		if err := s.Put(tail); err != nil {
			t.Fatal(err)
		}
		s.Touch(all.Keys)
	}
}

// A folder that cannot be opened is told of once, and used from when it can be, with what is in it.
func TestFolderThatComesLate(t *testing.T) {
	f := newFolder(t)
	old, r := testRun("a", 1, 0, 2), testRun("b", 2, 0, 2)
	if err := f.open().Put(old); err != nil {
		t.Fatal(err)
	}
	path := f.path
	f.path = filepath.Join(path, "absent")
	s := f.open()
	for range 2 {
		if err := s.Put(r); !errors.Is(err, os.ErrNotExist) || s.Has(r.Keys[0]) || s.Has(old.Keys[0]) {
			t.Errorf("without a folder: %v", err)
		}
	}
	s.Expire()
	if _, found, err := s.Forget(r.Session); found || err != nil {
		t.Errorf("without a folder a session was found; %v", err)
	}
	if n := strings.Count(f.log.String(), "cannot be kept"); n != 1 {
		t.Errorf("the log says it %d times: %s", n, &f.log)
	}
	f.path = path
	r.Asked = f.clock.Add(time.Second) // it was forgotten above
	if err := s.Put(r); err != nil || read(t, s, r) != 2 || read(t, s, old) != 2 || !strings.Contains(f.log.String(), "kept on disk again") {
		t.Errorf("with a folder: %v; %s", err, &f.log)
	}
}
