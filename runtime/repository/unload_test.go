package repository

import (
	"errors"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/weft-run/weft/runtime/modeltest"
)

// TestUnloadedModelComesBack: unloading gives the memory back and keeps the name; the next request that names it, by an alias too, has it loaded,
// once for all who wait, and gets the same answer; what Sync says meanwhile changes nothing.
func TestUnloadedModelComesBack(t *testing.T) {
	var mu sync.Mutex
	causes := map[Cause]int{}
	b := newBench(t, func(o *Options) {
		o.Unloaded = func(_ string, c Cause) {
			mu.Lock()
			defer mu.Unlock()
			causes[c]++
		}
	})
	b.put("a", modeltest.Spec{})
	b.put("b", modeltest.Spec{Seed: 2})
	alias := func(s *Source) {
		if s.Name == "a" {
			s.Settings.Aliases = []string{"other"}
		}
	}
	b.sync(alias)
	before, first := b.answer("a", 1, 8), b.want("a", StateServing)
	if list := b.Bases(); len(list) != 2 || list[0].Generation == 0 {
		t.Errorf("bases: %+v", list)
	}
	must(t, b.Unload("a"))
	eventually(t, "the memory is given back", func() bool { held, _ := b.Memory(); return held == b.status("b").Memory })
	b.sync(alias)
	s := b.want("a", StateUnloaded, "unloaded", "request")
	if s.Memory != 0 || s.Architecture != first.Architecture || s.ContextLen != first.ContextLen || s.HeaderDigest != first.HeaderDigest || !b.Has("other") {
		t.Errorf("what is known of an unloaded model is %+v", s)
	}
	bases := b.Bases()
	at := slices.IndexFunc(bases, func(x Base) bool { return x.Name == "a" })
	if at < 0 || bases[at].Generation != 0 || len(bases[at].Targets) == 0 || bases[at].Digest != first.HeaderDigest {
		t.Errorf("bases: %+v", bases)
	}
	if !first.Wanted.Equal(first.Arrived) {
		t.Errorf("it arrived at %v and was wanted at %v", first.Arrived, first.Wanted)
	}
	must(t, b.Unload("a")) // again: nothing to do
	_, err := b.Acquire("other")
	if r := (*RefusedError)(nil); !errors.As(err, &r) || !r.Loading || !r.Waiting {
		t.Errorf("the first request is told %v", err)
	}
	var wait sync.WaitGroup
	for range 4 {
		wait.Go(func() {
			if err := b.Load(t.Context(), "other"); err != nil {
				t.Error(err)
			}
		})
	}
	wait.Wait()
	if s := b.want("a", StateServing); s.Generation != 3 {
		t.Errorf("it is generation %d, want one more for all who waited", s.Generation)
	}
	if after := b.answer("a", 1, 8); !slices.Equal(before, after) {
		t.Errorf("the answers are %v and %v", before, after)
	}
	if causes[CauseAsked] != 1 || len(causes) != 1 {
		t.Errorf("causes: %v", causes)
	}
	if err := b.Unload("c"); !errors.As(err, new(*NotFoundError)) {
		t.Error(err)
	}
}

// TestUnloadWaitsForLeases: requests that run keep what is unloaded, and one that comes then has it in service again at once.
func TestUnloadWaitsForLeases(t *testing.T) {
	b := newBench(t, nil)
	b.put("a", modeltest.Spec{})
	b.sync()
	l := b.acquire("a")
	s := submit(t, l, 1, 20)
	must(t, b.Unload("a"))
	b.want("a", StateUnloaded, "unloaded")
	if all := b.List(); len(all) != 2 || all[1].State != StateRetiring || all[1].Leases != 1 {
		t.Errorf("listed are %+v", all)
	}
	again := b.acquire("a")
	if again.Generation != l.Generation {
		t.Errorf("generation %d beside %d", again.Generation, l.Generation)
	}
	again.Release()
	must(t, b.Unload("a"))
	if tokens, err := drain(t, s); err != nil || len(tokens) != 20 {
		t.Errorf("%d tokens, %v", len(tokens), err)
	}
	l.Release()
	eventually(t, "the memory is given back", func() bool { held, _ := b.Memory(); return held == 0 })
	b.want("a", StateUnloaded, "unloaded")
}

