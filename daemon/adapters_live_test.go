package daemon

import (
	"context"
	"errors"
	"net/http"
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

// tinyBase is the model that the adapters of these tests are for.
var tinyBase = modeltest.Spec{Seed: 1, Context: 2048}

func tinyAdapter(seed uint64) modeltest.AdapterSpec {
	return modeltest.AdapterSpec{Base: tinyBase, Seed: seed}
}

// adapterPath is a path in the adapters folder.
func (l *live) adapterPath(name string) string { return filepath.Join(l.cfg.AdaptersDir, name) }

// old makes a file look as if it had lain there for long, as one does that was written elsewhere and is renamed.
func old(t *testing.T, path string) {
	t.Helper()
	must(t, os.Chtimes(path, time.Time{}, time.Now().Add(-time.Hour)))
}

// lay puts a GGUF adapter into the folder by rename.
func (l *live) lay(name string, data []byte) {
	l.t.Helper()
	hidden := l.adapterPath(".new-" + name)
	must(l.t, os.WriteFile(hidden, data, 0o644))
	old(l.t, hidden)
	must(l.t, os.Rename(hidden, l.adapterPath(name+".gguf")))
}

// layFolder puts an adapter as peft saves it into the folder, in exchange with the one that is there.
func (l *live) layFolder(name string, s modeltest.AdapterSpec) {
	l.t.Helper()
	hidden := l.adapterPath(".new-" + name)
	must(l.t, os.RemoveAll(hidden))
	must(l.t, os.Mkdir(hidden, 0o755))
	config, weights := modeltest.TinyPEFT(s)
	for file, data := range map[string][]byte{peftConfig: config, peftWeights: weights} {
		must(l.t, os.WriteFile(filepath.Join(hidden, file), data, 0o644))
		old(l.t, filepath.Join(hidden, file))
	}
	to := l.adapterPath(name)
	if _, err := os.Lstat(to); err != nil {
		must(l.t, os.Rename(hidden, to))
		return
	}
	must(l.t, unix.Renameat2(unix.AT_FDCWD, hidden, unix.AT_FDCWD, to, unix.RENAME_EXCHANGE))
}

// adapted returns a model's greedy tokens and the adapters that were applied.
func (l *live) adapted(model string, n int) ([]int32, []api.Adapter) {
	l.t.Helper()
	c, err := l.client.Complete(context.Background(), request(model, n))
	must(l.t, err)
	return c.Choices[0].TokenIDs, c.Weft.Adapters
}

// adapter waits until an adapter is in a state with a reason that holds some words.
func (l *live) adapter(name, state, reason string) (st *api.AdapterStatus) {
	l.t.Helper()
	l.until(name+" to be "+state+": "+reason, func() bool {
		var err error
		st, err = l.client.Adapter(context.Background(), name)
		return err == nil && st.State == state && strings.Contains(st.Reason, reason)
	})
	return st
}

// startAdapted runs a daemon with one base, m, and no other model.
func startAdapted(t *testing.T) *live {
	t.Helper()
	cfg := liveSettings(dataDir(t))
	cfg.Builtin = false
	l := startLive(t, cfg)
	l.rename("m.gguf", modeltest.Tiny(tinyBase))
	l.is("m", api.StateServing, "")
	return l
}

// refusedWith says whether a request for a model fails with a status and words.
func (l *live) refusedWith(model string, status int, words string) {
	l.t.Helper()
	_, err := l.client.Complete(context.Background(), request(model, 1))
	var no *api.Error
	if !errors.As(err, &no) || no.Status != status || !strings.Contains(no.Message, words) {
		l.t.Errorf("%s: %v, want status %d and %q", model, err, status, words)
	}
}

// TestAdaptersAreServed: an adapter answers the request right behind its rename, under every name that it has, and both formats give the
// same tokens.
func TestAdaptersAreServed(t *testing.T) {
	l := startAdapted(t)
	plain, none := l.adapted("m", 16)
	l.lay("g", modeltest.TinyAdapter(tinyAdapter(7)))
	changed, used := l.adapted("m+g", 16)
	if len(none) != 0 || len(used) != 1 || used[0].Name != "g" || used[0].Scale != 1 || used[0].Generation != 1 || !strings.HasPrefix(used[0].Digest, "sha256:") {
		t.Errorf("without: %v; with: %v", none, used)
	}
	if slices.Equal(plain, changed) {
		t.Error("the adapter changes nothing")
	}
	l.layFolder("p", tinyAdapter(7))
	for _, name := range []string{"g", "g@1", "m+g@1.0", "p", "m+p"} {
		if got, _ := l.adapted(name, 16); !slices.Equal(got, changed) {
			t.Errorf("%s gives %v, want %v", name, got, changed)
		}
	}
	l.lay("h", modeltest.TinyAdapter(tinyAdapter(8)))
	stack, used := l.adapted("m+g@0.5+h@-0.25", 16)
	if len(used) != 2 || used[0].Name != "g" || used[1].Name != "h" || used[1].Scale != -0.25 || slices.Equal(stack, changed) {
		t.Errorf("a stack: %v", used)
	}
	r := request("m", 16)
	half, quarter := 0.5, -0.25
	r.Adapters = []api.AdapterChoice{{Name: "g", Scale: &half}, {Name: "h", Scale: &quarter}}
	c, err := l.client.Complete(t.Context(), r)
	must(t, err)
	if !slices.Equal(c.Choices[0].TokenIDs, stack) {
		t.Error("adapters in the body give other tokens than in the name")
	}
	g, h := l.adapter("g", api.StatePublished, ""), l.adapter("h", api.StatePublished, "")
	r = request("m", 16)
	r.LoRA = []api.LoRAChoice{{ID: g.ID, Scale: 0.5}, {ID: h.ID, Scale: -0.25}}
	if c, err = l.client.Complete(t.Context(), r); err != nil || !slices.Equal(c.Choices[0].TokenIDs, stack) {
		t.Errorf("lora gives other tokens than the name: %v", err)
	}
	for _, name := range []string{"m", "m+none", "m+g@0"} {
		if got, used := l.adapted(name, 16); !slices.Equal(got, plain) || len(used) != 0 {
			t.Errorf("%s is not the base: %v", name, used)
		}
	}
	l.refusedWith("m+gg", http.StatusNotFound, "g")
	l.refusedWith("m+g@1e3", http.StatusBadRequest, "a scale from")
	l.refusedWith("m+g+g", http.StatusBadRequest, "each adapter once")

	list, err := l.client.Models(t.Context())
	must(t, err)
	ids := []string{}
	for _, m := range list.Data {
		ids = append(ids, m.ID)
	}
	if !slices.Contains(ids, "g") || !slices.Contains(ids, "m") {
		t.Errorf("models are %v", ids)
	}
	must(t, os.WriteFile(l.path("m.toml"), []byte("default_adapters = ['g']"), 0o600))
	l.until("the default adapter", func() bool { got, used := l.adapted("m", 16); return slices.Equal(got, changed) && len(used) == 1 })
	if got, used := l.adapted("m+none", 16); !slices.Equal(got, plain) || len(used) != 0 {
		t.Errorf("m+none is not the base: %v", used)
	}

	must(t, os.Remove(l.adapterPath("g.gguf")))
	l.until("the removed adapter to be gone", func() bool {
		_, err := l.client.Complete(t.Context(), request("m+g", 1))
		var no *api.Error
		return errors.As(err, &no) && no.Status == http.StatusNotFound
	})
}

// TestAdapterIsReplaced (H27) by rename, by exchange of folders, by a symbolic link and file by file; refused content leaves the old one.
func TestAdapterIsReplaced(t *testing.T) {
	l := startAdapted(t)
	var answers [3][]int32
	for i := range answers {
		name := string(rune('x' + i))
		l.lay(name, modeltest.TinyAdapter(tinyAdapter(uint64(i+1))))
		answers[i], _ = l.adapted("m+"+name, 16)
	}
	becomes := func(name string, to []int32) {
		t.Helper()
		l.until(name+" to be replaced", func() bool { got, _ := l.adapted("m+"+name, 16); return slices.Equal(got, to) })
	}
	l.lay("g", modeltest.TinyAdapter(tinyAdapter(1)))
	becomes("g", answers[0])
	l.lay("g", modeltest.TinyAdapter(tinyAdapter(2)))
	becomes("g", answers[1])
	l.lay("g", modeltest.TinyAdapter(modeltest.AdapterSpec{Base: tinyBase, Seed: 3, Zero: true}))
	st := l.adapter("g", api.StatePublished, "changes nothing")
	if st.Next != api.StateRefused {
		t.Errorf("beside the old one: %+v", st)
	}
	becomes("g", answers[1])
	l.lay("g", []byte("GGUF"))
	l.until("another refusal", func() bool {
		st, err := l.client.Adapter(t.Context(), "g")
		return err == nil && st.Next == api.StateRefused && !strings.Contains(st.Reason, "changes nothing")
	})
	becomes("g", answers[1])

	l.layFolder("p", tinyAdapter(1))
	becomes("p", answers[0])
	l.layFolder("p", tinyAdapter(2))
	becomes("p", answers[1])
	config, weights := modeltest.TinyPEFT(tinyAdapter(3))
	must(t, os.WriteFile(l.adapterPath("p/"+peftConfig), config, 0o600))
	must(t, os.WriteFile(l.adapterPath("p/"+peftWeights), weights, 0o600))
	becomes("p", answers[2])

	must(t, os.Mkdir(l.adapterPath(".v1"), 0o755))
	must(t, os.WriteFile(l.adapterPath(".v1/"+peftConfig), config, 0o600))
	must(t, os.WriteFile(l.adapterPath(".v1/"+peftWeights), weights, 0o600))
	must(t, os.Symlink(".v1", l.adapterPath("s")))
	becomes("s", answers[2])
	must(t, os.Symlink("p", l.adapterPath(".s")))
	l.layFolder("p", tinyAdapter(1))
	must(t, os.Rename(l.adapterPath(".s"), l.adapterPath("s")))
	becomes("s", answers[0])
}

// TestAdapterUpload: an upload lands whole, and replaces only the generation that it expects.
func TestAdapterUpload(t *testing.T) {
	l := startAdapted(t)
	put := func(text string, expect uint64) error {
		_, err := l.client.UploadAdapter(t.Context(), "u", strings.NewReader(text), int64(len(text)), expect)
		return err
	}
	config, weights := modeltest.TinyPEFT(tinyAdapter(1))
	must(t, put(archive(t, peftConfig, string(config), peftWeights, string(weights)), 0))
	_, used := l.adapted("m+u", 1)
	stale := func(err error) bool {
		var no *api.Error
		return errors.As(err, &no) && no.Status == http.StatusPreconditionFailed
	}
	config, weights = modeltest.TinyPEFT(tinyAdapter(2))
	next := archive(t, peftConfig, string(config), peftWeights, string(weights))
	if err := put(next, used[0].Generation+1); !stale(err) {
		t.Errorf("in the place of a generation that is not there: %v", err)
	}
	must(t, put(next, used[0].Generation))
	if err := put(next, used[0].Generation); !stale(err) {
		t.Errorf("a second time in the place of the same generation: %v", err)
	}
	l.until("the next generation", func() bool { _, now := l.adapted("m+u", 1); return now[0].Generation > used[0].Generation })
	for _, action := range []string{api.ActionPin, api.ActionUnload, api.ActionLoad, api.ActionTest, api.ActionUnpin} {
		if _, err := l.client.ActOnAdapter(t.Context(), "u", action); err != nil {
			t.Errorf("%s: %v", action, err)
		}
	}
	must(t, l.client.DeleteAdapter(t.Context(), "u"))
	l.until("the adapter to be gone", func() bool {
		_, err := l.client.Adapter(t.Context(), "u")
		return err != nil
	})
}

// TestRememberedAdaptersNeedNoTest: what was proven is published at the next start, without having been read.
func TestRememberedAdaptersNeedNoTest(t *testing.T) {
	l := startAdapted(t)
	l.lay("g", modeltest.TinyAdapter(tinyAdapter(1)))
	want, _ := l.adapted("m+g", 16)
	must(t, l.stop())
	cfg := l.cfg
	l = startLive(t, cfg)
	st := l.adapter("g", api.StatePublished, "")
	if st.Resident != 0 || len(st.Bases) != 1 || st.Bases[0].Difference == 0 {
		t.Errorf("at the start it is %+v", st)
	}
	if got, _ := l.adapted("m+g", 16); !slices.Equal(got, want) {
		t.Error("it gives other tokens than before")
	}
}
