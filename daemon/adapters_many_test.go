package daemon

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/weft-run/weft/daemon/api"
	"github.com/weft-run/weft/daemon/config"
	"github.com/weft-run/weft/runtime/modeltest"
)

// states counts adapters by state.
func (l *live) states() map[string]int {
	l.t.Helper()
	list, err := l.client.Adapters(l.t.Context())
	must(l.t, err)
	n := map[string]int{}
	for _, a := range list.Adapters {
		n[a.State]++
	}
	return n
}

// TestLongThousandAdapters puts a thousand adapters of rank 8 into the folder, half of them as peft saves them. All are proven in idle time; after a
// restart all are published without a test, and any of them answers, within the budget. Without WEFT_LONG they are forty.
func TestLongThousandAdapters(t *testing.T) {
	n := 40
	if os.Getenv("WEFT_LONG") != "" {
		n = 1000
	} else if testing.Short() {
		t.Skip("tests many adapters")
	}
	cfg := liveSettings(dataDir(t))
	cfg.Builtin = false
	must(t, os.MkdirAll(cfg.ModelsDir, 0o755))
	must(t, os.WriteFile(filepath.Join(cfg.ModelsDir, "m.gguf"), modeltest.Tiny(tinyBase), 0o600))
	old(t, filepath.Join(cfg.ModelsDir, "m.gguf"))
	began := time.Now()
	l := startLive(t, cfg)
	bare := time.Since(began)
	l.is("m", api.StateServing, "")

	spec := func(i int) modeltest.AdapterSpec {
		return modeltest.AdapterSpec{Base: tinyBase, Seed: uint64(i + 1), Rank: 8}
	}
	name := func(i int) string { return fmt.Sprintf("a%03d", i) }
	one := int64(0)
	for i := range n {
		if i%2 == 0 {
			l.lay(name(i), modeltest.TinyAdapter(spec(i)))
		} else {
			l.layFolder(name(i), spec(i))
		}
	}
	began = time.Now()
	l.until("all to be proven", func() bool { return l.states()[api.StatePublished] == n })
	t.Logf("%d adapters are proven in %v", n, time.Since(began).Round(time.Millisecond))
	want := map[int][]int32{}
	for range 10 {
		i := rand.IntN(n)
		want[i], _ = l.adapted("m+"+name(i), 8)
		st, err := l.client.Adapter(t.Context(), name(i))
		must(t, err)
		one = st.Resident
	}
	must(t, l.stop())

	cfg.AdapterMemory = config.Size{Bytes: 8 * one}
	before := anonymous(t)
	began = time.Now()
	l = startLive(t, cfg)
	ready := time.Since(began)
	l.until("all to be published", func() bool { return l.states()[api.StatePublished] == n })
	t.Logf("start with none %v, with %d adapters %v, all published after %v; %d KiB more are resident, of which each would take %d KiB bound",
		bare.Round(time.Millisecond), n, ready.Round(time.Millisecond), time.Since(began).Round(time.Millisecond), (anonymous(t)-before)>>10, one>>10)
	var first []time.Duration
	for range min(n, 200) {
		i := rand.IntN(n)
		began := time.Now()
		got, _ := l.adapted("m+"+name(i), 8)
		first = append(first, time.Since(began))
		if w := want[i]; w != nil && !slices.Equal(got, w) {
			t.Errorf("%s gives other tokens than before", name(i))
		}
	}
	t.Log(percentiles("first use, 8 tokens", first))
	list, err := l.client.Adapters(t.Context())
	must(t, err)
	if list.Resident > list.Budget || list.Resident == 0 {
		t.Errorf("%d bytes are resident, the budget is %d", list.Resident, list.Budget)
	}
}

