package engine

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/weft-run/weft/kernels"
)

// TestLostModel: after a fault or an error of the guard no token of the step is released, every request ends with a
// *LostError, and OnFail is called once.
func TestLostModel(t *testing.T) {
	rewritten := errors.New("file model.gguf was written to")
	const lostAt = 4
	for name, c := range map[string]struct {
		cause error
		lose  func(f *fake, cfg *Config)
	}{
		"fault": {kernels.ErrFault, func(f *fake, _ *Config) {
			f.backend.fault = func(sync int) error {
				if sync == lostAt {
					return fmt.Errorf("tensor x: %w", kernels.ErrFault)
				}
				return nil
			}
		}},
		"guard": {rewritten, func(_ *fake, cfg *Config) {
			n := 0
			cfg.Guard = func() error {
				if n++; n == lostAt {
					return rewritten
				}
				return nil
			}
		}},
		"fault before guard": {kernels.ErrFault, func(f *fake, cfg *Config) {
			f.backend.fault = func(sync int) error {
				if sync == lostAt {
					return kernels.ErrFault
				}
				return nil
			}
			n := 0
			cfg.Guard = func() error {
				if n++; n == lostAt {
					return rewritten
				}
				return nil
			}
		}},
	} {
		t.Run(name, func(t *testing.T) {
			var failed atomic.Int32
			told := make(chan error, 9)
			var f fake
			gate := make(chan struct{})
			f = newFake(t, func(cfg *Config) {
				f.backend, f.model = cfg.Backend.(*fakeBackend), cfg.Model.(*fakeModel)
				f.model.before = func() { <-gate }
				c.lose(&f, cfg)
				cfg.OnFail = func(err error) {
					f.Close() // must not wait for itself
					failed.Add(1)
					told <- err
				}
			})
			var streams []*Stream
			for i := range 7 { // four at work, three waiting
				streams = append(streams, f.submit(t, Request{Prompt: prompt(4, i), IgnoreEOS: true}))
			}
			close(gate)
			for i, s := range streams {
				ids, err := drain(testContext(t), s)
				var lost *LostError
				if !errors.As(err, &lost) || !errors.Is(err, c.cause) {
					t.Errorf("stream %d: %v", i, err)
				}
				if len(ids) > lostAt-1 {
					t.Errorf("stream %d: %d tokens were released, the step that failed was number %d", i, len(ids), lostAt)
				}
				want, _ := expect(prompt(4, i), len(ids), 64, true)
				if len(ids) > 0 && !slices.Equal(ids, want) {
					t.Errorf("stream %d: tokens %v, want %v", i, ids, want)
				}
				if s.Result().FinishReason != FinishError {
					t.Errorf("stream %d: %+v", i, s.Result())
				}
			}
			err := <-told
			if !strings.Contains(err.Error(), "rename") || !errors.Is(err, c.cause) {
				t.Errorf("OnFail was told %v", err)
			}
			if _, err := f.Submit(Request{Prompt: prompt(4, 1), Sampling: greedy()}); !errors.Is(err, c.cause) {
				t.Errorf("Submit afterwards: %v", err)
			}
			f.Close()
			if n := failed.Load(); n != 1 {
				t.Errorf("OnFail was called %d times", n)
			}
		})
	}
}

// TestNonFiniteLogits (H18): only the request whose logits are not finite fails, and its error names the layer.
func TestNonFiniteLogits(t *testing.T) {
	const poison = 62
	for name, c := range map[string]struct {
		prompt   []int32
		score    bool
		position int
	}{
		"last row":              {[]int32{1, 2, poison}, false, 2},
		"prompt row":            {[]int32{1, poison, 2, 3}, true, 1},
		"prompt row in a chunk": {append(prompt(30, 1), poison, 2, 3), true, 30},
	} {
		t.Run(name, func(t *testing.T) {
			told := make(chan NonFiniteError, 2)
			f := newFake(t, func(cfg *Config) {
				cfg.Model.(*fakeModel).poison = poison
				cfg.OnNonFinite = func(e *NonFiniteError) { told <- *e }
			})
			good := f.submit(t, Request{Prompt: prompt(5, 1), MaxTokens: 5})
			bad := f.submit(t, Request{Prompt: c.prompt, PromptLogprobs: c.score})
			_, err := drain(testContext(t), bad)
			var e *NonFiniteError
			if !errors.As(err, &e) || *e != (NonFiniteError{Layer: fakeBadLayer, Layers: 4, Position: c.position}) {
				t.Errorf("error %v", err)
			}
			if want, _ := expect(prompt(5, 1), 5, 64, false); !slices.Equal(read(t, good), want) {
				t.Error("the other request suffered")
			}
			eventually(t, "free pages", func() bool { return f.Stats().PagesUsed == 0 })
			if len(told) != 1 || <-told != *e {
				t.Error("OnNonFinite was not told, once")
			}
		})
	}
	if text := (&NonFiniteError{Layer: 4, Layers: 4}).Error(); !strings.Contains(text, "output layer") {
		t.Error(text)
	}
}

