package watch

import (
	"bytes"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/fsnotify/fsnotify"
	"golang.org/x/sys/unix"

	"github.com/weft-run/weft/daemon/hosttest"
)

// TestArrivals has the tools that people use put files into the folder, with events and without. In the scripts D is the watched
// folder and S one with the files a (100000 bytes) and b (200000 bytes, from 2001); X is one on another file system, if there
// is such.
func TestArrivals(t *testing.T) {
	type step struct{ script, want string }
	for _, c := range []struct {
		name  string
		tools []string
		steps []step
	}{
		{"cp", nil, []step{{"cp $S/a $D/a", "a:100000+"}, {"cp $S/b $D/a", "a:200000+"}}},
		{"cp -p", nil, []step{{"cp -p $S/b $D/a", "a:200000+"}, {"cp -p $S/a $D/a", "a:100000+"}}},
		{"cp -r of a folder", nil, []step{{"mkdir $S/m; cp $S/a $S/b $S/m; cp -r $S/m $D/m", "m/a:100000+ m/b:200000+"}}},
		{"mv", nil, []step{{"mv $S/a $D/a", "a:100000+"}, {"mv $S/b $D/a", "a:200000+"}, {"mv $D/a $D/c", "c:200000+"}, {"mv $D/c $S/", ""}}},
		{"mv across file systems", nil, []step{{"cp $S/a $X/a; mv $X/a $D/a", "a:100000+"}, {"cp -p $S/b $X/b; mv $X/b $D/a", "a:200000+"}}},
		{"install", []string{"install"}, []step{{"install -m 600 $S/a $D/a", "a:100000+"}, {"install $S/b $D/a", "a:200000+"}}},
		{"hard link", nil, []step{{"ln $S/a $D/a", "a:100000+"}, {"ln -f $S/b $D/a", "a:200000+"}}},
		{"dd in place", nil, []step{
			{"dd if=$S/a of=$D/a bs=1000 status=none", "a:100000+"}, {"dd if=$S/b of=$D/a bs=1000 conv=notrunc status=none", "a:200000+"},
		}},
		{"a writer that is slow as scp over a thin line", nil, []step{
			{"for i in 1 2 3 4 5 6; do head -c 10000 $S/a; sleep 0.05; done >$D/a", "a:60000+"},
			{"for i in 1 2 3; do head -c 10000 $S/a; sleep 0.05; done >>$D/a", "a:90000+"},
		}},
		{"preallocated and then filled", nil, []step{
			{"truncate -s 100000 $D/a; for i in 0 1 2 3; do sleep 0.05; dd if=$S/a of=$D/a bs=25000 count=1 seek=$i conv=notrunc status=none; done", "a:100000+"},
		}},
		{"tar", []string{"tar"}, []step{{"tar -C $S -cf - a b | tar -C $D -xf -", "a:100000+ b:200000+"}}},
		{"rsync", []string{"rsync"}, []step{{"rsync $S/a $D/a", "a:100000+"}, {"rsync -a $S/b $D/a", "a:200000+"}}},
		{"rsync --inplace", []string{"rsync"}, []step{{"rsync -a --inplace $S/a $D/a", "a:100000+"}, {"rsync -a --inplace $S/b $D/a", "a:200000+"}}},
		{"rsync --partial slowly", []string{"rsync"}, []step{{"rsync -a --partial --bwlimit=400 $S/a $D/a", "a:100000+"}}},
		{"rsync --delete", []string{"rsync"}, []step{{"cp $S/a $D/old; rsync -a --delete $S/ $D/", "a:100000+ b:200000+"}}},
		{"ln -sf", nil, []step{{"ln -s $S/a $D/a", "a:100000+"}, {"ln -sf $S/b $D/a", "a:200000+"}, {"ln -sf $S/a $D/.a; mv $D/.a $D/a", "a:100000+"}}},
		{"the target of a link is replaced", nil, []step{{"ln -s $S/a $D/a", "a:100000+"}, {"mv $S/b $S/a", "a:200000+"}, {"rm $S/a", "a:0+"}}},
		{"folder for folder by mv", nil, []step{
			{"mkdir $D/m $D/.n; cp $S/a $D/m; cp $S/b $D/.n", "m/a:100000+"}, {"mv $D/m $D/.o; mv $D/.n $D/m", "m/b:200000+"},
		}},
		{"times in the future and of 1970", nil, []step{
			{"cp $S/a $S/f; touch -d 2037-01-01 $S/f; mv $S/f $D/f", "f:100000+"}, {"touch -d @0 $S/b; mv $S/b $D/f", "f:200000+"},
		}},
		{"folder unmade and made again, twice", nil, []step{
			{"cp $S/a $D/a", "a:100000+"},
			{"rm -r $D", ""},
			{"mkdir $D; cp $S/a $D/b", "b:100000+"},
			{"rm -r $D; mkdir -p $D/m; cp $S/b $D/m/c", "m/c:200000+"},
		}},
		{"split set in any order", nil, []step{
			{"cp $S/a $D/m-00002-of-00002.gguf", "m-00002-of-00002.gguf:100000+"},
			{"cp $S/b $D/m-00001-of-00002.gguf", "m-00001-of-00002.gguf:200000+ m-00002-of-00002.gguf:100000+"},
		}},
		{"odd names", nil, []step{
			{`cp $S/a "$D/$(printf 'a\nb')"; cp $S/a "$D/$(printf 'c\377')"; cp $S/a $D/..x; cp $S/a $D/a..b`, "a\nb:100000+ a..b:100000+ c\xff:100000+"},
		}},
	} {
		for _, events := range []bool{true, false} {
			t.Run(fmt.Sprintf("%s, events %v", c.name, events), func(t *testing.T) {
				t.Parallel()
				for _, tool := range c.tools {
					hosttest.Tool(t, tool)
				}
				w := start(t, filepath.Join(mkdir(t), "models"), events)
				sh := scripts(t, w.dir)
				for _, s := range c.steps {
					sh(s.script)
					w.is(s.want)
				}
			})
		}
	}
}

