package daemon

import (
	"bytes"
	"errors"
	"os"
	"strings"
	"testing"

	"github.com/weft-run/weft/daemon/api"
	"github.com/weft-run/weft/daemon/watch"
)

// FuzzCandidates: whatever the files of a folder are called, each name is there once, and no file is lost or served twice.
func FuzzCandidates(f *testing.F) {
	f.Add("a.gguf\na.toml\nb-00001-of-00002.gguf\nb-00002-of-00002.gguf\nREADME")
	f.Add("a.gguf\na-00001-of-00001.gguf\n.gguf\n-00001-of-00001.gguf")
	f.Add("b-00001-of-00002.gguf\nb-00001-of-00003.gguf\nb.gguf\nd/d.gguf\nb/x.gguf\nb/y.gguf\nd/weft.toml")
	f.Fuzz(func(t *testing.T, text string) {
		var list []watch.Entry
		seen := map[string]bool{}
		folders := map[string]int{}
		models := 0
		for name := range strings.SplitSeq(text, "\n") {
			if name == "" || seen[name] || len(list) > 50 {
				continue
			}
			seen[name] = true
			file := watch.File{Name: name, Path: "/m/" + name, Settled: true}
			dir, base, inFolder := strings.Cut(name, "/")
			if strings.HasSuffix(name, ".gguf") {
				models++
			}
			if !inFolder {
				list = append(list, watch.Entry{Name: name, Files: []watch.File{file}})
				continue
			}
			file.Name = base
			at, ok := folders[dir]
			if !ok {
				at = len(list)
				folders[dir] = at
				list = append(list, watch.Entry{Name: dir, Folder: true})
			}
			list[at].Files = append(list[at].Files, file)
		}
		names, paths := map[string]bool{}, map[string]bool{}
		for _, c := range candidates("/m", list, modelKind) {
			if names[c.name] {
				t.Fatalf("%q is there twice", c.name)
			}
			names[c.name] = true
			for _, file := range c.files {
				if paths[file.Path] {
					t.Fatalf("%q is in two models", file.Path)
				}
				paths[file.Path] = true
			}
		}
		if len(paths) != models {
			t.Fatalf("%d of %d files are in a model: %q", len(paths), models, text)
		}
	})
}

// FuzzUnpack: whatever an upload holds, it becomes the two files of an adapter, or it is refused by name, and takes no more room than it has bytes.
func FuzzUnpack(f *testing.F) {
	dir := f.TempDir()
	root, err := os.OpenRoot(dir)
	if err != nil {
		f.Fatal(err)
	}
	defer root.Close()
	f.Fuzz(func(t *testing.T, b []byte) {
		err := unpack(root, bytes.NewReader(b))
		if err != nil && !errors.As(err, new(*api.FieldError)) {
			t.Fatalf("a refusal that names no field: %v", err)
		}
		entries, lerr := os.ReadDir(dir)
		must(t, lerr)
		var size int64
		for _, e := range entries {
			info, ierr := e.Info()
			must(t, ierr)
			if e.Name() != peftConfig && e.Name() != peftWeights || !info.Mode().IsRegular() {
				t.Fatalf("%v was written", e)
			}
			size += info.Size()
			must(t, root.Remove(e.Name()))
		}
		if size > int64(len(b)) || err == nil && len(entries) != 2 {
			t.Fatalf("%d bytes became %d files of %d bytes, and the error %v", len(b), len(entries), size, err)
		}
	})
}

// FuzzGroupMemory: whatever the kernel's files hold, what is read of them is a limit or none.
func FuzzGroupMemory(f *testing.F) {
	f.Add("0::/a/b\n", "1073741824\n", "max\n")
	f.Add("0::/../../etc\n5:memory:/x\n", "-1", "99999999999999999999")
	f.Add("0::\n", "", " 4096 ")
	f.Fuzz(func(t *testing.T, groups, top, below string) {
		root := machine(groups, map[string]string{
			"sys/fs/cgroup/memory.max": top, "sys/fs/cgroup/a/memory.high": below, "sys/fs/cgroup/memory/a/memory.limit_in_bytes": below,
		})
		if limit, ok := groupMemory(root); ok && limit.bytes <= 0 {
			t.Fatalf("the limit is %+v", limit)
		}
	})
}
