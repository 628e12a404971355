package watch

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// watched is a folder under watch in a test: its newest list, and when there is one.
type watched struct {
	t    *testing.T
	dir  string
	stop func()
	w    *Watcher

	mu      sync.Mutex // guards what follows
	list    []Entry
	reports int
}

// start watches dir with short times. It ends with the test.
func start(t *testing.T, dir string, events bool) *watched {
	t.Helper()
	return startWith(t, dir, Options{Settle: 100 * time.Millisecond, Rescan: 100 * time.Millisecond, Events: events})
}

func startWith(t *testing.T, dir string, opt Options) *watched {
	t.Helper()
	w := &watched{t: t, dir: dir, w: New(dir, opt)}
	w.stop = run(t, w.w, func(list []Entry) {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.list = list
		w.reports++
	})
	w.until("the first report", func(string) bool { return w.reports > 0 })
	return w
}

// run runs a watcher until stop is called or the test ends.
func run(t *testing.T, w *Watcher, report func([]Entry)) (stop func()) {
	t.Helper()
	if report == nil {
		report = func([]Entry) {}
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	stop = func() { cancel(); <-done }
	t.Cleanup(stop)
	go func() {
		defer close(done)
		w.Run(ctx, report)
	}()
	return stop
}

// until waits for the list to satisfy ok, and fails the test when that takes too long.
func (w *watched) until(what string, ok func(list string) bool) {
	w.t.Helper()
	deadline := time.After(time.Minute)
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for {
		w.mu.Lock()
		got := show(w.list)
		done := ok(strings.ReplaceAll(got, w.dir+"/", ""))
		w.mu.Unlock()
		if done {
			return
		}
		select {
		case <-tick.C:
		case <-deadline:
			w.t.Fatalf("waiting for %s: the list is %q", what, got)
		}
	}
}

func (w *watched) count() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.reports
}

func (w *watched) is(want string) {
	w.t.Helper()
	w.until(want, func(list string) bool { return list == want })
}

func (w *watched) path(name string) string { return filepath.Join(w.dir, name) }

