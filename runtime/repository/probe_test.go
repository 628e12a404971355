package repository

import (
	"context"
	"slices"
	"sync"
	"testing"

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

// stepLog keeps what the steps of an engine were.
type stepLog struct {
	mu    sync.Mutex
	steps []engine.StepInfo
}

func (o *stepLog) ObserveStep(s engine.StepInfo) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.steps = append(o.steps, s)
}

// joined says whether some step decoded streams and computed a probe of so many rows with them.
func (o *stepLog) joined(streams, rows int) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return slices.ContainsFunc(o.steps, func(s engine.StepInfo) bool { return s.DecodeRows == streams && s.Rows == streams+rows })
}

// A probe beside streams is rows of their step where there is a place for it, and else has an engine of its own; its logits are those of a
// model that nobody uses.
func TestProbeJoinsTheStepOfStreams(t *testing.T) {
	prompt := []int32{7, 8, 9, 10}
	for name, c := range map[string]struct {
		streams int
		joins   bool
	}{"a place is free": {3, true}, "all places are taken": {4, false}} {
		t.Run(name, func(t *testing.T) {
			o, opened := new(stepLog), 0
			b := newBench(t, func(opts *Options) {
				opts.Observer = func(string) engine.Observer { return o }
				open := opts.OpenBackend
				opts.OpenBackend = func(model string) kernels.Backend { opened++; return open(model) }
			})
			b.put("a", modeltest.Spec{Seed: 1})
			b.sync()
			l := b.acquire("a")
			defer l.Release()
			want, err := l.Probe(t.Context(), prompt, nil)
			must(t, err)
			for i := range c.streams {
				s, err := l.Engine.Submit(engine.Request{Prompt: []int32{int32(i)}, Sampling: sampler.Default(), IgnoreEOS: true})
				must(t, err)
				defer s.Cancel()
				go func() {
					for {
						if _, err := s.Next(context.Background()); err != nil {
							return
						}
					}
				}()
			}
			eventually(t, "the streams run", func() bool { return o.joined(c.streams, 0) })
			opened = 0
			got, err := l.Probe(t.Context(), prompt, nil)
			must(t, err)
			if !slices.Equal(got, want) {
				t.Error("its logits are others than those of the model alone")
			}
			if joined := o.joined(c.streams, len(prompt)); joined != c.joins || (opened == 0) != c.joins {
				t.Errorf("the probe was part of a step of the streams: %v; %d engines of its own", joined, opened)
			}
		})
	}
}
