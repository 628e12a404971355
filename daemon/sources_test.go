package daemon

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/weft-run/weft/daemon/watch"
)

// folder makes a settled list of the models folder from names: "a.gguf", "sub/b.gguf", "c.gguf-" for one that is not settled and
// "d.gguf!" for one with a problem.
func folder(names ...string) []watch.Entry {
	var list []watch.Entry
	for _, n := range names {
		f := watch.File{Settled: true}
		if strings.HasSuffix(n, "-") {
			n, f.Settled = strings.TrimSuffix(n, "-"), false
		}
		if strings.HasSuffix(n, "!") {
			n, f.Problem = strings.TrimSuffix(n, "!"), "it is a FIFO, not a regular file"
		}
		f.Path, f.Name = filepath.Join("/m", n), filepath.Base(n)
		dir, _, inFolder := strings.Cut(n, "/")
		switch last := len(list) - 1; {
		case !inFolder:
			list = append(list, watch.Entry{Name: n, Files: []watch.File{f}})
		case last >= 0 && list[last].Name == dir:
			list[last].Files = append(list[last].Files, f)
		default:
			e := watch.Entry{Name: dir, Folder: true}
			if f.Name != "" && !strings.HasSuffix(n, "/") {
				e.Files = []watch.File{f}
			}
			list = append(list, e)
		}
	}
	return list
}

func TestCandidates(t *testing.T) {
	for _, c := range []struct {
		name  string
		files []string
		want  []string // "name = file file [settings] {alias} settled|waiting: problem; missing"
	}{
		{"nothing", nil, nil},
		{"plain files", []string{"a.gguf", "b.gguf-", "notes.txt", "B.GGUF"}, []string{"a = a.gguf settled", "b = b.gguf waiting"}},
		{"settings beside", []string{"a.gguf", "a.toml", "b.gguf", "b.toml-", "lonely.toml"}, []string{
			"a = a.gguf [a.toml] settled", "b = b.gguf [b.toml] waiting",
		}},
		{"problem", []string{"a.gguf!"}, []string{"a = a.gguf settled: it is a FIFO, not a regular file"}},
		{"split set", []string{"a-00001-of-00002.gguf", "a-00002-of-00002.gguf", "a.toml"}, []string{
			"a = a-00001-of-00002.gguf a-00002-of-00002.gguf [a.toml] {a-00001-of-00002} settled",
		}},
		{"split set on its way", []string{"a-00001-of-00003.gguf", "a-00003-of-00003.gguf"}, []string{
			"a = a-00001-of-00003.gguf a-00003-of-00003.gguf {a-00001-of-00003} settled; 2 of 3 files of the split set are there; a-00002-of-00003.gguf is missing",
		}},
		{"subfolder", []string{"sub/a.gguf", "sub/weft.toml", "sub/README", "sub/a.toml"}, []string{"sub = a.gguf [weft.toml] settled"}},
		{"subfolder with a set", []string{"sub/a-00001-of-00001.gguf"}, []string{"sub = a-00001-of-00001.gguf settled"}},
		{"subfolder without a model", []string{"sub/README"}, nil},
		{"empty subfolder", []string{"sub/"}, nil},
		{"folder named like a file", []string{"x.gguf/"}, []string{"x.gguf =  settled: it is a folder without a model in it, not a file"}},
		{"subfolder with two", []string{"sub/a.gguf", "sub/b.gguf"}, []string{
			"sub = a.gguf b.gguf settled: the folder holds 2 models (a, b) and may hold one; give each a folder of its own",
		}},
		{"one name twice", []string{"a-00001-of-00001.gguf", "a.gguf", "a/x.gguf"}, []string{
			"a = a.gguf settled",
			`a (/m/a) = x.gguf settled: the name "a" belongs to /m/a.gguf already; rename one of them`,
			`a (/m/a-00001-of-00001.gguf) = a-00001-of-00001.gguf settled: the name "a" belongs to /m/a.gguf already; rename one of them`,
		}},
		{"names that cannot be told", []string{"a\nb.gguf", "c\xff.gguf", "d\x1b[2J/x.gguf", "e..f.gguf"}, []string{
			`"a\nb" = a` + "\n" + `b.gguf settled: its name has bytes that are not UTF-8, or control characters such as a line break; rename it`,
			`"c\xff" = c` + "\xff" + `.gguf settled: its name has bytes that are not UTF-8, or control characters such as a line break; rename it`,
			`"d\x1b[2J" = x.gguf settled: its name has bytes that are not UTF-8, or control characters such as a line break; rename it`,
			"e..f = e..f.gguf settled",
		}},
		{"a folder like an ending", []string{"x.gguf/", "x.gguf.gguf"}, []string{
			"x.gguf = x.gguf.gguf settled",
			`x.gguf (/m/x.gguf) =  settled: the name "x.gguf" belongs to /m/x.gguf.gguf already; rename one of them`,
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			var got []string
			for _, m := range candidates("/m", folder(c.files...), modelKind) {
				var names []string
				for _, f := range m.files {
					names = append(names, f.Name)
				}
				line := fmt.Sprintf("%s = %s", m.name, strings.Join(names, " "))
				if m.settings != nil {
					line += " [" + m.settings.Name + "]"
				}
				for _, a := range m.aliases {
					line += " {" + a + "}"
				}
				line += map[bool]string{true: " settled", false: " waiting"}[m.settled()]
				if m.problem != "" {
					line += ": " + m.problem
				}
				if m.missing != "" {
					line += "; " + m.missing
				}
				got = append(got, line)
			}
			if d := cmp.Diff(c.want, got); d != "" {
				t.Error(d)
			}
		})
	}
}
