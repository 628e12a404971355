package repository

import (
	"errors"
	"os"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/weft-run/weft/kernels"
	"github.com/weft-run/weft/runtime/gguf"
	"github.com/weft-run/weft/runtime/models"
	"github.com/weft-run/weft/runtime/modeltest"
)

// A page of the planned model is 16 tokens of 1 KiB: 4 layers x 2 x 2 bytes x 64 elements.
func planned(have int64, context, parallel int) demand {
	return demand{
		config:  models.Config{Layers: 4, KVHeads: 2, HeadDim: 32, ContextLen: 8192},
		weights: 100 << 20, workspace: 28 << 20, context: context, parallel: parallel, pageTokens: 16,
		cacheType: kernels.CacheF16, have: have, budget: 1 << 30,
	}
}

// windowed has rows see the last 1024 positions in steps of 256: a sequence holds 85 pages at most.
func windowed(q demand) demand {
	q.config.Window, q.stepTokens = 1024, 256
	return q
}

func unbound(q demand) demand {
	q.budget = 0
	return q
}

// The plan counts what the type takes, and refuses a size that no int64 holds.
func TestPlanOfCacheTypes(t *testing.T) {
	const fixed = 128 << 20
	for typ, pages := range map[kernels.CacheType]int{kernels.CacheF16: 640, kernels.CacheF32: 320, kernels.CacheQ8_0: 1204, kernels.CacheQ4_0: 2275} {
		q := planned(fixed+20<<20, 0, 8)
		q.cacheType = typ
		g, err := plan(q)
		if want := fixed + q.config.CacheLayout(pages, 16, typ).Bytes(); err != nil || g.pages != pages || g.memory != want {
			t.Errorf("%s: %d pages in %d, want %d in %d; %v", typ, g.pages, g.memory, pages, want, err)
		}
	}
	for _, q := range []demand{planned(1<<40, 0, 1<<10), unbound(planned(0, 0, 1<<10))} {
		q.config = models.Config{Layers: 1 << 12, KVHeads: 1 << 10, HeadDim: 1 << 10, ContextLen: 1 << 26}
		if q.budget > 0 {
			q.context = 1 << 26
		}
		if g, err := plan(q); err == nil {
			t.Errorf("granted %+v", g)
		}
	}
}

func TestPlan(t *testing.T) {
	const fixed, page = 128 << 20, 16 << 10
	for name, c := range map[string]struct {
		q       demand
		context int // 0: refused
		pages   int
	}{
		"without a budget":             {unbound(planned(0, 0, 4)), 8192, 4 * 512},
		"without a budget, capped":     {unbound(planned(0, 100, 4)), 100, 4 * 7},
		"held beyond the budget":       {planned(-1, 0, 4), 0, 0},
		"room for all":                 {planned(fixed+100<<20, 0, 4), 8192, 4 * 512},
		"room for some":                {planned(fixed+20<<20, 0, 4), 8192, 640},
		"just the context in its half": {planned(fixed+16<<20, 0, 4), 8192, 512},
		"less than that":               {planned(fixed+12<<20, 0, 4), 6144, 384},
		"a short context takes all":    {planned(fixed+4<<20, 0, 4), 4096, 256},
		"shorter still":                {planned(fixed+1<<20, 0, 4), 1024, 64},
		"the shortest":                 {planned(fixed+512<<10, 0, 4), 512, 32},
		"too short":                    {planned(fixed+512<<10-1, 0, 4), 0, 0},
		"no room for weights":          {planned(100, 0, 4), 0, 0},
		"nothing left":                 {planned(0, 0, 4), 0, 0},
		"set and there":                {planned(fixed+8<<20, 8192, 4), 8192, 512},
		"set and not there":            {planned(fixed+8<<20-1, 8192, 4), 0, 0},
		"set beyond the model's own":   {planned(fixed+8<<20, 1<<20, 1), 8192, 512},
		"set small":                    {planned(fixed+100<<20, 64, 4), 64, 16},
		"set tiny and tight":           {planned(fixed+page, 16, 4), 16, 1},

		"a window without a budget":     {windowed(unbound(planned(0, 0, 4))), 8192, 4 * 85},
		"a window, room for all":        {windowed(planned(fixed+100<<20, 0, 4)), 8192, 4 * 85},
		"a window, room for some":       {windowed(planned(fixed+3<<20, 0, 4)), 8192, 96},
		"a window and no more":          {windowed(planned(fixed+85*page, 0, 4)), 8192, 85},
		"a page less than a window":     {windowed(planned(fixed+85*page-1, 0, 4)), 84 * 16, 84},
		"a window, set and there":       {windowed(planned(fixed+85*page, 8192, 4)), 8192, 85},
		"a window, set and not there":   {windowed(planned(fixed+85*page-1, 8192, 4)), 0, 0},
		"a window, set shorter than it": {windowed(planned(fixed+100<<20, 100, 4)), 100, 4 * 7},
	} {
		t.Run(name, func(t *testing.T) {
			g, err := plan(c.q)
			var refused *MemoryError
			switch {
			case c.context == 0 && !errors.As(err, &refused):
				t.Errorf("error is %v, want a *MemoryError", err)
			case c.context == 0:
				if refused.Need() <= refused.Have || !errors.Is(err, ErrMemory) {
					t.Errorf("it needs %d and has %d: %v", refused.Need(), refused.Have, err)
				}
			case err != nil:
				t.Error(err)
			case g.context != c.context || g.pages != c.pages:
				t.Errorf("context %d, %d pages; want %d, %d", g.context, g.pages, c.context, c.pages)
			case g.memory != fixed+int64(g.pages)*page:
				t.Errorf("memory is %d", g.memory)
			}
		})
	}
}

