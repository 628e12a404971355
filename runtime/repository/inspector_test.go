package repository

import (
	"crypto/sha256"
	"encoding/hex"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/weft-run/weft/runtime/gguf"
	"github.com/weft-run/weft/runtime/ledger"
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
	path := filepath.Join(state, digests.File)
	eventually(t, "the digest is written", func() bool {
		_, err := os.Stat(path)
		return err == nil
	})
	b.Close()
	if files, err := os.ReadDir(state); err != nil || len(files) != 1 {
		t.Errorf("the folder holds %v, %v", files, err)
	}
	// A digest that is known at once is one that was remembered: here one that nobody computed.
	file, err := gguf.Open(b.path("a"), gguf.DefaultLimits())
	must(t, err)
	remembered := ledger.Open(openState(t, state), digests, slog.New(slog.DiscardHandler))
	if got, _ := remembered.Get(file.Identity().Key()); got != want {
		t.Errorf("%q is remembered, want %s", got, want)
	}
	remembered.Put(file.Identity().Key(), strings.Repeat("ab", 32))
	must(t, file.Close())
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
