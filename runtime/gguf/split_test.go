package gguf

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// part describes one file of a split set for writeSet; the zero value of no, count and total mean what is right.
type part struct {
	file      string // its name
	no, count int
	total     int
	extra     []KV
	tensors   []string
	plain     bool // without the keys of a split set
}

func writePart(t *testing.T, dir string, p part) {
	t.Helper()
	var meta []KV
	if !p.plain {
		meta = []KV{{keySplitNo, uint16(p.no)}, {keySplitCount, uint16(p.count)}, {keySplitTensors, int32(p.total)}}
	}
	meta = append(meta, p.extra...)
	var tensors []TensorData
	for _, name := range p.tensors {
		tensors = append(tensors, TensorData{TensorSpec{name, 24, []uint64{uint64(len(name))}}, []byte(name)})
	}
	var b bytes.Buffer
	if err := Write(&b, meta, tensors); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, p.file), b.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
}

// healthySet is a set of three files of four tensors.
func healthySet() []part {
	return []part{
		{file: "big-00001-of-00003.gguf", no: 0, count: 3, total: 4, tensors: []string{"a", "bb"}, extra: []KV{{"general.architecture", "llama"}, {"general.alignment", uint32(64)}}},
		{file: "big-00002-of-00003.gguf", no: 1, count: 3, total: 4, tensors: []string{"ccc"}},
		{file: "big-00003-of-00003.gguf", no: 2, count: 3, total: 4, tensors: []string{"dddd"}},
	}
}

func writeSet(t *testing.T, parts []part) string {
	t.Helper()
	dir := t.TempDir()
	for _, p := range parts {
		writePart(t, dir, p)
	}
	return dir
}

func TestSplitSetIsOneModel(t *testing.T) {
	dir := writeSet(t, healthySet())
	var key string
	for i := 1; i <= 3; i++ {
		f, err := Open(filepath.Join(dir, ShardPath("big", i, 3)), DefaultLimits())
		if err != nil {
			t.Fatalf("opened by file %d: %v", i, err)
		}
		for j, name := range []string{"a", "bb", "ccc", "dddd"} {
			info, ok := f.Tensor(name)
			if !ok || string(f.Data(info)) != name || f.Tensors()[j].Name != name {
				t.Errorf("opened by file %d: tensor %q is not read", i, name)
			}
		}
		if arch, _ := f.Meta().Str("general.architecture", ""); arch != "llama" {
			t.Errorf("opened by file %d: metadata is not that of the first file", i)
		}
		if len(f.Files()) != 3 || len(f.Headers()) != 3 || len(f.Identity().Files) != 3 {
			t.Errorf("opened by file %d: %d files", i, len(f.Files()))
		}
		if key == "" {
			key = f.Identity().Key()
		}
		if f.Identity().Key() != key {
			t.Errorf("opened by file %d: another identity", i)
		}
		if err := f.Close(); err != nil {
			t.Error(err)
		}
	}
}

func TestH13SplitSetsThatAreNone(t *testing.T) {
	for name, c := range map[string]struct {
		change func(p []part) []part
		class  error
		says   []string
	}{
		"missing file":        {func(p []part) []part { return p[:2] }, ErrTruncated, says("big-00003-of-00003.gguf", "missing")},
		"two missing files":   {func(p []part) []part { return p[:1] }, ErrTruncated, says("big-00002-of-00003.gguf", "big-00003-of-00003.gguf", "missing")},
		"duplicate file":      {func(p []part) []part { p[2].no = 1; return p }, ErrFormat, says("big-00003-of-00003.gguf", "split.no", "is 1, want 2", "duplicate")},
		"of another count":    {func(p []part) []part { p[1].count = 4; return p }, ErrFormat, says("big-00002-of-00003.gguf", "split.count", "is 4")},
		"of another total":    {func(p []part) []part { p[1].total = 5; return p }, ErrFormat, says("big-00002-of-00003.gguf", "split.tensors.count", "is 5")},
		"a model by itself":   {func(p []part) []part { p[1].plain = true; return p }, ErrFormat, says("big-00002-of-00003.gguf", "by itself")},
		"of another model":    {func(p []part) []part { p[2].extra = []KV{{"general.architecture", "qwen2"}}; return p }, ErrFormat, says("big-00003-of-00003.gguf", "general.architecture", "two models")},
		"tensor in two files": {func(p []part) []part { p[2].tensors = []string{"a"}; return p }, ErrFormat, says(`tensor "a"`, "big-00001-of-00003.gguf", "big-00003-of-00003.gguf")},
		"too few tensors":     {func(p []part) []part { p[2].tensors = nil; return p }, ErrFormat, says("has 3 tensors", "says 4")},
		"first of wrong name": {func(p []part) []part { p[0].no = 1; return p }, ErrFormat, says("big-00001-of-00003.gguf", "file 2 of 3")},
	} {
		t.Run(name, func(t *testing.T) {
			before := openFiles(t)
			dir := writeSet(t, c.change(healthySet()))
			_, err := Open(filepath.Join(dir, "big-00001-of-00003.gguf"), DefaultLimits())
			wantRefusal(t, err, c.class, c.says...)
			if after := openFiles(t); after != before {
				t.Errorf("%d descriptors are open, %d were before", after, before)
			}
		})
	}
}