// What is granted is never more than there is, holds one context, and grows with what there is.
func TestPlanLaws(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		q := planned(rapid.Int64Range(0, 1<<29).Draw(t, "have"), rapid.IntRange(0, 10000).Draw(t, "context"), rapid.IntRange(0, 16).Draw(t, "parallel"))
		q.config.ContextLen = rapid.IntRange(1, 20000).Draw(t, "own")
		q.config.Window, q.stepTokens = rapid.IntRange(0, 5000).Draw(t, "window"), rapid.IntRange(1, 512).Draw(t, "step")
		g, err := plan(q)
		if err != nil {
			return
		}
		if g.memory > q.have || g.context > q.config.ContextLen || g.context < 1 || g.pages < q.config.CachePages(g.context, q.stepTokens, q.pageTokens) {
			t.Fatalf("granted %+v for %+v", g, q)
		}
		q.have += rapid.Int64Range(0, 1<<28).Draw(t, "more")
		more, err := plan(q)
		if err != nil || more.context < g.context || more.pages < g.pages {
			t.Fatalf("granted %+v, and with more memory %+v, %v", g, more, err)
		}
	})
}

// A window bounds what the cache takes, and not the context: where a whole context has no room, a model with a window has all of it, and
// answers beyond its pages.
func TestAWindowBoundsTheCache(t *testing.T) {
	spec := modeltest.Spec{Context: 4096}
	settings := Settings{Parallel: 1, ContextLen: spec.Context}
	whole := newBench(t, func(o *Options) { o.Defaults = settings })
	whole.put("all", spec)
	whole.sync()
	memory := whole.want("all", StateServing).Memory

	b := newBench(t, func(o *Options) { o.Defaults, o.Budget = settings, memory-1 })
	b.put("all", spec)
	spec.Set = []gguf.KV{{Key: "llama.attention.sliding_window", Value: uint32(64)}}
	b.put("window", spec)
	b.sync()
	b.want("all", StateRefused, "needs", "cache of 4096 tokens")
	const pages = 13 + 1 // the window, a step of 64 and a tile of 64, wherever they begin; one stands for the longer header
	if s := b.want("window", StateServing); s.ContextLen != spec.Context || memory-s.Memory < (4096/16-pages)*4096 {
		t.Errorf("a context of %d tokens in %d bytes, without a window %d", s.ContextLen, s.Memory, memory)
	}
	b.answer("window", 1, 1000)
}

func TestMemoryErrorSaysNeedAndHave(t *testing.T) {
	err := &MemoryError{Weights: 3 << 30, Cache: 512 << 20, Workspace: 1 << 20, Context: 4096, Have: 1000, Budget: 4 << 40}
	const want = "repository: needs 3.5 GiB (weights 3.0 GiB, cache of 4096 tokens 512.0 MiB, workspace 1.0 MiB), have 1000 B of the budget of 4.0 TiB"
	if err.Error() != want {
		t.Errorf("got  %s\nwant %s", err, want)
	}
}

func TestABudgetRefusesBeforeLoading(t *testing.T) {
	spec := modeltest.Spec{Context: 4096}
	unbound := newBench(t, nil)
	unbound.put("a", spec)
	unbound.sync(func(s *Source) { s.Settings.Parallel = 1 })
	whole := unbound.want("a", StateServing).Memory
	unbound.sync(func(s *Source) { s.Settings = Settings{Parallel: 1, ContextLen: 2048} })
	half := unbound.want("a", StateServing).Memory

	b := newBench(t, func(o *Options) { o.Budget, o.Defaults.Parallel = whole+half, 1 })
	b.put("a", spec)
	b.put("b", spec)
	b.put("c", spec)
	b.sync()
	b.want("a", StateServing)
	if n := b.want("b", StateServing).ContextLen; n != 2048 {
		t.Errorf("the second model's context is %d, want 2048", n)
	}
	b.want("c", StateUnloaded, "needs", "weights", "have", "of the budget of")
	must(t, b.Pin("a", true))
	must(t, b.Pin("b", true))
	if err := b.Load(t.Context(), "c"); err == nil || !strings.Contains(err.Error(), "needs") {
		t.Errorf("beside pinned models: %v", err)
	}
	b.want("c", StateUnloaded, "needs", "have")
	if held, budget := b.Memory(); held != budget || budget != whole+half {
		t.Errorf("%d bytes are held of %d", held, budget)
	}
	// A swap needs no room for both.
	b.put("a", modeltest.Spec{Context: 4096, Seed: 2})
	b.sync()
	if s := b.want("a", StateServing); s.ContextLen != 4096 || s.Generation != 3 {
		t.Errorf("after the swap: %+v", s)
	}
	// A context that was asked for is not shortened.
	b.sync(func(s *Source) {
		if s.Name == "b" {
			s.Settings.ContextLen = 4096
		}
	})
	// What the swap gives back has what was refused for want of memory checked once more.
	eventually(t, "the refused context is told of", func() bool {
		s := b.status("b")
		return s.State == StateServing && strings.Contains(s.Reason, "needs") && strings.Contains(s.Reason, "cache of 4096 tokens")
	})
	// Memory that becomes free goes to who was refused for want of it.
	must(t, os.Remove(b.path("a")))
	b.sync()
	eventually(t, "the refused model is in service", func() bool { return b.status("c").State == StateServing })
}