func (w *watched) write(name string, size int) {
	w.t.Helper()
	if err := os.MkdirAll(filepath.Dir(w.path(name)), 0o755); err != nil {
		w.t.Fatal(err)
	}
	if err := os.WriteFile(w.path(name), make([]byte, size), 0o644); err != nil {
		w.t.Fatal(err)
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// TestWatch runs every case with events and without: the end is the same.
func TestWatch(t *testing.T) {
	for _, c := range []struct {
		name string
		run  func(t *testing.T, w *watched)
	}{
		{"copy", func(t *testing.T, w *watched) {
			w.write("a.gguf", 10)
			w.is("a.gguf:10+")
		}},
		{"rename into place", func(t *testing.T, w *watched) {
			w.write(".a", 10)
			must(t, os.Rename(w.path(".a"), w.path("a")))
			w.is("a:10+")
		}},
		{"slow writer", func(t *testing.T, w *watched) {
			f, err := os.Create(w.path("a"))
			must(t, err)
			defer f.Close()
			tick := time.NewTicker(20 * time.Millisecond)
			defer tick.Stop()
			for range 20 {
				<-tick.C
				_, err := f.Write(make([]byte, 5))
				must(t, err)
			}
			w.is("a:100+")
		}},
		{"replace by rename", func(t *testing.T, w *watched) {
			w.write("a", 10)
			w.is("a:10+")
			w.write("a.part", 20)
			must(t, os.Rename(w.path("a.part"), w.path("a")))
			w.is("a:20+")
		}},
		{"overwrite in place", func(t *testing.T, w *watched) {
			w.write("a", 10)
			w.is("a:10+")
			w.write("a", 5)
			w.is("a:5+")
		}},
		{"delete", func(t *testing.T, w *watched) {
			w.write("a", 10)
			w.write("b", 10)
			w.is("a:10+ b:10+")
			must(t, os.Remove(w.path("a")))
			w.is("b:10+")
		}},
		{"subfolder", func(t *testing.T, w *watched) {
			w.write("m/one", 1)
			w.write("m/two", 2)
			w.write("m/.three", 3)
			w.write("m/deep/four", 4)
			w.is("m/one:1+ m/two:2+")
			w.write("m/two", 3)
			w.is("m/one:1+ m/two:3+")
			must(t, os.RemoveAll(w.path("m")))
			w.is("")
		}},
		{"symlink swap", func(t *testing.T, w *watched) {
			other := t.TempDir()
			must(t, os.WriteFile(filepath.Join(other, "v1"), make([]byte, 1), 0o644))
			must(t, os.WriteFile(filepath.Join(other, "v2"), make([]byte, 2), 0o644))
			must(t, os.Symlink(filepath.Join(other, "v1"), w.path("a")))
			w.is("a:1+")
			must(t, os.Symlink(filepath.Join(other, "v2"), w.path(".new")))
			must(t, os.Rename(w.path(".new"), w.path("a")))
			w.is("a:2+")
			must(t, os.Remove(filepath.Join(other, "v2")))
			w.is("a:0+") // with a problem
			must(t, os.WriteFile(filepath.Join(other, "v2"), make([]byte, 3), 0o644))
			w.is("a:3+")
		}},
		{"folder deleted and made again", func(t *testing.T, w *watched) {
			w.write("a", 10)
			w.is("a:10+")
			must(t, os.RemoveAll(w.dir))
			w.is("")
			must(t, os.Mkdir(w.dir, 0o755))
			w.write("b", 7)
			w.is("b:7+")
		}},
		{"folder swapped for another", func(t *testing.T, w *watched) {
			w.write("a", 10)
			w.is("a:10+")
			must(t, os.Rename(w.dir, w.dir+"-old"))
			w.write("c", 3)
			w.is("c:3+")
			w.write("d", 4)
			w.is("c:3+ d:4+")
		}},
		{"folder becomes a file", func(t *testing.T, w *watched) {
			w.write("a", 10)
			w.is("a:10+")
			must(t, os.RemoveAll(w.dir))
			must(t, os.WriteFile(w.dir, nil, 0o644))
			w.is("")
		}},
		{"ignored names", func(t *testing.T, w *watched) {
			for _, name := range []string{".hidden", "a.part", "a.tmp", "a.crdownload", "a.incomplete", "A.PART"} {
				w.write(name, 1)
			}
			w.write("seen", 1)
			w.is("seen:1+")
		}},
		{"many at once", func(t *testing.T, w *watched) {
			for i := range 500 {
				w.write("f"+strings.Repeat("x", i%50)+string(rune('a'+i/50)), 1)
			}
			w.until("500 settled files", func(list string) bool { return strings.Count(list, ":1+") == 500 })
		}},
	} {
		for _, events := range []bool{true, false} {
			name := c.name + map[bool]string{true: " with events", false: " without events"}[events]
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				c.run(t, start(t, filepath.Join(mkdir(t), "models"), events))
			})
		}
	}
}

func mkdir(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	must(t, os.Mkdir(filepath.Join(dir, "models"), 0o755))
	return dir
}

func TestFilesAreThereAtOnceAfterARestart(t *testing.T) {
	dir := filepath.Join(mkdir(t), "models")
	w := start(t, dir, true)
	w.write("a", 10)
	w.is("a:10+")
	w.stop()
	again := start(t, dir, true)
	again.mu.Lock()
	defer again.mu.Unlock()
	if got := show(again.list); !strings.HasSuffix(got, "a:10+") || again.reports != 1 {
		t.Errorf("after a restart report %d is %q", again.reports, got)
	}
}

func TestFolderNeedNotExist(t *testing.T) {
	w := start(t, filepath.Join(t.TempDir(), "later"), true)
	w.write("a", 1)
	w.is("a:1+")
}