func TestH13DamagedFileOfASetIsNamed(t *testing.T) {
	dir := writeSet(t, healthySet())
	path := filepath.Join(dir, "big-00002-of-00003.gguf")
	if err := os.Truncate(path, 100); err != nil {
		t.Fatal(err)
	}
	_, err := Open(filepath.Join(dir, "big-00001-of-00003.gguf"), DefaultLimits())
	wantRefusal(t, err, ErrTruncated, path)
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(path, 0o700); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(filepath.Join(dir, "big-00001-of-00003.gguf"), DefaultLimits()); err == nil {
		t.Error("a folder was taken for a file of the set")
	}
}

func TestH13FileOfASetUnderAnotherName(t *testing.T) {
	parts := healthySet()
	parts[0].file = "other.gguf"
	dir := writeSet(t, parts)
	_, err := Open(filepath.Join(dir, "other.gguf"), DefaultLimits())
	wantRefusal(t, err, ErrFormat, "other.gguf", "-00001-of-00003.gguf")
}

func TestShardName(t *testing.T) {
	for name, want := range map[string]string{
		"big-00002-of-00003.gguf":     "big 2 3 true",
		"a-b-00001-of-00001.gguf":     "a-b 1 1 true",
		"big-00000-of-00003.gguf":     "big 0 3 false",
		"big-00004-of-00003.gguf":     "big 4 3 false",
		"big-2-of-3.gguf":             " 0 0 false",
		"big.gguf":                    " 0 0 false",
		"big-00002-of-00003.gguf.bak": " 0 0 false",
	} {
		base, no, count, ok := ShardName(name)
		if got := fmt.Sprint(base, " ", no, " ", count, " ", ok); got != want {
			t.Errorf("%s: got %q, want %q", name, got, want)
		}
	}
}

func TestFileSets(t *testing.T) {
	got := FileSets([]string{
		"b-00002-of-00002.gguf", "a.gguf", "b-00001-of-00002.gguf", "b-00003-of-00003.gguf", "a.toml", "b.gguf", ".gguf", "b-00003-of-00002.gguf",
	})
	want := []FileSet{
		{Name: "a", First: "a.gguf", Files: []int{1}},
		{Name: "b", First: "b.gguf", Files: []int{5}},
		{Name: "", First: ".gguf", Files: []int{6}},
		{Name: "b-00003-of-00002", First: "b-00003-of-00002.gguf", Files: []int{7}},
		{Name: "b", First: "b-00001-of-00002.gguf", Files: []int{0, 2}, Split: true},
		{Name: "b", First: "b-00001-of-00003.gguf", Files: []int{3}, Split: true},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestOpenOfNoFile(t *testing.T) {
	_, err := Open(filepath.Join(t.TempDir(), "none.gguf"), DefaultLimits())
	if !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("error is %v, want %v", err, fs.ErrNotExist)
	}
	_, err = Open(t.TempDir(), DefaultLimits())
	wantRefusal(t, err, ErrFormat, "not a regular file")
}
