package repository

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/weft-run/weft/runtime/modeltest"
)

func digestOf(data ...[]byte) string {
	h := sha256.New()
	for _, d := range data {
		h.Write(d)
	}
	return hex.EncodeToString(h.Sum(nil))
}

func openState(t *testing.T, dir string) *os.Root {
	t.Helper()
	root, err := os.OpenRoot(dir)
	must(t, err)
	t.Cleanup(func() { must(t, root.Close()) })
	return root
}

func (b *bench) digest(name string) string {
	b.t.Helper()
	var digest string
	eventually(b.t, "the digest is known", func() bool {
		digest = b.status(name).Digest
		return digest != ""
	})
	return digest
}

func TestDigestOfTheWholeFile(t *testing.T) {
	b := newBench(t, nil)
	b.put("a", modeltest.Spec{Seed: 1})
	paths := modeltest.WriteTinySplit(t, modeltest.Spec{Seed: 2}, 2)
	b.Sync(t.Context(), []Source{{Name: "a", Paths: []string{b.path("a")}}, {Name: "set", Paths: paths}})
	if got, want := b.digest("a"), digestOf(modeltest.Tiny(modeltest.Spec{Seed: 1})); got != want {
		t.Errorf("digest is %s, want %s", got, want)
	}
	var parts []byte
	for _, p := range paths {
		data, err := os.ReadFile(p)
		must(t, err)
		parts = append(parts, digestOf(data)...)
	}
	if got, want := b.digest("set"), digestOf(parts); got != want {
		t.Errorf("digest of the set is %s, want %s", got, want)
	}
}

func TestDigestsAreRemembered(t *testing.T) {
	state := t.TempDir()
	with := func(o *Options) { o.StateDir = openState(t, state) }
	b := newBench(t, with)
	b.put("a", modeltest.Spec{Seed: 1})
	b.sync()
	want := b.digest("a")
	path := filepath.Join(state, digestFile)
	eventually(t, "the digest is written", func() bool {
		_, err := os.Stat(path)
		return err == nil
	})
	b.Close()
	if files, err := os.ReadDir(state); err != nil || len(files) != 1 {
		t.Errorf("the folder holds %v, %v", files, err)
	}
	// A digest that is known at once is one that was remembered: here one that nobody computed.
	text, err := os.ReadFile(path)
	must(t, err)
	body, _, ok := cutLast(bytes.Replace(text, []byte(want), []byte(strings.Repeat("ab", 32)), 1), "end ")
	if !ok {
		t.Fatalf("the file is %q", text)
	}
	must(t, os.WriteFile(path, append(body, "end "+sum(body)...), 0o600))
	again := newBench(t, with)
	again.Sync(t.Context(), []Source{{Name: "a", Paths: []string{b.path("a")}}})
	l := again.acquire("a")
	if got, ok := l.Digest(); !ok || got != strings.Repeat("ab", 32) {
		t.Errorf("digest is %s, %v", got, ok)
	}
	l.Release()
	// Another file under the same name has no part in it.
	b.put("a", modeltest.Spec{Seed: 2})
	again.Sync(t.Context(), []Source{{Name: "a", Paths: []string{b.path("a")}}})
	if got := again.digest("a"); got != digestOf(modeltest.Tiny(modeltest.Spec{Seed: 2})) {
		t.Errorf("digest of the next file is %s", got)
	}
}

// What is wrong with the file of digests costs computing them again, a line in the log, and nothing else.
func TestDamagedDigestsAreIgnored(t *testing.T) {
	good := digestMagic + digestVersion + "\n" + strings.Repeat("cd", 32) + " x 1:2:3:4:5\n"
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
		"line cut":        {digestMagic + digestVersion + "\nabc\nend " + sum([]byte(digestMagic+digestVersion+"\nabc\n")), "damaged", false},
		"newer":           {strings.Replace(good, digestMagic+"1", digestMagic+"2", 1), "newer version", true},
		"a folder":        {"", "cannot be read", true},
		"without the end": {digestMagic + digestVersion + "\n", "damaged", false},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			path := filepath.Join(dir, digestFile)
			if name == "a folder" {
				must(t, os.Mkdir(path, 0o700))
			} else {
				must(t, os.WriteFile(path, []byte(c.text), 0o600))
			}
			var log bytes.Buffer
			s := openDigestStore(openState(t, dir), slog.New(slog.NewTextHandler(&log, nil)))
			_, ok := s.get("x 1:2:3:4:5")
			if ok != (c.log == "") {
				t.Errorf("the remembered digest is found: %v", ok)
			}
			if (log.Len() > 0) != (c.log != "") || !strings.Contains(log.String(), c.log) {
				t.Errorf("log is %q, want %q in it", log.String(), c.log)
			}
			s.put("y 1", digestOf(nil))
			if got, ok := s.get("y 1"); !ok || got != digestOf(nil) {
				t.Errorf("digest is %q, %v", got, ok)
			}
			_, again := openDigestStore(openState(t, dir), slog.New(slog.DiscardHandler)).get("y 1")
			if again == c.kept {
				t.Errorf("the digest is remembered: %v", again)
			}
		})
	}
}

func TestDigestsAreNotRememberedForever(t *testing.T) {
	s := openDigestStore(nil, slog.New(slog.DiscardHandler))
	for i := range maxDigests + 5 {
		s.put(strings.Repeat("x", i+1), "d")
	}
	if _, ok := s.get("xxxxx"); ok || len(s.known) != maxDigests || len(s.order) != maxDigests {
		t.Errorf("%d digests are remembered", len(s.known))
	}
}

// A digest of what is not the model any more is never given out, and does not hold up who replaces it.
func TestDigestIsGivenUp(t *testing.T) {
	b := newBench(t, nil)
	// As many small models as it takes for some of them to be in the queue.
	for i := range 5 {
		b.put(string(rune('a'+i)), modeltest.Spec{Seed: uint64(i), Layers: 8})
	}
	must(t, os.Chtimes(b.path("e"), time.Time{}, time.Now().Add(-time.Hour)))
	b.sync()
	l := b.acquire("e")
	if _, known := l.Digest(); !known {
		must(t, os.Truncate(b.path("e"), 0))
	}
	for i := range 4 {
		must(t, os.Remove(b.path(string(rune('a'+i)))))
	}
	b.sync()
	eventually(t, "the removed models are gone", func() bool { return len(b.List()) <= 2 })
	if d, known := l.Digest(); known && d != digestOf(modeltest.Tiny(modeltest.Spec{Seed: 4, Layers: 8})) {
		t.Error("the digest of a damaged file was given out")
	}
	l.Release()
}

// Whatever the file holds, reading it ends in digests or in an error, and what was read can be written and read again.
func FuzzDigestFile(f *testing.F) {
	good := digestMagic + digestVersion + "\n" + strings.Repeat("cd", 32) + " x 1:2:3:4:5\n"
	f.Add([]byte(good + "end " + sum([]byte(good))))
	f.Add([]byte(good))
	f.Add([]byte(digestMagic + "2\n"))
	f.Add([]byte("end 00000000\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		s := &digestStore{log: slog.New(slog.DiscardHandler), known: map[string]string{}}
		if s.parse(b) != nil {
			return
		}
		again := &digestStore{log: s.log, known: map[string]string{}}
		if err := again.parse(s.text()); err != nil || len(again.known) != len(s.known) {
			t.Errorf("%d digests were read, and after writing %d, %v", len(s.known), len(again.known), err)
		}
	})
}