// TestNothingIsOpened: FIFOs, sockets, devices and links to folders are told as problems. Opening a FIFO would hang this test.
func TestNothingIsOpened(t *testing.T) {
	dir := t.TempDir()
	must(t, unix.Mkfifo(filepath.Join(dir, "fifo"), 0o600))
	must(t, os.Symlink("/dev/null", filepath.Join(dir, "device")))
	must(t, os.Symlink("loop", filepath.Join(dir, "loop")))
	must(t, os.Symlink(t.TempDir(), filepath.Join(dir, "tofolder")))
	must(t, os.Symlink("nowhere", filepath.Join(dir, "void")))
	found, err := look(dir, false)
	must(t, err)
	want := map[string]string{
		"fifo": "it is a FIFO, not a regular file", "device": "it is a character device, not a regular file",
		"loop":     "the symbolic link cannot be followed: too many levels of symbolic links",
		"tofolder": "it is a link to a folder, not a regular file",
		"void":     "the symbolic link cannot be followed: no such file or directory",
	}
	if len(found) != len(want) {
		t.Errorf("found %v", found)
	}
	for _, e := range found {
		if e.Files[0].Problem != want[e.Name] {
			t.Errorf("%s: %q, want %q", e.Name, e.Files[0].Problem, want[e.Name])
		}
	}
	// The watched folder itself may be anything too.
	if _, err := look(filepath.Join(dir, "fifo"), false); err == nil {
		t.Error("a FIFO was read as a folder")
	}
}

// TestStillFolderIsReportedOnce: looks that find nothing new say nothing.
func TestStillFolderIsReportedOnce(t *testing.T) {
	w := start(t, filepath.Join(mkdir(t), "models"), true)
	w.write("a", 1)
	w.is("a:1+")
	before := w.count()
	// A look has certainly happened once another file was reported; only that makes news.
	w.write("b", 1)
	w.is("a:1+ b:1+")
	if n := w.count() - before; n > 2 { // b unsettled, b settled
		t.Errorf("%d reports for one file", n)
	}
}

// TestLookFindsAtOnce: what Look returns from has been reported, though neither event nor timer would have told it.
func TestLookFindsAtOnce(t *testing.T) {
	w := startWith(t, filepath.Join(mkdir(t), "models"), Options{Settle: 0, Rescan: time.Hour})
	var all sync.WaitGroup
	for i := range 20 {
		w.write(string(rune('a'+i)), 1)
		all.Go(func() {
			w.w.Look(context.Background())
			w.mu.Lock()
			defer w.mu.Unlock()
			if got := show(w.list); !strings.Contains(got, "/"+string(rune('a'+i))+":1") {
				t.Errorf("file %c is not in %s", 'a'+i, got)
			}
		})
	}
	all.Wait()
	ended, cancel := context.WithCancel(context.Background())
	cancel()
	w.stop()
	w.w.Look(ended) // nobody looks any more: only its context ends it
}

// A link to a folder is a folder where Links says so, and what it leads to changes with it, all at once.
func TestLinksToFolders(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for _, v := range []string{".v1", ".v2"} {
		if err := os.Mkdir(filepath.Join(dir, v), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, v, "file"), []byte(v), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	link := func(to string) {
		t.Helper()
		if err := os.Symlink(to, filepath.Join(dir, ".next")); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(filepath.Join(dir, ".next"), filepath.Join(dir, "a")); err != nil {
			t.Fatal(err)
		}
	}
	link(".v1")
	plain, err := look(dir, false)
	if err != nil || len(plain) != 1 || plain[0].Folder || plain[0].Files[0].Problem == "" {
		t.Errorf("without Links: %+v, %v", plain, err)
	}
	before, err := look(dir, true)
	if err != nil || len(before) != 1 || !before[0].Folder || len(before[0].Files) != 1 || before[0].Files[0].Problem != "" {
		t.Fatalf("with Links: %+v, %v", before, err)
	}
	link(".v2")
	after, err := look(dir, true)
	if err != nil || after[0].Files[0].Inode == before[0].Files[0].Inode {
		t.Errorf("after the swap: %+v, %v", after, err)
	}
	link("nowhere")
	if broken, err := look(dir, true); err != nil || broken[0].Folder || broken[0].Files[0].Problem == "" {
		t.Errorf("a link to nothing: %+v, %v", broken, err)
	}
}