// scripts returns a function that runs shell scripts with D, S and X.
func scripts(t *testing.T, dir string) func(script string) {
	t.Helper()
	source := t.TempDir()
	must(t, os.WriteFile(filepath.Join(source, "a"), make([]byte, 100000), 0o644))
	must(t, os.WriteFile(filepath.Join(source, "b"), make([]byte, 200000), 0o644))
	old := time.Date(2001, 2, 3, 4, 5, 6, 789, time.UTC)
	must(t, os.Chtimes(filepath.Join(source, "b"), old, old))
	other, err := os.MkdirTemp("/dev/shm", "weft") //nolint:usetesting // another file system is what is wanted
	if err != nil {
		other = t.TempDir()
	}
	t.Cleanup(func() { os.RemoveAll(other) })
	return func(script string) {
		t.Helper()
		cmd := exec.Command("/bin/sh", "-euc", script)
		cmd.Env = append(os.Environ(), "D="+dir, "S="+source, "X="+other)
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%s: %v\n%s", script, err, out)
		}
	}
}

// TestFoldersExchanged: two folders of one file each trade places in one step, as adapters in PEFT's form are swapped.
func TestFoldersExchanged(t *testing.T) {
	t.Parallel()
	for _, events := range []bool{true, false} {
		w := start(t, filepath.Join(mkdir(t), "models"), events)
		w.write("m/a", 10)
		w.write(".n/a", 20)
		w.is("m/a:10+")
		for i := range 6 {
			must(t, unix.Renameat2(unix.AT_FDCWD, w.path("m"), unix.AT_FDCWD, w.path(".n"), unix.RENAME_EXCHANGE))
			w.is(fmt.Sprintf("m/a:%d+", 20-i%2*10))
		}
		w.write("m/a", 30) // the watch is on the folder that is there now
		w.is("m/a:30+")
	}
}

