package repository

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/weft-run/weft/runtime/modeltest"
)

// TestRoomIsMade: a model that is wanted has idle ones unloaded, the longest unused first, and no more of them than it takes.
func TestRoomIsMade(t *testing.T) {
	spec := modeltest.Spec{Context: 1024}
	one := newBench(t, nil)
	one.put("a", spec)
	one.sync(func(s *Source) { s.Settings.Parallel = 1 })
	whole := one.want("a", StateServing).Memory

	clock := newClock()
	b := newBench(t, func(o *Options) { o.Budget, o.Defaults.Parallel = 3*whole, 1 })
	b.now = clock.Now
	for _, name := range []string{"a", "b", "c"} {
		b.put(name, spec)
		b.sync()
		clock.Add(time.Second)
	}
	// What there is no room for is not refused, and takes nothing from the others by itself.
	b.start = time.Now().Add(time.Hour) // as if all had lain there at the start
	for _, name := range []string{"a", "c", "b"} {
		b.acquire(name).Release()
		clock.Add(time.Second)
	}
	var sources []Source
	for _, name := range []string{"a", "b", "c"} {
		sources = append(sources, Source{Name: name, Paths: []string{b.path(name)}})
	}
	b.put("d", spec)
	sources = append(sources, Source{Name: "d", Paths: []string{b.path("d")}})
	b.Sync(t.Context(), sources)
	b.want("d", StateUnloaded, "needs")
	must(t, b.Load(t.Context(), "d"))
	b.want("a", StateUnloaded, "others wanted its memory")
	for _, name := range []string{"b", "c", "d"} {
		b.want(name, StateServing)
	}
	// One that is held is passed over, and one that is pinned.
	l := b.acquire("c")
	must(t, b.Pin("b", true))
	clock.Add(time.Second)
	must(t, b.Load(t.Context(), "a"))
	b.want("d", StateUnloaded, "others wanted its memory")
	must(t, b.Pin("a", true))
	clock.Add(time.Second)
	err := b.Load(t.Context(), "d")
	if r := (*RefusedError)(nil); !errors.As(err, &r) || r.Waiting || !strings.Contains(r.Reason, "needs") {
		t.Errorf("beside models in use and pinned: %v", err)
	}
	for _, name := range []string{"a", "b", "c"} {
		b.want(name, StateServing)
	}
	l.Release()
	must(t, b.Load(t.Context(), "d"))
	b.want("c", StateUnloaded, "others wanted its memory")
	// Under pressure the longest unused goes first, the pinned never.
	must(t, b.Pin("a", false))
	if name, n := b.GiveBack(t.Context(), "test"); name != "a" || n != whole {
		t.Errorf("%d bytes of %q came back, want %d of a", n, name, whole)
	}
	b.want("a", StateUnloaded, "the machine wanted its memory (test)")
	if name, _ := b.GiveBack(t.Context(), "test"); name != "d" {
		t.Errorf("%q was unloaded, want d", name)
	}
	if name, n := b.GiveBack(t.Context(), "test"); n != 0 {
		t.Errorf("%q was unloaded, which is pinned", name)
	}
}

// TestPagesAreGivenBack: those that nobody holds, and what is computed again without them is the same to the bit.
func TestPagesAreGivenBack(t *testing.T) {
	b := newBench(t, nil)
	b.put("a", modeltest.Spec{Context: 512})
	b.put("b", modeltest.Spec{Context: 512})
	b.sync()
	ask := func(session string) ([]int32, int) {
		l := b.acquire("a")
		defer l.Release()
		r := request(7, 8)
		r.Prompt, r.Session = make([]int32, 200), session
		for i := range r.Prompt {
			r.Prompt[i] = int32(10 + i*i%80)
		}
		s, err := l.Engine.Submit(r)
		must(t, err)
		tokens, err := drain(t, s)
		must(t, err)
		return tokens, s.Result().ReusedTokens
	}
	cold, _ := ask("")
	for _, session := range []string{"", "talk"} {
		if again, reused := ask(session); reused == 0 || !slices.Equal(cold, again) {
			t.Errorf("%d tokens were found; %v, before %v", reused, again, cold)
		}
		if n := b.GiveBackPages(t.Context(), false); session == "" && n == 0 {
			t.Error("nothing was given back")
		}
		if session != "" && b.status("a").Engine.PagesKept == 0 {
			t.Error("what the session keeps is gone")
		}
		if n := b.GiveBackPages(t.Context(), true); session != "" && n == 0 {
			t.Error("nothing of the session was given back")
		}
		if kept := b.status("a").Engine.PagesKept; kept != 0 {
			t.Errorf("%d pages are kept", kept)
		}
		if again, reused := ask(session); reused != 0 || !slices.Equal(cold, again) {
			t.Errorf("%d tokens were found; %v, before %v", reused, again, cold)
		}
	}
}
