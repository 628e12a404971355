package ledger

import (
	"bytes"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

var digests = Kind{File: "digests", What: "digests", Max: 1000, Good: func(s string) bool { return len(s) == 64 }}

var magic = digests.magic() + version

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func openState(t *testing.T, dir string) *os.Root {
	t.Helper()
	root, err := os.OpenRoot(dir)
	must(t, err)
	t.Cleanup(func() { root.Close() })
	return root
}

// What is wrong with a file costs finding them again, a line in the log, and nothing else.
func TestDamagedFilesAreIgnored(t *testing.T) {
	good := magic + "\n" + strings.Repeat("cd", 32) + " x 1:2:3:4:5\n"
	good += "end " + sum([]byte(good))
	for name, c := range map[string]struct {
		text string
		log  string // "": taken as it is
		kept bool   // the file is left alone
	}{
		"good":            {good, "", false},
		"empty":           {"", "damaged", false},
		"noise":           {"\x00\xff", "damaged", false},
		"cut":             {good[:len(good)-20], "damaged", false},
		"bit flipped":     {strings.Replace(good, "cd", "ce", 1), "damaged", false},
		"line cut":        {magic + "\nabc\nend " + sum([]byte(magic+"\nabc\n")), "damaged", false},
		"newer":           {strings.Replace(good, digests.magic()+version, digests.magic()+"2", 1), "newer version", true},
		"a folder":        {"", "cannot be read", true},
		"without the end": {magic + "\n", "damaged", false},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			path := filepath.Join(dir, digests.File)
			if name == "a folder" {
				must(t, os.Mkdir(path, 0o700))
			} else {
				must(t, os.WriteFile(path, []byte(c.text), 0o600))
			}
			var log bytes.Buffer
			s := Open(openState(t, dir), digests, slog.New(slog.NewTextHandler(&log, nil)))
			_, ok := s.Get("x 1:2:3:4:5")
			if ok != (c.log == "") {
				t.Errorf("the remembered digest is found: %v", ok)
			}
			if (log.Len() > 0) != (c.log != "") || !strings.Contains(log.String(), c.log) {
				t.Errorf("log is %q, want %q in it", log.String(), c.log)
			}
			s.Put("y 1", strings.Repeat("ef", 32))
			if got, ok := s.Get("y 1"); !ok || got != strings.Repeat("ef", 32) {
				t.Errorf("digest is %q, %v", got, ok)
			}
			_, again := Open(openState(t, dir), digests, slog.New(slog.DiscardHandler)).Get("y 1")
			if again == c.kept {
				t.Errorf("the digest is remembered: %v", again)
			}
		})
	}
}

func TestTheOldestAreForgotten(t *testing.T) {
	s := Open(nil, digests, slog.New(slog.DiscardHandler))
	for i := range digests.Max + 5 {
		s.Put(strings.Repeat("x", i+1), "d")
	}
	if _, ok := s.Get("xxxxx"); ok || len(s.known) != digests.Max || len(s.order) != digests.Max {
		t.Errorf("%d digests are remembered", len(s.known))
	}
}

// Whatever the file holds, reading it ends in digests or in an error, and what was read can be written and read again.
func FuzzFile(f *testing.F) {
	good := magic + "\n" + strings.Repeat("cd", 32) + " x 1:2:3:4:5\n"
	f.Add([]byte(good + "end " + sum([]byte(good))))
	f.Add([]byte(good))
	f.Add([]byte(digests.magic() + "2\n"))
	f.Add([]byte("end 00000000\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		s := &Ledger{Kind: digests, log: slog.New(slog.DiscardHandler), known: map[string]string{}}
		if s.parse(b) != nil {
			return
		}
		again := &Ledger{Kind: digests, log: s.log, known: map[string]string{}}
		if err := again.parse(s.text()); err != nil || len(again.known) != len(s.known) {
			t.Errorf("%d digests were read, and after writing %d, %v", len(s.known), len(again.known), err)
		}
	})
}