func TestThousandFilesAtOnce(t *testing.T) {
	t.Parallel()
	w := start(t, filepath.Join(mkdir(t), "models"), true)
	must(t, os.Mkdir(w.path(".all"), 0o755))
	for i := range 1000 {
		w.write(fmt.Sprintf(".all/f%03d", i), 1)
	}
	all, err := os.ReadDir(w.path(".all"))
	must(t, err)
	for _, f := range all {
		must(t, os.Rename(w.path(".all/"+f.Name()), w.path(f.Name())))
	}
	w.until("1000 settled files", func(list string) bool { return strings.Count(list, ":1+") == 1000 })
	for _, f := range all {
		must(t, os.Remove(w.path(f.Name())))
	}
	w.is("")
}

// TestQueueOverflows makes more events than the kernel's queue holds before anybody reads them.
func TestQueueOverflows(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	limit := 16384
	if text, err := os.ReadFile("/proc/sys/fs/inotify/max_queued_events"); err == nil {
		_, err = fmt.Sscan(string(text), &limit)
		must(t, err)
	}
	if limit > 100000 {
		t.Skipf("LOUD: skipped: the queue holds %d events", limit)
	}
	source, err := fsnotify.NewWatcher()
	must(t, err)
	must(t, source.Add(dir))
	names := []string{filepath.Join(dir, "a"), filepath.Join(dir, "b")}
	for _, name := range names {
		must(t, os.WriteFile(name, nil, 0o644))
	}
	for i := range limit + 5000 { // two files in turn: equal events behind one another are one
		must(t, os.Chmod(names[i%2], 0o600|os.FileMode(i/2%2)))
	}
	var log syncedLog
	h := newHints(slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug})), func() (*fsnotify.Watcher, error) { return source, nil })
	h.open()
	defer h.close()
	<-h.C
	log.until(t, "overflow")
}

// syncedLog is a log that a test may read while it is written.
type syncedLog struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *syncedLog) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *syncedLog) until(t *testing.T, words string) {
	t.Helper()
	deadline := time.After(time.Minute)
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for {
		l.mu.Lock()
		text := l.b.String()
		l.mu.Unlock()
		if strings.Contains(text, words) {
			return
		}
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatalf("the log does not say %q:\n%s", words, text)
		}
	}
}

// TestEventsComeBack: a system that gives no events at first is asked again at each look.
func TestEventsComeBack(t *testing.T) {
	t.Parallel()
	var log syncedLog
	dir := filepath.Join(mkdir(t), "models")
	w := New(dir, Options{Settle: 0, Rescan: 20 * time.Millisecond, Events: true, Log: slog.New(slog.NewTextHandler(&log, nil))})
	tries := 0
	w.events = func() (*fsnotify.Watcher, error) {
		if tries++; tries <= 3 {
			return nil, os.NewSyscallError("inotify_init1", unix.EMFILE)
		}
		return fsnotify.NewWatcher()
	}
	run(t, w, nil)
	log.until(t, "fs.inotify.max_user_instances")
	log.until(t, "file events are there again")
	if n := strings.Count(log.b.String(), "no file events"); n != 1 {
		t.Errorf("%d lines say that there are no events", n)
	}
}

// TestLimitsOfInotify reaches the real limits, in a user namespace that has its own.
func TestLimitsOfInotify(t *testing.T) {
	if !hosttest.Namespace(t) {
		return
	}
	for _, c := range []struct{ file, says string }{
		{"max_inotify_instances", "fs.inotify.max_user_instances"},
		{"max_inotify_watches", "fs.inotify.max_user_watches"},
	} {
		limit := filepath.Join("/proc/sys/user", c.file)
		before, err := os.ReadFile(limit)
		must(t, err)
		must(t, os.WriteFile(limit, []byte("0"), 0o644))
		var log syncedLog
		w := startWith(t, filepath.Join(mkdir(t), "models"), Options{
			Settle: 20 * time.Millisecond, Rescan: 20 * time.Millisecond, Events: true, Log: slog.New(slog.NewTextHandler(&log, nil)),
		})
		log.until(t, c.says)
		w.write("a", 1)
		w.write("m/b", 2)
		w.is("a:1+ m/b:2+")
		must(t, os.WriteFile(limit, before, 0o644))
		log.until(t, "file events are there again")
		w.write("a", 3)
		w.is("a:3+ m/b:2+")
		w.stop()
	}
}

