package daemon

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/weft-run/weft/adapters"
	"github.com/weft-run/weft/daemon/api"
	"github.com/weft-run/weft/runtime/repository"
)

// archive makes a tar of names and contents.
func archive(t *testing.T, files ...string) string {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for i := 0; i < len(files); i += 2 {
		must(t, w.WriteHeader(&tar.Header{Name: files[i], Mode: 0o644, Size: int64(len(files[i+1]))}))
		_, err := w.Write([]byte(files[i+1]))
		must(t, err)
	}
	must(t, w.Close())
	return b.String()
}

// sparse is an archive whose weights are a hole of a terabyte, in the form that GNU tar writes.
func sparse(t *testing.T) string {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	must(t, w.WriteHeader(&tar.Header{Name: peftWeights, Mode: 0o644, PAXRecords: map[string]string{
		"XNU.sparse.major": "0", "XNU.sparse.minor": "1", "XNU.sparse.numblocks": "1", "XNU.sparse.map": "1099511627776,0", "XNU.sparse.size": "1099511627776",
	}}))
	must(t, w.Close())
	return strings.ReplaceAll(b.String(), "XNU.", "GNU.") // which the writer refuses
}

func newAdapterStore(t *testing.T) *adapterStore {
	t.Helper()
	dir := t.TempDir()
	models := repository.New(repository.Options{})
	r := adapters.New(adapters.Options{Bases: bases{models, func() bool { return true }, nil}})
	t.Cleanup(func() {
		r.Close()
		models.Close()
	})
	return &adapterStore{files: fileStore{dir: dir}, registry: r, look: func(context.Context) {}}
}

func (s *adapterStore) read(t *testing.T, name string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(s.files.dir, name))
	must(t, err)
	return string(b)
}

// An archive of two files becomes a folder, which replaces the old one whole; the operator's settings stay.
func TestAdapterUploadLandsWhole(t *testing.T) {
	s := newAdapterStore(t)
	put := func(text string) error {
		_, err := s.Put(context.Background(), "a", strings.NewReader(text), int64(len(text)), 0)
		return err
	}
	must(t, put(archive(t, peftConfig, "c1", peftWeights, "w1")))
	must(t, os.WriteFile(filepath.Join(s.files.dir, "a", folderSettings), []byte("base = 'm'"), 0o600))
	must(t, put(archive(t, "./"+peftWeights, "w2", "./"+peftConfig, "c2")))
	if got := s.read(t, "a/"+peftConfig) + s.read(t, "a/"+peftWeights) + s.read(t, "a/"+folderSettings); got != "c2w2base = 'm'" {
		t.Errorf("the folder holds %q", got)
	}
	if got := names(t, s.files.dir); got != "a" {
		t.Errorf("the folder of adapters holds %s", got)
	}
	if err := put("GGUF and so on"); !errors.As(err, new(*api.FieldError)) {
		t.Errorf("a GGUF file under the name of a folder: %v", err)
	}
	must(t, s.Delete(context.Background(), "a"))
	must(t, put("GGUF and so on"))
	if err := put(archive(t, peftConfig, "c1", peftWeights, "w1")); !errors.As(err, new(*api.FieldError)) {
		t.Errorf("a folder under the name of a GGUF file: %v", err)
	}
	if got := s.read(t, "a.gguf"); got != "GGUF and so on" {
		t.Errorf("the file holds %q", got)
	}
	if err := s.Delete(context.Background(), "b"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("deleting what is not there: %v", err)
	}
}

// TestH29ArchiveNamesAreNoPaths: what else an archive may hold is refused, and nothing of it is left.
func TestH29ArchiveNamesAreNoPaths(t *testing.T) {
	good := archive(t, peftConfig, "c", peftWeights, "w")
	link := func(name string, kind byte) string {
		var b bytes.Buffer
		w := tar.NewWriter(&b)
		must(t, w.WriteHeader(&tar.Header{Name: name, Typeflag: kind, Linkname: "/etc/passwd"}))
		must(t, w.Close())
		return b.String()
	}
	for name, text := range map[string]string{
		"nothing":        "",
		"noise":          strings.Repeat("noise", 300),
		"cut":            good[:700],
		"one file":       archive(t, peftConfig, "c"),
		"a third":        archive(t, peftConfig, "c", peftWeights, "w", "README.md", "r"),
		"twice":          archive(t, peftConfig, "c", peftConfig, "c"),
		"a path":         archive(t, "../"+peftConfig, "c"),
		"an absolute":    archive(t, "/"+peftConfig, "c"),
		"a folder":       archive(t, "a/"+peftConfig, "c"),
		"backslash":      archive(t, `a\`+peftConfig, "c"),
		"a long config":  archive(t, peftConfig, strings.Repeat(" ", maxConfigBytes+1)),
		"symbolic link":  link(peftConfig, tar.TypeSymlink),
		"hard link":      link(peftWeights, tar.TypeLink),
		"FIFO":           link(peftConfig, tar.TypeFifo),
		"device":         link(peftConfig, tar.TypeBlock),
		"a pickle":       archive(t, peftConfig, "c", peftPickle, "p"),
		"a sparse file":  sparse(t),
		"cut within":     archive(t, peftConfig, "c", peftWeights, strings.Repeat("w", 2000))[:2000],
		"size not as is": good + "x",
	} {
		t.Run(name, func(t *testing.T) {
			s := newAdapterStore(t)
			size := int64(len(text))
			if name == "size not as is" {
				size--
			}
			if _, err := s.Put(context.Background(), "a", strings.NewReader(text), size, 0); err == nil {
				t.Error("it was stored")
			} else if !errors.As(err, new(*api.FieldError)) && !errors.Is(err, ErrSize) {
				t.Errorf("it is refused by %v", err)
			}
			if got := names(t, s.files.dir); got != "" {
				t.Errorf("left: %s", got)
			}
		})
	}
	for _, name := range []string{"", ".a", "..", "a/b", `a\b`, "a\x00", "a.part", strings.Repeat("x", 300)} {
		s := newAdapterStore(t)
		if _, err := s.Put(context.Background(), name, strings.NewReader(good), -1, 0); !errors.Is(err, ErrName) {
			t.Errorf("the name %q: %v", name, err)
		}
	}
}

// An upload that is to replace a generation lands only in the place of that one.
func TestUploadForAnotherGenerationIsRefused(t *testing.T) {
	s := newAdapterStore(t)
	_, err := s.Put(context.Background(), "a", strings.NewReader(archive(t, peftConfig, "c", peftWeights, "w")), -1, 7)
	if !errors.As(err, new(*adapters.StaleError)) || names(t, s.files.dir) != "" {
		t.Errorf("%v; the folder holds %s", err, names(t, s.files.dir))
	}
}
