package watch

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

const settle = 500 * time.Millisecond

// epoch is not a whole second, so that ages are not taken for those of a coarse file system.
var epoch = time.Date(2026, 1, 2, 3, 4, 5, 678, time.UTC)

func at(ms int) time.Time { return epoch.Add(time.Duration(ms) * time.Millisecond) }

// file is one whose last write was at the given millisecond.
func file(path string, inode uint64, size int64, written int) File {
	return File{Name: path[strings.LastIndex(path, "/")+1:], Path: path, Inode: inode, Size: size, ModTime: at(written).UnixNano(), ChangeTime: at(written).UnixNano()}
}

func entries(files ...File) []Entry {
	var list []Entry
	for _, f := range files {
		folder, _, inFolder := strings.Cut(f.Path, "/")
		if !inFolder {
			list = append(list, Entry{Name: f.Name, Files: []File{f}})
			continue
		}
		if n := len(list); n > 0 && list[n-1].Name == folder {
			list[n-1].Files = append(list[n-1].Files, f)
		} else {
			list = append(list, Entry{Name: folder, Folder: true, Files: []File{f}})
		}
	}
	return list
}

// show writes a list as "name:size+" with + for settled and - for not.
func show(list []Entry) string {
	var words []string
	for _, e := range list {
		if e.Folder && len(e.Files) == 0 {
			words = append(words, e.Name+"/")
		}
		for _, f := range e.Files {
			words = append(words, fmt.Sprintf("%s:%d%s", f.Path, f.Size, map[bool]string{true: "+", false: "-"}[f.Settled]))
		}
	}
	return strings.Join(words, " ")
}

func TestTracker(t *testing.T) {
	type look struct {
		at    int // milliseconds
		found []Entry
		want  string
	}
	whole := file("a", 1, 10, 0)
	whole.ModTime = at(0).Truncate(time.Second).UnixNano()
	problem := File{Name: "p", Path: "p", Problem: "it is a FIFO, not a regular file"}
	for _, c := range []struct {
		name  string
		looks []look
	}{
		{"a rename counts at once", []look{
			{1000, entries(file("a", 1, 10, 0)), "a:10+"},
		}},
		{"a rename of what was just written counts when it has been still", []look{
			{300, entries(file("a", 1, 10, 0)), "a:10-"},
			{499, entries(file("a", 1, 10, 0)), "a:10-"},
			{500, entries(file("a", 1, 10, 0)), "a:10+"},
		}},
		{"a writer is waited for", []look{
			{0, entries(file("a", 1, 0, 0)), "a:0-"},
			{400, entries(file("a", 1, 5, 390)), "a:5-"},
			{800, entries(file("a", 1, 10, 790)), "a:10-"},
			{1290, entries(file("a", 1, 10, 790)), "a:10-"},
			{1300, entries(file("a", 1, 10, 790)), "a:10+"},
		}},
		{"a copy that keeps old times is waited for too", []look{
			{0, entries(file("a", 1, 5, 0)), "a:5-"},
			{100, entries(file("a", 1, 10, -9000)), "a:10-"},
			{599, entries(file("a", 1, 10, -9000)), "a:10-"},
			{600, entries(file("a", 1, 10, -9000)), "a:10+"},
		}},
		{"a clock ahead of ours", []look{
			{0, entries(file("a", 1, 10, 60000)), "a:10-"},
			{500, entries(file("a", 1, 10, 60000)), "a:10+"},
		}},
		{"whole seconds may hide a fresh file", []look{
			{1000, entries(whole), "a:10-"},
			{1500, entries(whole), "a:10+"},
		}},
		{"an overwrite unsettles", []look{
			{1000, entries(file("a", 1, 10, 0)), "a:10+"},
			{2000, entries(file("a", 1, 7, 1990)), "a:7-"},
			{2500, entries(file("a", 1, 7, 1990)), "a:7+"},
		}},
		{"replaced by rename", []look{
			{1000, entries(file("a", 1, 10, 0)), "a:10+"},
			{2000, entries(file("a", 2, 7, 100)), "a:7+"},
		}},
		{"gone only after a while", []look{
			{1000, entries(file("a", 1, 10, 0)), "a:10+"},
			{2000, nil, "a:10-"},
			{2400, nil, "a:10-"},
			{2500, nil, ""},
		}},
		{"a swap by unlink and link", []look{
			{1000, entries(file("a", 1, 10, 0)), "a:10+"},
			{2000, nil, "a:10-"},
			{2100, entries(file("a", 2, 7, 100)), "a:7+"},
		}},
		{"away and back", []look{
			{1000, entries(file("a", 1, 10, 0)), "a:10+"},
			{2000, nil, "a:10-"},
			{2100, entries(file("a", 1, 10, 0)), "a:10+"},
		}},
		{"a file becomes a folder", []look{
			{1000, entries(file("a", 1, 10, 0)), "a:10+"},
			{2000, entries(file("a/b", 2, 7, 0)), "a/b:7+"},
			{2100, []Entry{{Name: "a", Folder: true}}, "a/b:7-"},
			{2600, []Entry{{Name: "a", Folder: true}}, "a/"},
		}},
		{"a problem must last", []look{
			{0, entries(problem), "p:0-"},
			{500, entries(problem), "p:0+"},
			{600, entries(file("p", 4, 3, 0)), "p:3+"},
			{700, entries(problem), "p:0-"},
		}},
		{"order is that of names", []look{
			{1000, entries(file("b", 1, 1, 0), file("a", 2, 2, 0)), "a:2+ b:1+"},
			{1100, entries(file("a", 2, 2, 0), file("b", 1, 1, 0)), "a:2+ b:1+"},
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			tr := newTracker(settle)
			before := ""
			for i, l := range c.looks {
				list, changed, wake := tr.update(at(l.at), at(l.at), l.found)
				got := show(list)
				if got != l.want {
					t.Fatalf("at %d ms: %q, want %q", l.at, got, l.want)
				}
				if i > 0 && got != before && strings.Count(got, "-") == 0 && !changed {
					t.Errorf("at %d ms: %q after %q is not told as a change", l.at, got, before)
				}
				if got == before && changed {
					t.Errorf("at %d ms: %q is told twice", l.at, got)
				}
				if strings.Contains(got, "-") == wake.IsZero() {
					t.Errorf("at %d ms: %q wakes at %v", l.at, got, wake)
				}
				before = got
			}
		})
	}
}

