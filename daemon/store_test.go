package daemon

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// names lists a folder, hidden files included.
func names(t *testing.T, dir string) string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	must(t, err)
	var list []string
	for _, e := range entries {
		list = append(list, e.Name())
	}
	slices.Sort(list)
	return strings.Join(list, " ")
}

// put uploads a text without saying its size.
func put(t *testing.T, s *fileStore, name, text string) {
	t.Helper()
	stored, err := s.Put(context.Background(), name, strings.NewReader(text), -1)
	must(t, err)
	sum := sha256.Sum256([]byte(text))
	if stored.Name != name || stored.Bytes != int64(len(text)) || stored.SHA256 != hex.EncodeToString(sum[:]) {
		t.Errorf("stored %+v", stored)
	}
}

func TestUploadLandsWhole(t *testing.T) {
	s := &fileStore{dir: t.TempDir()}
	put(t, s, "a", "one")
	put(t, s, "a", "another")
	got, err := os.ReadFile(filepath.Join(s.dir, "a.gguf"))
	must(t, err)
	if string(got) != "another" || names(t, s.dir) != "a.gguf" {
		t.Errorf("the folder has %s with %q", names(t, s.dir), got)
	}
}

func TestFailedUploadLeavesTheOldModel(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	broken := errors.New("connection lost")
	for _, c := range []struct {
		name string
		ctx  context.Context
		r    io.Reader
		size int64
		want error
	}{
		{"client gone", context.Background(), io.MultiReader(strings.NewReader("half"), errorReader{broken}), 8, broken},
		{"too short", context.Background(), strings.NewReader("half"), 8, ErrSize},
		{"daemon stops", ctx, strings.NewReader("half"), -1, context.Canceled},
		{"no room", context.Background(), strings.NewReader("half"), 1 << 60, unix.ENOSPC},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := &fileStore{dir: t.TempDir()}
			must(t, os.WriteFile(filepath.Join(s.dir, "a.gguf"), []byte("old"), 0o600))
			if _, err := s.Put(c.ctx, "a", c.r, c.size); !errors.Is(err, c.want) {
				t.Errorf("error is %v, want %v", err, c.want)
			}
			if got, _ := os.ReadFile(filepath.Join(s.dir, "a.gguf")); string(got) != "old" || names(t, s.dir) != "a.gguf" {
				t.Errorf("the folder has %s with %q", names(t, s.dir), got)
			}
		})
	}
}

type errorReader struct{ err error }

func (r errorReader) Read([]byte) (int, error) { return 0, r.err }

func TestNamesNeverLeadOutOfTheFolder(t *testing.T) {
	outside := t.TempDir()
	dir := filepath.Join(outside, "models")
	must(t, os.Mkdir(dir, 0o750))
	must(t, os.WriteFile(filepath.Join(outside, "x.gguf"), nil, 0o600))
	s := &fileStore{dir: dir}
	for _, name := range []string{
		"", ".", "..", "../x", "a/b", "/etc/passwd", `a\b`, "a\x00b", "a\nb", ".hidden", "a.part", "a.tmp", "a.gguf", "a.GGUF",
		"\xff", strings.Repeat("x", 201),
	} {
		if _, err := s.Put(context.Background(), name, strings.NewReader("x"), 1); !errors.Is(err, ErrName) {
			t.Errorf("putting %q: %v", name, err)
		}
		if err := s.Delete(context.Background(), name); !errors.Is(err, ErrName) {
			t.Errorf("deleting %q: %v", name, err)
		}
	}
	if got := names(t, dir); got != "" {
		t.Errorf("the folder has %s", got)
	}
	if got := names(t, outside); got != "models x.gguf" {
		t.Errorf("outside there is %s", got)
	}
}

func TestUploadReplacesALinkAndNotItsTarget(t *testing.T) {
	target := filepath.Join(t.TempDir(), "target")
	must(t, os.WriteFile(target, []byte("precious"), 0o600))
	s := &fileStore{dir: t.TempDir()}
	must(t, os.Symlink(target, filepath.Join(s.dir, "a.gguf")))
	put(t, s, "a", "new")
	if got, _ := os.ReadFile(target); string(got) != "precious" {
		t.Errorf("the target has %q", got)
	}
	must(t, s.Delete(context.Background(), "a"))
	must(t, os.Symlink(target, filepath.Join(s.dir, "a.gguf")))
	must(t, s.Delete(context.Background(), "a"))
	if _, err := os.Stat(target); err != nil {
		t.Errorf("the target is gone: %v", err)
	}
}

func TestDelete(t *testing.T) {
	s := &fileStore{dir: t.TempDir()}
	for _, n := range []string{"a.gguf", "a.toml", "set-00001-of-00002.gguf", "set-00002-of-00002.gguf", "setter.gguf", "folder/x.gguf"} {
		must(t, os.MkdirAll(filepath.Dir(filepath.Join(s.dir, n)), 0o750))
		must(t, os.WriteFile(filepath.Join(s.dir, n), nil, 0o600))
	}
	for _, c := range []struct{ name, rest string }{
		{"a", "a.toml folder set-00001-of-00002.gguf set-00002-of-00002.gguf setter.gguf"},
		{"set", "a.toml folder setter.gguf"},
		{"folder", "a.toml setter.gguf"},
	} {
		must(t, s.Delete(context.Background(), c.name))
		if got := names(t, s.dir); got != c.rest {
			t.Errorf("without %s there is %s, want %s", c.name, got, c.rest)
		}
		if err := s.Delete(context.Background(), c.name); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("deleting %s again: %v", c.name, err)
		}
	}
	if _, err := s.Put(context.Background(), "a", strings.NewReader(""), 0); err != nil {
		t.Error(err)
	}
}

func TestUploadNeverReplacesAFolder(t *testing.T) {
	s := &fileStore{dir: t.TempDir()}
	must(t, os.Mkdir(filepath.Join(s.dir, "a"), 0o750))
	if _, err := s.Put(context.Background(), "a", strings.NewReader("x"), 1); !errors.Is(err, ErrName) {
		t.Errorf("error is %v", err)
	}
}

func TestCleanTakesWhatACrashLeft(t *testing.T) {
	s := &fileStore{dir: t.TempDir()}
	for _, n := range []string{".a.upload-XYZ", ".mine", "b.upload-1"} {
		must(t, os.WriteFile(filepath.Join(s.dir, n), nil, 0o600))
	}
	if n, err := s.Clean(); n != 1 || err != nil {
		t.Errorf("%d files were removed, %v", n, err)
	}
	if got := names(t, s.dir); got != ".mine b.upload-1" {
		t.Errorf("left are %s", got)
	}
}