// TestMountsOverTheFolder: another file system comes to lie over the folder, is written to, and goes.
func TestMountsOverTheFolder(t *testing.T) {
	if !hosttest.Namespace(t) {
		return
	}
	for _, events := range []bool{true, false} {
		w := start(t, filepath.Join(mkdir(t), "models"), events)
		w.write("a", 1)
		w.is("a:1+")
		other := t.TempDir()
		must(t, os.WriteFile(filepath.Join(other, "b"), make([]byte, 2), 0o644))
		hosttest.Mount(t, other, w.dir, "", syscall.MS_BIND, "")
		w.is("b:2+")
		must(t, os.WriteFile(filepath.Join(other, "c"), make([]byte, 3), 0o644))
		w.is("b:2+ c:3+")
		must(t, unix.Unmount(w.dir, unix.MNT_DETACH))
		w.is("a:1+")
		w.write("d", 4)
		w.is("a:1+ d:4+")
		// A file may be a mount too.
		hosttest.Mount(t, filepath.Join(other, "b"), w.path("a"), "", syscall.MS_BIND, "")
		w.is("a:2+ d:4+")
		must(t, unix.Unmount(w.path("a"), unix.MNT_DETACH))
		w.is("a:1+ d:4+")
		w.stop()
	}
}

// TestUnreadableFolderHeals: a folder that this user may not read is told of once, what was served stays, and all is well when
// it is readable again.
func TestUnreadableFolderHeals(t *testing.T) {
	if !hosttest.PlainUser(t) {
		return
	}
	var log syncedLog
	w := startWith(t, filepath.Join(mkdir(t), "models"), Options{
		Settle: 20 * time.Millisecond, Rescan: 20 * time.Millisecond, Events: true, Log: slog.New(slog.NewTextHandler(&log, nil)),
	})
	w.write("a", 1)
	w.write("m/b", 1)
	w.is("a:1+ m/b:1+")
	must(t, os.Chmod(w.path("m"), 0))
	w.until("a folder that cannot be read", func(list string) bool { return strings.Contains(list, "m/m:0") || strings.Contains(list, " m:0") })
	must(t, os.Chmod(w.path("m"), 0o755))
	w.is("a:1+ m/b:1+")
	must(t, os.Chmod(w.dir, 0))
	log.until(t, "the watched folder cannot be read")
	w.is("a:1+ m/b:1+")
	must(t, os.Chmod(w.dir, 0o755))
	log.until(t, "the watched folder is readable again")
	w.write("a", 2)
	w.is("a:2+ m/b:1+")
}

// TestRenameIsSeenWithoutAListing: what takes a known name counts although the folder cannot be listed at the time, as while a rename holds it.
func TestRenameIsSeenWithoutAListing(t *testing.T) {
	if !hosttest.PlainUser(t) {
		return
	}
	var log syncedLog
	w := startWith(t, filepath.Join(mkdir(t), "models"), Options{
		Rescan: time.Hour, Events: true, Log: slog.New(slog.NewTextHandler(&log, nil)),
	})
	w.write("a", 1)
	w.write("b", 1)
	w.is("a:1+ b:1+")
	must(t, os.Chmod(w.dir, 0o311))
	log.until(t, "the watched folder cannot be read")
	w.write(".a", 2)
	must(t, os.Rename(w.path(".a"), w.path("a")))
	w.is("a:2+ b:1+")
	must(t, os.Chmod(w.dir, 0o755))
	log.until(t, "the watched folder is readable again")
	w.is("a:2+ b:1+")
}