// TestClockIsSet: a clock that is set while a file is written makes the file neither older nor younger than it is.
func TestClockIsSet(t *testing.T) {
	for _, c := range []struct {
		name string
		set  int // milliseconds by which the clock is set between the second look and the third
	}{{"forward", 3600_000}, {"back", -3600_000}, {"to 1970", -int(epoch.UnixMilli())}, {"not", 0}} {
		t.Run(c.name, func(t *testing.T) {
			tr := newTracker(settle)
			tr.update(at(0), at(0), nil)
			tr.update(at(1000), at(1000), entries(file("a", 1, 1, 0)))
			for _, look := range []struct {
				at   int
				want string
			}{
				{1100, "a:1+ b:1-"}, {1500, "a:1+ b:1-"}, {1650, "a:1+ b:1+"},
			} {
				list, _, _ := tr.update(at(look.at), at(look.at+c.set), entries(file("a", 1, 1, 0), file("b", 2, 1, 1050)))
				if got := show(list); got != look.want {
					t.Errorf("at %d ms: %q, want %q", look.at, got, look.want)
				}
			}
			// From now on the clock is as good as any: what came by rename counts at once.
			list, _, _ := tr.update(at(2000), at(2000+c.set), entries(file("a", 1, 1, 0), file("b", 2, 1, 1050), file("c", 3, 1, 1000+c.set)))
			if got := show(list); got != "a:1+ b:1+ c:1+" {
				t.Errorf("later: %q", got)
			}
		})
	}
}

// TestTrackerForgetsHistory: whatever was seen before, once the folder has been still for the settle time the list is that of
// the folder, every file settled, and nothing more is to come.
func TestTrackerForgetsHistory(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		tr := newTracker(settle)
		now := 0
		draw := func() []Entry {
			var files []File
			for _, path := range []string{"a", "b", "c/x", "c/y"} {
				if rapid.Bool().Draw(r, "there") {
					written := now - rapid.IntRange(0, 1500).Draw(r, "age")
					files = append(files, file(path, uint64(rapid.IntRange(1, 3).Draw(r, "inode")), int64(rapid.IntRange(0, 3).Draw(r, "size")), written))
				}
			}
			return entries(files...)
		}
		var found []Entry
		for range rapid.IntRange(0, 8).Draw(r, "looks") {
			found = draw()
			tr.update(at(now), at(now), found)
			now += rapid.IntRange(1, 700).Draw(r, "pause")
		}
		tr.update(at(now), at(now), found)
		list, _, wake := tr.update(at(now+500), at(now+500), found)
		want := slices.Clone(found)
		for i := range want {
			want[i].Files = slices.Clone(want[i].Files)
			for j := range want[i].Files {
				want[i].Files[j].Settled = true
			}
		}
		if show(list) != show(want) {
			r.Fatalf("%s, want %s", show(list), show(want))
		}
		if !wake.IsZero() {
			r.Fatalf("settled, and yet it wakes at %v", wake)
		}
		if _, changed, _ := tr.update(at(now+9000), at(now+9000), found); changed {
			r.Fatal("a settled folder is told again")
		}
	})
}
