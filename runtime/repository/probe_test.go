package repository

import (
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/weft-run/weft/kernels"
	"github.com/weft-run/weft/runtime/engine"
	"github.com/weft-run/weft/runtime/modeltest"
	"github.com/weft-run/weft/runtime/sampler"
)

// A probe gives the logits of the model, the same each time.
func TestProbe(t *testing.T) {
	b := newBench(t, nil)
	b.put("a", modeltest.Spec{Seed: 1})
	b.sync()
	l := b.acquire("a")
	defer l.Release()
	prompt := make([]int32, MaxProbe)
	for i := range prompt {
		prompt[i] = int32(i + 3)
	}
	first, err := l.Probe(t.Context(), prompt, nil)
	must(t, err)
	again, err := l.Probe(t.Context(), prompt, nil)
	must(t, err)
	other, err := l.Probe(t.Context(), prompt[1:], nil)
	must(t, err)
	if len(first) != l.Config.Vocab || !slices.Equal(first, again) || slices.Equal(first, other) {
		t.Errorf("%d logits; the same again: %v; those of another prompt: %v", len(first), slices.Equal(first, again), slices.Equal(first, other))
	}
}

// gate holds an engine behind each of its steps, once it is shut: the test takes the step from steps and lets the engine go on by next.
type gate struct {
	shut  atomic.Bool
	steps chan engine.StepInfo
	next  chan struct{}
	over  <-chan struct{} // the test is: nobody holds the engine any more
}

func (g *gate) ObserveStep(s engine.StepInfo) {
	if !g.shut.Load() {
		return
	}
	select {
	case g.steps <- s:
	case <-g.over:
		return
	}
	select {
	case <-g.next:
	case <-g.over:
	}
}

// step takes the next step; the engine is held behind it.
func (g *gate) step(t *testing.T) engine.StepInfo {
	t.Helper()
	select {
	case s := <-g.steps:
		return s
	case <-time.After(time.Minute):
		t.Fatal("there is no further step")
		return engine.StepInfo{}
	}
}

// A probe beside streams is rows of their step where there is a place for it, and else has an engine of its own; its logits are those of a
// model that nobody uses. The engine is held while the probe comes: streams that ran meanwhile could reach the end of their context, and
// a log of the steps lacks the probe's own for a moment behind its answer.
func TestProbeJoinsTheStepOfStreams(t *testing.T) {
	prompt := []int32{7, 8, 9, 10}
	for name, c := range map[string]struct {
		streams int
		joins   bool
	}{"a place is free": {3, true}, "all places are taken": {4, false}} {
		t.Run(name, func(t *testing.T) {
			g := &gate{steps: make(chan engine.StepInfo), next: make(chan struct{}), over: t.Context().Done()}
			opened := 0
			b := newBench(t, func(opts *Options) {
				opts.Observer = func(string) engine.Observer { return g }
				open := opts.OpenBackend
				opts.OpenBackend = func(model string) kernels.Backend { opened++; return open(model) }
			})
			b.patience = time.Hour
			b.put("a", modeltest.Spec{Seed: 1})
			b.sync()
			l := b.acquire("a")
			defer l.Release()
			want, err := l.Probe(t.Context(), prompt, nil)
			must(t, err)
			// Behind all steps so far: the gate is to see those of the streams alone.
			_, err = l.Engine.Cache(t.Context())
			must(t, err)
			g.shut.Store(true)
			for i := range c.streams {
				s, err := l.Engine.Submit(engine.Request{Prompt: []int32{int32(i)}, Sampling: sampler.Default(), IgnoreEOS: true})
				must(t, err)
				defer s.Cancel()
			}
			for g.step(t).DecodeRows < c.streams {
				g.next <- struct{}{}
			}
			opened = 0
			var got []float32
			answered := make(chan error, 1)
			go func() {
				var err error
				got, err = l.Probe(t.Context(), prompt, nil)
				answered <- err
			}()
			if c.joins {
				eventually(t, "the probe waits for a step", func() bool { return l.Engine.Stats().Queue == 1 })
				g.next <- struct{}{}
				// Rows that guess the streams' next tokens may be in it too.
				if s := g.step(t); s.DecodeRows != c.streams || s.Rows-s.Drafted != c.streams+len(prompt) {
					t.Errorf("the step behind the probe is %+v, want %d streams and the probe's %d rows", s, c.streams, len(prompt))
				}
				g.shut.Store(false)
				g.next <- struct{}{}
			}
			// Where there is no place the streams' engine is still held: the probe waits for nothing of theirs.
			select {
			case err = <-answered:
				must(t, err)
			case <-time.After(time.Minute):
				t.Fatal("the probe has no answer")
			}
			if !slices.Equal(got, want) {
				t.Error("its logits are others than those of the model alone")
			}
			if (opened == 0) != c.joins {
				t.Errorf("the probe had %d engines of its own", opened)
			}
		})
	}
}
