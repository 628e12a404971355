package daemon

import (
	"context"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/weft-run/weft/daemon/api"
	"github.com/weft-run/weft/runtime/modeltest"
)

// TestEveryStateIsTold brings models into each state; "checking" is held in runtime/repository, where a check can be made to last. The
// settle time is an hour, so that only files with old times count.
func TestEveryStateIsTold(t *testing.T) {
	cfg := liveSettings(dataDir(t))
	cfg.SettleTime = time.Hour
	l := startLive(t, cfg)
	old := func(name string, data []byte) {
		l.write(".new", data)
		must(t, os.Chtimes(l.path(".new"), time.Time{}, time.Now().Add(-2*time.Hour)))
		must(t, os.Rename(l.path(".new"), l.path(name)))
	}
	old("m.gguf", tiny(1))
	l.is("m", api.StateServing, "")
	l.write("fresh.gguf", tiny(2))
	l.is("fresh", api.StateSettling, "still being written")
	old("set-00002-of-00002.gguf", tiny(3))
	l.is("set", api.StateSeen, "1 of 2 files of the split set are there; set-00001-of-00002.gguf is missing")
	old("junk.gguf", []byte("junk"))
	l.is("junk", api.StateRefused, "GGUF")

	first, _ := l.model("m")
	s, _ := l.stream("m", 1500)
	old("m.gguf", tiny(4))
	l.until("the new model", func() bool {
		m, _ := l.model("m")
		return m.Generation != first.Generation && m.State == api.StateServing
	})
	all, err := l.client.ModelStatuses(context.Background())
	must(t, err)
	if !slices.ContainsFunc(all.Models, func(m api.ModelStatus) bool {
		return m.Generation == first.Generation && m.State == api.StateRetiring
	}) {
		t.Errorf("the replaced model is not listed as retiring: %+v", all.Models)
	}
	if _, _, err := rest(s); err != nil {
		t.Error(err)
	}
	for _, c := range []struct {
		put  func()
		next string
	}{
		{func() { l.rename("m.gguf", tiny(5)) }, api.StateSettling},
		{func() { old("m.gguf", []byte("junk")) }, api.StateRefused},
	} {
		c.put()
		l.until("newer content to be "+c.next, func() bool {
			m, _ := l.model("m")
			return m.State == api.StateServing && m.Next == c.next && m.Reason != ""
		})
	}
}

// TestWhatIsNoModelFileIsRefusedWithASentence: nothing of this is opened, which for a FIFO would not return.
func TestWhatIsNoModelFileIsRefusedWithASentence(t *testing.T) {
	l := startLive(t, liveSettings(dataDir(t)))
	outside := filepath.Join(t.TempDir(), "real.gguf")
	must(t, os.WriteFile(outside, tiny(1), 0o600))
	must(t, unix.Mkfifo(l.path("fifo.gguf"), 0o600))
	must(t, os.Symlink("/dev/zero", l.path("device.gguf")))
	must(t, os.Symlink("../nowhere/x.gguf", l.path("dangling.gguf")))
	must(t, os.Symlink("loop.gguf", l.path("loop.gguf")))
	must(t, os.Symlink(filepath.Dir(outside), l.path("tofolder.gguf")))
	must(t, os.Symlink(outside, l.path("escaping.gguf"))) // the operator put it there
	must(t, os.Mkdir(l.path("folder.gguf"), 0o755))
	socket, err := net.Listen("unix", l.path("sock.gguf"))
	must(t, err)
	defer socket.Close()
	for _, name := range []string{"a\nb.gguf", "c\xff.gguf", "\x1b[31mred.gguf", "e..f.gguf", "..g.gguf", "x.gguf.part"} {
		l.write(name, tiny(2))
	}
	must(t, unix.Mkfifo(l.path("settings.toml"), 0o600))
	l.write("settings.gguf", tiny(3))
	for name, reason := range map[string]string{
		"fifo": "it is a FIFO, not a regular file", "device": "it is a character device, not a regular file", "sock": "it is a socket",
		"dangling": "the symbolic link cannot be followed: no such file", "loop": "too many levels of symbolic links",
		"tofolder": "it is a link to a folder", "folder.gguf": "it is a folder without a model in it",
		`"a\nb"`: "its name has bytes", `"c\xff"`: "its name has bytes", `"\x1b[31mred"`: "its name has bytes",
		"settings": "its settings file settings.toml: it is a FIFO",
	} {
		l.is(name, api.StateRefused, reason)
	}
	l.is("escaping", api.StateServing, "")
	l.is("e..f", api.StateServing, "")
	all, err := l.client.ModelStatuses(context.Background())
	must(t, err)
	if len(all.Models) != 14 { // 11 refused, two served, and the built-in one
		t.Errorf("listed are %d: %+v", len(all.Models), all.Models)
	}
}

// TestSplitSetsArriveInAnyOrder: the set is served when its last file has come, whichever that is.
func TestSplitSetsArriveInAnyOrder(t *testing.T) {
	t.Parallel()
	l := startLive(t, liveSettings(dataDir(t)))
	shards := modeltest.WriteTinySplit(t, modeltest.Spec{Name: "set", Seed: 5, Context: 2048}, 3)
	var want []int32
	for _, order := range [][]int{{0, 1, 2}, {0, 2, 1}, {1, 0, 2}, {1, 2, 0}, {2, 0, 1}, {2, 1, 0}} {
		for i, at := range order {
			data, err := os.ReadFile(shards[at])
			must(t, err)
			l.write(filepath.Base(shards[at]), data)
			if i < 2 {
				l.until("the set to wait for the others", func() bool { m, _ := l.model("set"); return m.State == api.StateSeen })
			}
		}
		if got, _ := l.ask("set", 10); want != nil && !slices.Equal(got, want) {
			t.Errorf("in the order %v it answers otherwise", order)
		} else {
			want = got
		}
		for _, path := range shards {
			must(t, os.Remove(l.path(filepath.Base(path))))
		}
		l.until("the set to be gone", func() bool { _, there := l.model("set"); return !there })
	}
}

// TestFoldersOfModelsExchanged: a model in a folder of its own is swapped for another by one exchange of the folders, under a stream.
func TestFoldersOfModelsExchanged(t *testing.T) {
	l := startLive(t, liveSettings(dataDir(t)))
	for i, dir := range []string{"m", ".next"} {
		must(t, os.Mkdir(l.path(dir), 0o755))
		l.write(dir+"/weights.gguf", tiny(uint64(i)))
		l.write(dir+"/weft.toml", []byte("aliases = ['other"+strings.Repeat("x", i)+"']\n"))
	}
	l.is("m", api.StateServing, "")
	want, old := l.ask("other", 1500)
	s, got := l.stream("m", 1500)
	must(t, unix.Renameat2(unix.AT_FDCWD, l.path("m"), unix.AT_FDCWD, l.path(".next"), unix.RENAME_EXCHANGE))
	l.until("the other model", func() bool {
		m, _ := l.model("m")
		return m.State == api.StateServing && m.Generation != old.Generation
	})
	if now, _ := l.ask("otherx", 1500); slices.Equal(now, want) {
		t.Error("the other model speaks like the first one")
	}
	more, _, err := rest(s)
	if err != nil || !slices.Equal(append(got, more...), want) {
		t.Errorf("the stream on the first model ended after %d tokens with %v", len(got)+len(more), err)
	}
}