// TestOtherContentEndsARest: a new file is checked and served, and a removed one goes.
func TestOtherContentEndsARest(t *testing.T) {
	b := newBench(t, nil)
	b.put("a", modeltest.Spec{})
	b.sync()
	must(t, b.Unload("a"))
	b.put("a", modeltest.Spec{Seed: 3})
	b.sync()
	b.want("a", StateServing)
	must(t, b.Unload("a"))
	must(t, os.Remove(b.path("a")))
	b.sync()
	if b.Has("a") {
		t.Error("a removed model is there")
	}
	// A file that is refused does not take the place of one that serves, which so cannot be unloaded.
	b.put("a", modeltest.Spec{})
	b.sync()
	b.putBytes("a", []byte("GGUF, but no more"))
	b.sync()
	if err := b.Unload("a"); err == nil || !strings.Contains(err.Error(), "could not come back") {
		t.Errorf("unloading what cannot come back: %v", err)
	}
	if name, n := b.GiveBack(t.Context(), "test"); n != 0 {
		t.Errorf("%s was unloaded unasked", name)
	}
	b.answer("a", 1, 3)
}

// TestReload: the same content is another generation; where loading fails what serves stays, and the reason is told and remembered.
func TestReload(t *testing.T) {
	b := newBench(t, nil)
	b.put("a", modeltest.Spec{})
	b.sync()
	before := b.answer("a", 1, 5)
	must(t, b.Reload(t.Context(), "a"))
	if s := b.want("a", StateServing); s.Generation != 2 || s.LastRefusal != "" || !s.Wanted.After(s.Arrived) || s.Served.Before(s.Wanted) {
		t.Errorf("%+v", s)
	}
	must(t, b.Unload("a"))
	must(t, b.Reload(t.Context(), "a"))
	if s := b.want("a", StateServing); s.Generation != 3 {
		t.Errorf("generation %d", s.Generation)
	}
	if after := b.answer("a", 1, 5); !slices.Equal(before, after) {
		t.Errorf("%v, then %v", before, after)
	}
	b.putBytes("a", []byte("GGUF, but no more"))
	b.sync()
	var refused *RefusedError
	if err := b.Reload(t.Context(), "a"); !errors.As(err, &refused) || b.status("a").Generation != 3 || b.status("a").LastRefusal == "" {
		t.Errorf("%v, %+v", err, b.status("a"))
	}
	if err := b.Reload(t.Context(), "b"); !errors.As(err, new(*NotFoundError)) {
		t.Error(err)
	}
}

// TestIdleModelsAreUnloaded: after the time that their settings say, and neither the pinned nor those in use.
func TestIdleModelsAreUnloaded(t *testing.T) {
	clock := newClock()
	b := newBench(t, func(o *Options) { o.Defaults.IdleUnload = 10 * time.Minute })
	b.now = clock.Now
	for _, name := range []string{"default", "never", "longer", "pinned", "held"} {
		b.put(name, modeltest.Spec{})
	}
	b.sync(func(s *Source) {
		switch s.Name {
		case "never":
			s.Settings.IdleUnload = -1
		case "longer":
			s.Settings.IdleUnload = time.Hour
		case "pinned":
			s.Settings.Pinned = true
		}
	})
	l := b.acquire("held")
	serving := func(want ...string) {
		t.Helper()
		var got []string
		for _, m := range b.Serving() {
			got = append(got, m.Name)
		}
		if !slices.Equal(got, want) {
			t.Errorf("in service are %v, want %v", got, want)
		}
	}
	clock.Add(9 * time.Minute)
	if next := b.unloadIdle(); next != time.Minute {
		t.Errorf("the next look is in %v", next)
	}
	serving("default", "held", "longer", "never", "pinned")
	clock.Add(time.Minute)
	b.unloadIdle()
	serving("held", "longer", "never", "pinned")
	b.want("default", StateUnloaded, "nobody wanted it for 10m0s")
	l.Release()
	clock.Add(10 * time.Minute)
	if next := b.unloadIdle(); next != 40*time.Minute {
		t.Errorf("the next look is in %v", next)
	}
	serving("longer", "never", "pinned")
	clock.Add(time.Hour)
	if next := b.unloadIdle(); next != 0 {
		t.Errorf("the next look is in %v", next)
	}
	serving("never", "pinned")
	if !b.status("pinned").Pinned || b.status("never").Pinned {
		t.Error("what is pinned does not show")
	}
}

// TestTheIdleTimerGoesByItself: nobody has to ask.
func TestTheIdleTimerGoesByItself(t *testing.T) {
	b := newBench(t, func(o *Options) { o.Defaults.IdleUnload = time.Millisecond })
	b.put("a", modeltest.Spec{})
	b.sync()
	for range 2 {
		eventually(t, "it is unloaded", func() bool { return b.status("a").State == StateUnloaded })
		if err := b.Load(t.Context(), "a"); err != nil && !errors.As(err, new(*RefusedError)) { // it may be idle again by now
			t.Fatal(err)
		}
	}
}

// clock is a clock that tests set.
type clock struct {
	mu sync.Mutex
	at time.Time
}

// newClock begins far ahead, so that what a file system says lies before it.
func newClock() *clock { return &clock{at: time.Now().Add(24 * time.Hour)} }

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.at
}

func (c *clock) Add(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at = c.at.Add(d)
}
