package repository

import (
	"errors"
	"strings"
	"testing"

	"github.com/weft-run/weft/runtime/engine"
	"github.com/weft-run/weft/runtime/modeltest"
	"github.com/weft-run/weft/runtime/sampler"
)

const damagedRow = 77

// ask submits a prompt and returns what the first token's wait ended with.
func (b *bench) ask(l *Lease, prompt ...int32) error {
	b.t.Helper()
	s, err := l.Engine.Submit(engine.Request{Prompt: prompt, MaxTokens: 1000, Sampling: sampler.Default(), IgnoreEOS: true})
	if err != nil {
		return err
	}
	defer s.Cancel()
	for {
		if _, err := s.Next(b.t.Context()); err != nil {
			return err
		}
	}
}

// TestH18DamageThatTheFirstTokenDoesNotMeet: a model whose damage shows in some prompts only is loaded, is found out in the
// background, leaves service with the name of the block, stays out, and comes back with a good file.
func TestH18DamageThatTheFirstTokenDoesNotMeet(t *testing.T) {
	state := t.TempDir()
	b := newBench(t, func(o *Options) { o.StateDir = openState(t, state) })
	b.putBytes("a", modeltest.HiddenDamage(modeltest.Spec{}, damagedRow))
	b.sync()
	reason := []string{`tensor "token_embd.weight"`, "(row 77, weight 2)", "infinite or not a number", "by rename"}
	eventually(t, "the damage is found", func() bool { return b.status("a").State == StateRefused })
	b.want("a", StateRefused, reason...)
	b.refused("a", reason...)
	b.sync()
	b.want("a", StateRefused, reason...)
	// Nothing is remembered as sound: after a restart it is found again.
	again := newBench(t, func(o *Options) { o.StateDir = openState(t, state) })
	again.Sync(t.Context(), []Source{{Name: "a", Paths: []string{b.path("a")}}})
	eventually(t, "the damage is found again", func() bool { return again.status("a").State == StateRefused })
	again.Close()
	b.put("a", modeltest.Spec{})
	b.sync()
	b.want("a", StateServing)
	b.answer("a", 1, 5)
}

// TestH18RequestsMeetDamageFirst: before the background finds it, a request that meets the damage fails with its layer, others are
// answered, and the model is looked at next.
func TestH18RequestsMeetDamageFirst(t *testing.T) {
	b := newBench(t, nil)
	b.putBytes("a", modeltest.HiddenDamage(modeltest.Spec{}, damagedRow))
	// Loaded and not put into service: so nobody inspects it yet.
	m, err := b.load(t.Context(), &entry{}, &look{source: &Source{Name: "a", Paths: []string{b.path("a")}}, key: "key"}, nil)
	must(t, err)
	defer func() {
		b.inspector.forget(m)
		b.discard(t.Context(), m)
	}()
	l := &Lease{Model: m, r: b.Repository}
	s, err := m.Engine.Submit(engine.Request{Prompt: []int32{5}, MaxTokens: 5, Sampling: sampler.Default(), IgnoreEOS: true})
	must(t, err)
	for range 5 {
		_, err := s.Next(t.Context())
		must(t, err)
	}
	err = b.ask(l, 5, damagedRow, 6)
	var failed *engine.NonFiniteError
	if !errors.As(err, &failed) || failed.Position != 2 {
		t.Fatalf("the request ended with %v, want a *NonFiniteError at position 2", err)
	}
	b.inspector.add(m)
	eventually(t, "the damage is found", func() bool { return m.damage.Load() != nil })
	err = b.ask(l, 5)
	if lost := (*engine.LostError)(nil); !errors.As(err, &lost) || !strings.Contains(err.Error(), "token_embd.weight") || strings.Contains(err.Error(), "written to") {
		t.Errorf("a request on a model that is damaged ended with %v", err)
	}
}

// TestH18RestsWhileRequestsAreAtWork: what is read in the background takes less of the machine while streams are there, and a suspect waits for none.
func TestH18RestsWhileRequestsAreAtWork(t *testing.T) {
	busy, m := true, &Model{}
	i := newInspector(nil, nil, nil, func() bool { return busy })
	if got := i.rests(m); got != busyRests {
		t.Errorf("%d rests behind a piece while a request is at work, want %d", got, busyRests)
	}
	m.suspected.Store(true)
	if got := i.rests(m); got != quietRests {
		t.Errorf("%d rests behind a piece of a suspect, want %d", got, quietRests)
	}
	m.suspected.Store(false)
	busy = false
	if got := i.rests(m); got != quietRests {
		t.Errorf("%d rests behind a piece while nothing is at work, want %d", got, quietRests)
	}
}

// TestH18SuspectGoesFirst: a suspect waits for no other model, and one that is sound is not read again.
func TestH18SuspectGoesFirst(t *testing.T) {
	i := newInspector(nil, nil, nil, nil)
	a, b, c := &Model{inspected: true}, &Model{inspected: true}, &Model{inspected: true}
	i.queue = []*Model{a, b, c}
	i.suspect(c)
	i.suspect(c)
	if len(i.queue) != 3 || i.queue[0] != c || i.queue[1] != a {
		t.Error("the suspect is not first, once")
	}
	b.sound.Store(true)
	i.suspect(b)
	i.suspect(&Model{})
	if len(i.queue) != 3 || i.queue[0] != c {
		t.Error("a sound model, or one not in service, is read")
	}
}