// TestH30ManyFilesAtOnce drops files that are no adapters, takes the folder away and makes it anew, while an adapter answers.
func TestH30ManyFilesAtOnce(t *testing.T) {
	n := 10_000
	if testing.Short() {
		n = 500
	}
	l := startAdapted(t)
	l.lay("g", modeltest.TinyAdapter(tinyAdapter(1)))
	want, _ := l.adapted("m+g", 16)
	answers := func() {
		t.Helper()
		if got, _ := l.adapted("m+g", 16); !slices.Equal(got, want) {
			t.Error("the adapter gives other tokens")
		}
	}
	for i := range n {
		must(t, os.WriteFile(l.adapterPath(fmt.Sprintf("x%05d.gguf", i)), []byte("GGUF"), 0o600))
	}
	l.until("all files to be refused", func() bool {
		answers()
		return l.states()[api.StateRefused] == n
	})
	l.refusedWith("m+x00000", 503, "ends at")

	must(t, os.RemoveAll(l.cfg.AdaptersDir))
	l.until("all to be gone", func() bool { return len(l.states()) == 0 })
	must(t, os.Mkdir(l.cfg.AdaptersDir, 0o755))
	l.lay("g", modeltest.TinyAdapter(tinyAdapter(1)))
	l.until("the adapter to be back", func() bool { return l.states()[api.StatePublished] == 1 })
	answers()
}

// TestH28TwoAdaptersOfOneDigest: the same content under two names is two adapters, and one may go without the other.
func TestH28TwoAdaptersOfOneDigest(t *testing.T) {
	l := startAdapted(t)
	data := modeltest.TinyAdapter(tinyAdapter(1))
	l.lay("a", data)
	l.lay("b", data)
	want, a := l.adapted("m+a", 16)
	got, b := l.adapted("m+b", 16)
	if !slices.Equal(got, want) || a[0].Digest != b[0].Digest || a[0].Generation == b[0].Generation {
		t.Errorf("one is %v, the other %v", a, b)
	}
	must(t, os.Remove(l.adapterPath("a.gguf")))
	l.until("the first to be gone", func() bool { return l.states()[api.StatePublished] == 1 })
	if got, _ := l.adapted("m+b", 16); !slices.Equal(got, want) {
		t.Error("the second gives other tokens")
	}
}

// TestAdapterFileIsDamaged: content that is cut or written over under a published adapter takes nothing from a request that runs, and is
// never served as the generation that it was.
func TestAdapterFileIsDamaged(t *testing.T) {
	l := startAdapted(t)
	l.lay("g", modeltest.TinyAdapter(tinyAdapter(1)))
	want, used := l.adapted("m+g", 400)
	stream, got := l.stream("m+g", 400)
	_, err := l.client.ActOnAdapter(t.Context(), "g", api.ActionUnload) // the stream holds it: it stays
	must(t, err)
	must(t, os.Truncate(l.adapterPath("g.gguf"), 100))
	l.until("the cut file to be refused", func() bool {
		st, err := l.client.Adapter(t.Context(), "g")
		return err == nil && st.Next == api.StateRefused
	})
	more, info, err := rest(stream)
	must(t, err)
	if got = append(got, more...); !slices.Equal(got, want) || info.Adapters[0].Generation != used[0].Generation {
		t.Error("the stream that ran gives other tokens")
	}
	l.until("the stream's lease to end, which it does behind its last token", func() bool {
		st, err := l.client.Adapter(t.Context(), "g")
		return err == nil && st.Leases == 0
	})
	_, err = l.client.ActOnAdapter(t.Context(), "g", api.ActionUnload)
	must(t, err)
	l.refusedWith("m+g", 503, "not what they were")
	must(t, os.WriteFile(l.adapterPath("g.gguf"), modeltest.TinyAdapter(tinyAdapter(2)), 0o600))
	l.until("the new content", func() bool {
		c, err := l.client.Complete(t.Context(), request("m+g", 4))
		return err == nil && c.Weft.Adapters[0].Digest != used[0].Digest
	})
	if log := l.log.String(); strings.Contains(log, "panic") {
		t.Error("something panicked")
	}
}
