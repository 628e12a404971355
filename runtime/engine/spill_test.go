package engine

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/weft-run/weft/kernels"
	"github.com/weft-run/weft/kernels/cpu"
	"github.com/weft-run/weft/runtime/pagestore"
)

func openStore(t *testing.T, dir string) *pagestore.Store {
	t.Helper()
	return pagestore.Open(pagestore.Options{Dir: func() (*os.Root, error) { return os.OpenRoot(dir) }, Quota: 1 << 30, MaxAge: time.Hour})
}

func spillTo(s *pagestore.Store) Spill {
	return Spill{Store: s, Model: "m", Numerics: 1, Digest: func() (string, bool) { return "base", true }}
}

// conversation is a request whose prompt fills some pages.
func conversation() Request {
	return Request{Prompt: prompt(70, 3), MaxTokens: 20, IgnoreEOS: true, Sampling: greedy(), Domain: "one", Caller: "one", Session: "tea"}
}

// A session is gone on with by another engine, with what the first one computed and to the same bits.
func TestSessionOutlastsItsEngine(t *testing.T) {
	d := newDevices(t)
	model := load(t, builtinFile(t))
	for _, typ := range []kernels.CacheType{kernels.CacheF16, kernels.CacheF32} {
		cfg := Config{Model: model, CacheType: typ, PageTokens: 16, Spill: spillTo(openStore(t, t.TempDir()))}
		run := func() (answer, int) {
			e := open(t, d, cfg, cpu.Options{Threads: 1})
			defer e.Close()
			return askReused(t, e, conversation(), func() {}, func(*Stream) {})
		}
		first, reused := run()
		if reused != 0 {
			t.Errorf("%s: the first one found %d tokens", typ, reused)
		}
		second, reused := run()
		if diff := cmp.Diff(first, second); diff != "" || reused != 64 {
			t.Errorf("%s: %d tokens were found, want 64; (-first +second):\n%s", typ, reused, diff)
		}
		if list := cfg.Spill.Store.Sessions(); len(list) != 1 || list[0].Name != "tea" || list[0].Caller != "one" || list[0].Tokens != 80 || list[0].Model != "m" {
			t.Errorf("%s: sessions %+v", typ, list)
		}
	}
}

// Whatever decides keys and values, or who may see them, parts what is kept: what differs is a miss and no error.
func TestSpilledPagesAreOfOneIdentity(t *testing.T) {
	store := openStore(t, t.TempDir())
	run := func(change func(*Config), ask func(*Request)) int {
		f := newFake(t, func(c *Config) {
			c.ContextLen, c.Spill = 256, spillTo(store)
			change(c)
		})
		defer f.Close()
		r := conversation()
		ask(&r)
		want, _ := expect(r.Prompt, r.MaxTokens, 256, true)
		s := f.submit(t, r)
		if got := read(t, s); !slices.Equal(got, want) {
			t.Errorf("tokens %v, want %v", got, want)
		}
		return s.Result().ReusedTokens
	}
	same := func(*Config) {}
	run(same, func(*Request) {})
	for name, c := range map[string]struct {
		change func(*Config)
		ask    func(*Request)
		reused int
	}{
		"nothing":       {same, func(*Request) {}, 64},
		"other session": {same, func(r *Request) { r.Session = "coffee" }, 64},
		"no session":    {same, func(r *Request) { r.Session = "" }, 0},
		"all":           {func(c *Config) { c.Spill.All = true }, func(r *Request) { r.Session = "" }, 64},
		"domain":        {same, func(r *Request) { r.Domain, r.Caller = "two", "two" }, 0},
		"tokens":        {same, func(r *Request) { r.Prompt[20] = 1 }, 16},
		"base":          {func(c *Config) { c.Spill.Digest = func() (string, bool) { return "other", true } }, func(*Request) {}, 0},
		"no digest":     {func(c *Config) { c.Spill.Digest = func() (string, bool) { return "", false } }, func(*Request) {}, 0},
		"numerics":      {func(c *Config) { c.Spill.Numerics = 2 }, func(*Request) {}, 0},
		"page size":     {func(c *Config) { c.PageTokens = 32 }, func(*Request) {}, 0},
		"cache type":    {func(c *Config) { c.CacheType = kernels.CacheF32 }, func(*Request) {}, 0},
		"no sharing":    {func(c *Config) { c.NoSharing = true }, func(*Request) {}, 0},
	} {
		if reused := run(c.change, c.ask); reused != c.reused {
			t.Errorf("%s: %d tokens were found, want %d", name, reused, c.reused)
		}
	}
}

// H38: whatever happens to a file, answers stay as they are.
func TestDamagedPagesChangeNoAnswer(t *testing.T) {
	for at := 0; at < 8192+3*256; at += 149 { // a header, and pages of the fake model
		dir := t.TempDir()
		run := func() {
			f := newFake(t, func(c *Config) { c.ContextLen, c.Spill = 256, spillTo(openStore(t, dir)) })
			defer f.Close()
			r := conversation()
			want, _ := expect(r.Prompt, r.MaxTokens, 256, true)
			if got := read(t, f.submit(t, r)); !slices.Equal(got, want) {
				t.Errorf("byte %d: tokens %v, want %v", at, got, want)
			}
		}
		run()
		damage(t, dir, at)
		run()
	}
}

// damage flips a bit in every file of a store.
func damage(t *testing.T, dir string, at int) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) == 0 {
		t.Fatalf("%d files, %v", len(entries), err)
	}
	for _, e := range entries {
		path := filepath.Join(dir, e.Name())
		b, err := os.ReadFile(path)
		if err != nil || !strings.HasSuffix(path, ".kv") {
			t.Fatal(path, err)
		}
		b[at%len(b)] ^= 1 << (at % 8)
		if err := os.WriteFile(path, b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// A request that is cancelled, and those behind it, while its pages are read leave nothing behind and harm nobody.
func TestCancelWhilePagesAreRead(t *testing.T) {
	store := openStore(t, t.TempDir())
	for range 20 {
		f := newFake(t, func(c *Config) { c.ContextLen, c.Spill = 256, spillTo(store) })
		first := f.submit(t, conversation())
		behind := conversation()
		behind.Behind = first
		second := f.submit(t, behind)
		first.Cancel()
		want, _ := expect(behind.Prompt, behind.MaxTokens, 256, true)
		if got := read(t, second); !slices.Equal(got, want) {
			t.Errorf("tokens %v, want %v", got, want)
		}
		f.Close()
	}
}