// TestFaultWhileLocating: the weights vanish while the layer is looked for.
func TestFaultWhileLocating(t *testing.T) {
	f := newFake(t, func(cfg *Config) {
		cfg.Model.(*fakeModel).poison = 62
		cfg.Backend.(*fakeBackend).fault = func(sync int) error {
			if sync == 2 {
				return kernels.ErrFault
			}
			return nil
		}
	})
	_, err := drain(testContext(t), f.submit(t, Request{Prompt: []int32{62}}))
	var lost *LostError
	if !errors.As(err, &lost) || !errors.Is(err, kernels.ErrFault) {
		t.Errorf("error %v", err)
	}
}

// TestSlowReader: a stream whose reader does not read is paused while others run, goes on when it reads, and ends when it does
// not for long.
func TestSlowReader(t *testing.T) {
	f := newFake(t, func(c *Config) { c.StreamTokens, c.MaxBatch = 4, 1 })
	slow := f.submit(t, Request{Prompt: prompt(3, 1), IgnoreEOS: true})
	eventually(t, "a pause", func() bool { return f.Stats().Paused == 1 })
	if f.Busy() {
		t.Error("there is something to compute, though nobody reads it")
	}
	want, _ := expect(prompt(3, 2), 40, 64, true)
	quick := f.submit(t, Request{Prompt: prompt(3, 2), IgnoreEOS: true, MaxTokens: 40})
	if got := read(t, quick); !slices.Equal(got, want) {
		t.Errorf("beside a paused stream: %v, want %v", got, want)
	}
	if want, _ := expect(prompt(3, 1), 0, 64, true); !slices.Equal(read(t, slow), want) {
		t.Error("the paused stream lost tokens")
	}
	if s := f.Stats(); s.Paused != 0 {
		t.Errorf("%+v", s)
	}
}

func TestReadTimeout(t *testing.T) {
	f := newFake(t, func(c *Config) { c.StreamTokens, c.ReadTimeout = 4, 20*time.Millisecond })
	gone := f.submit(t, Request{Prompt: prompt(3, 1), IgnoreEOS: true})
	<-gone.ended
	ids, err := drain(testContext(t), gone)
	if !errors.Is(err, ErrSlowReader) || len(ids) != 4 || gone.Result().FinishReason != FinishCancel {
		t.Errorf("%d tokens, %v, %+v", len(ids), err, gone.Result())
	}
	eventually(t, "free pages", func() bool { return f.Stats().PagesUsed == 0 })
}

// TestSlowButReadingIsPatient drives the loop's clock by hand: one token taken in time buys more time.
func TestSlowButReadingIsPatient(t *testing.T) {
	e, err := newEngine(Config{Backend: &fakeBackend{}, Model: newFakeModel(), ContextLen: 64, PageTokens: 16, StreamTokens: 8, ReadTimeout: time.Second})
	if err != nil {
		t.Fatal(err)
	}
	s, err := e.Submit(Request{Prompt: prompt(3, 1), IgnoreEOS: true, Sampling: greedy()})
	if err != nil {
		t.Fatal(err)
	}
	for ok := true; ok; {
		e.listen()
		if ok, err = e.step(); err != nil {
			t.Fatal(err)
		}
	}
	now := s.pausedAt
	for range 3 {
		if _, err := s.Next(testContext(t)); err != nil {
			t.Fatal(err)
		}
		now = now.Add(2 * time.Second)
		e.loseSlowReaders(now)
		if len(e.loop.paused) != 1 {
			t.Fatal("a reader that reads slowly was given up")
		}
	}
	e.loseSlowReaders(now.Add(2 * time.Second))
	if len(e.loop.paused) != 0 || s.Result().FinishReason != FinishCancel {
		t.Error("a reader that stopped was not given up")
	}
}
