package engine

import (
	"bytes"
	"context"
	"errors"
	"io"
	"math"
	"runtime"
	"slices"
	"testing"
	"time"

	"github.com/weft-run/weft/kernels"
	"github.com/weft-run/weft/runtime/sampler"
)

func prompt(n, seed int) []int32 {
	p := make([]int32, n)
	for i := range p {
		p[i] = int32((i*7 + seed*13) % (fakeVocab - 2)) // without the end token and the poison
	}
	return p
}

func TestRequests(t *testing.T) {
	for name, req := range map[string]Request{
		"one token":       {Prompt: prompt(1, 1), MaxTokens: 1},
		"short":           {Prompt: prompt(5, 2), MaxTokens: 9},
		"several chunks":  {Prompt: prompt(50, 3), MaxTokens: 5},
		"to the end":      {Prompt: prompt(9, 4)},
		"nearly full":     {Prompt: prompt(63, 5), MaxTokens: 4},
		"end is ignored":  {Prompt: prompt(3, 6), IgnoreEOS: true},
		"more than wants": {Prompt: prompt(3, 7), MaxTokens: math.MaxInt},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFake(t, nil)
			s := f.submit(t, req)
			got := read(t, s)
			want, reason := expect(req.Prompt, req.MaxTokens, 64, req.IgnoreEOS)
			if !slices.Equal(got, want) {
				t.Errorf("tokens %v, want %v", got, want)
			}
			r := s.Result()
			if r.FinishReason != reason || r.PromptTokens != len(req.Prompt) || r.CompletionTokens != len(want) {
				t.Errorf("%+v, want %s after %d tokens", r, reason, len(want))
			}
			if r.Queued <= 0 || r.Prefill <= 0 || r.TTFT < r.Queued || r.Total < r.TTFT {
				t.Errorf("times %+v", r)
			}
			if _, err := s.Next(testContext(t)); !errors.Is(err, io.EOF) {
				t.Errorf("after the end: %v", err)
			}
		})
	}
}

func TestEndTokenIsTheLastOne(t *testing.T) {
	f := newFake(t, func(c *Config) { c.ContextLen = 256 })
	for seed := range 200 {
		want, reason := expect(prompt(4, seed), 0, 256, false)
		if reason != FinishStop {
			continue
		}
		s := f.submit(t, Request{Prompt: prompt(4, seed)})
		if got := read(t, s); !slices.Equal(got, want) || got[len(got)-1] != fakeEOG || s.Result().FinishReason != FinishStop {
			t.Errorf("got %v, %+v", got, s.Result())
		}
		return
	}
	t.Fatal("no prompt ends by itself")
}

func TestPromptLogprobs(t *testing.T) {
	for _, length := range []int{1, 2, 40, 64} {
		f := newFake(t, nil)
		p := greedy()
		p.TopLogprobs = 3
		s := f.submit(t, Request{Prompt: prompt(length, 1), PromptOnly: true, PromptLogprobs: true, Sampling: p})
		got, err := s.Prompt(testContext(t))
		if err != nil || len(got) != length {
			t.Fatalf("%d tokens, %v", len(got), err)
		}
		if ids := read(t, s); len(ids) != 0 || s.Result().FinishReason != FinishLength || s.Result().Prefill <= 0 {
			t.Errorf("completion %v, %+v", ids, s.Result())
		}
		hash, row := uint64(1), make([]float32, fakeVocab)
		for i, token := range got {
			if token.ID != prompt(length, 1)[i] {
				t.Fatalf("token %d is %d", i, token.ID)
			}
			if i > 0 {
				fill(row, hash)
				lp, top := sampler.Logprobs(row, token.ID, 3, nil)
				if lp != token.Logprob || !slices.Equal(top, token.Top) {
					t.Fatalf("token %d: %v %v, want %v %v", i, token.Logprob, token.Top, lp, top)
				}
			}
			hash = mix(hash, token.ID)
		}
	}
	f := newFake(t, nil)
	if got, err := f.submit(t, Request{Prompt: prompt(3, 1), MaxTokens: 1}).Prompt(testContext(t)); got != nil || err != nil {
		t.Errorf("without asking: %v, %v", got, err)
	}
}

func TestRefusals(t *testing.T) {
	f := newFake(t, nil)
	bad := greedy()
	bad.TopP = 3
	for name, c := range map[string]struct {
		req  Request
		want func(error) bool
	}{
		"empty":         {Request{Sampling: greedy()}, func(err error) bool { return errors.Is(err, ErrRequest) }},
		"negative":      {Request{Prompt: prompt(3, 1), MaxTokens: -1, Sampling: greedy()}, func(err error) bool { return errors.Is(err, ErrRequest) }},
		"foreign token": {Request{Prompt: []int32{1, fakeVocab}, Sampling: greedy()}, func(err error) bool { return errors.Is(err, ErrRequest) }},
		"negative id":   {Request{Prompt: []int32{-1}, Sampling: greedy()}, func(err error) bool { return errors.Is(err, ErrRequest) }},
		"full": {Request{Prompt: prompt(64, 1), Sampling: greedy()}, func(err error) bool {
			var e *TooLongError
			return errors.As(err, &e) && *e == TooLongError{Prompt: 64, Context: 64}
		}},
		"too long": {Request{Prompt: prompt(65, 1), PromptOnly: true, Sampling: greedy()}, func(err error) bool {
			var e *TooLongError
			return errors.As(err, &e)
		}},
		"sampling": {Request{Prompt: prompt(3, 1), Sampling: bad}, func(err error) bool {
			var e *sampler.FieldError
			return errors.As(err, &e) && e.Field == "top_p"
		}},
	} {
		if s, err := f.Submit(c.req); s != nil || !c.want(err) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestConfigRefusals(t *testing.T) {
	base := Config{Backend: &fakeBackend{}, Model: newFakeModel(), ContextLen: 64, PageTokens: 16}
	for name, change := range map[string]func(*Config){
		"pool below a context": func(c *Config) { c.Pages = 3 },
		"context above model":  func(c *Config) { c.ContextLen = 512 },
		"page size":            func(c *Config) { c.PageTokens = 17 },
		"queue":                func(c *Config) { c.MaxQueue = -1 },
		"batch":                func(c *Config) { c.MaxBatch, c.Pages = -1, 9 },
	} {
		c := base
		change(&c)
		if _, err := New(c); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	if cache, scratch := base.Memory(); cache <= 0 || scratch <= 0 {
		t.Errorf("memory %d, %d", cache, scratch)
	}
}

// held stops a fake model before each step until the test lets it go on.
func held(f *fake) (step func(), open func()) {
	gate := make(chan struct{})
	f.model.before = func() { <-gate }
	return func() { gate <- struct{}{} }, func() { close(gate) }
}

func newHeld(t *testing.T, change func(*Config)) (f fake, step, open func()) {
	f = newFake(t, func(c *Config) {
		m := c.Model.(*fakeModel)
		f.model = m
		step, open = held(&f)
		if change != nil {
			change(c)
		}
	})
	return f, step, open
}

// TestBusy: there is something to compute from the moment when a request has come until its end.
func TestBusy(t *testing.T) {
	f, step, open := newHeld(t, nil)
	if f.Busy() {
		t.Error("busy without requests")
	}
	s := f.submit(t, Request{Prompt: prompt(4, 1), MaxTokens: 3})
	if !f.Busy() {
		t.Error("not busy, though a request waits")
	}
	step()
	if !f.Busy() {
		t.Error("not busy, though a request runs")
	}
	open()
	read(t, s)
	eventually(t, "the end of the work", func() bool { return !f.Busy() })
}

func TestQueueFull(t *testing.T) {
	f, _, open := newHeld(t, func(c *Config) { c.MaxBatch, c.MaxQueue = 2, 3 })
	var streams []*Stream
	for i := range 5 {
		streams = append(streams, f.submit(t, Request{Prompt: prompt(4, i), MaxTokens: 3}))
	}
	_, err := f.Submit(Request{Prompt: prompt(4, 9), Sampling: greedy()})
	var full *QueueFullError
	if !errors.As(err, &full) || full.Queue < 3 || full.RetryAfter < time.Second || full.RetryAfter > time.Minute {
		t.Fatalf("sixth request: %v", err)
	}
	// A request that was cancelled gives its place to another.
	streams[4].Cancel()
	open()
	for i, s := range streams[:4] {
		want, _ := expect(prompt(4, i), 3, 64, false)
		if got := read(t, s); !slices.Equal(got, want) {
			t.Errorf("stream %d: %v, want %v", i, got, want)
		}
	}
	eventually(t, "an empty engine", func() bool { return f.Stats().Queue+f.Stats().Running == 0 })
	read(t, f.submit(t, Request{Prompt: prompt(4, 9), MaxTokens: 1}))
}

func TestCancel(t *testing.T) {
	f, step, open := newHeld(t, nil)
	a := f.submit(t, Request{Prompt: prompt(4, 1)})
	step()
	if _, err := a.Next(testContext(t)); err != nil {
		t.Fatal(err)
	}
	a.Cancel()
	a.Cancel()
	if ids, err := drain(testContext(t), a); !errors.Is(err, ErrCancelled) || len(ids) > 1 {
		t.Errorf("%v, %v", ids, err)
	}
	if r := a.Result(); r.FinishReason != FinishCancel || r.CompletionTokens < 1 || r.Total <= 0 {
		t.Errorf("%+v", r)
	}
	// Cancelled before it was ever looked at.
	b := f.submit(t, Request{Prompt: prompt(4, 1), PromptLogprobs: true})
	b.Cancel()
	if _, err := b.Prompt(testContext(t)); !errors.Is(err, ErrCancelled) {
		t.Errorf("prompt of a cancelled request: %v", err)
	}
	open()
	eventually(t, "free pages", func() bool { s := f.Stats(); return s.PagesUsed+s.Queue+s.Running == 0 })
}

func TestNextHonoursItsContext(t *testing.T) {
	f, _, open := newHeld(t, nil)
	s := f.submit(t, Request{Prompt: prompt(4, 1), MaxTokens: 2, PromptLogprobs: true})
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := s.Next(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("Next: %v", err)
	}
	if _, err := s.Prompt(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("Prompt: %v", err)
	}
	open()
	if got := read(t, s); len(got) == 0 {
		t.Error("the stream did not go on")
	}
}

func TestClose(t *testing.T) {
	f, step, open := newHeld(t, nil)
	a := f.submit(t, Request{Prompt: prompt(4, 1)})
	b := f.submit(t, Request{Prompt: prompt(60, 1), PromptLogprobs: true})
	step()
	if _, err := a.Next(testContext(t)); err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() { f.Close(); f.Close(); close(done) }()
	eventually(t, "the wish to stop", func() bool { f.mu.Lock(); defer f.mu.Unlock(); return f.stop })
	open()
	<-done
	if _, err := drain(testContext(t), a); !errors.Is(err, ErrClosed) {
		t.Errorf("running stream: %v", err)
	}
	if _, err := b.Prompt(testContext(t)); !errors.Is(err, ErrClosed) || b.Result().FinishReason != FinishError {
		t.Errorf("prompt: %v, %+v", err, b.Result())
	}
	if _, err := f.Submit(Request{Prompt: prompt(4, 1), Sampling: greedy()}); !errors.Is(err, ErrClosed) {
		t.Errorf("after Close: %v", err)
	}
	a.Cancel()
	if s := f.Stats(); s.Running+s.Queue+s.PagesUsed != 0 {
		t.Errorf("after Close: %+v", s)
	}
	eventually(t, "the end of the loop", func() bool { return !running("engine.(*Engine).run") })
}

// running says whether a goroutine is somewhere in the named function.
func running(name string) bool {
	buf := make([]byte, 1<<20)
	return bytes.Contains(buf[:runtime.Stack(buf, true)], []byte(name))
}

func TestIdleEngineSleeps(t *testing.T) {
	f := newFake(t, func(c *Config) { c.StreamTokens = 4 })
	asleep := func() bool { return running("engine.(*Engine).sleep") }
	stays := func(when string) {
		t.Helper()
		eventually(t, "sleep", asleep)
		for range 200 {
			runtime.Gosched()
			if !asleep() {
				t.Fatalf("awake %s", when)
			}
		}
	}
	stays("without requests")
	read(t, f.submit(t, Request{Prompt: prompt(4, 1), MaxTokens: 4}))
	stays("after a request")
	s := f.submit(t, Request{Prompt: prompt(4, 1), IgnoreEOS: true})
	eventually(t, "a pause", func() bool { return f.Stats().Paused == 1 })
	stays("while its only stream is paused")
	read(t, s)
}

type steps struct {
	rows, decode, sampled, sequences int
	took                             time.Duration
}

func (s *steps) ObserveStep(i StepInfo) {
	s.rows += i.Rows
	s.decode += i.DecodeRows
	s.sampled += i.Sampled
	s.sequences += i.Sequences
	s.took += i.Duration
}

func TestObserver(t *testing.T) {
	var seen steps
	f := newFake(t, func(c *Config) { c.Observer = &seen })
	read(t, f.submit(t, Request{Prompt: prompt(20, 1), MaxTokens: 5, IgnoreEOS: true}))
	f.Close()
	// 20 rows of prompt in two steps, then four of one row; the fifth token is not computed.
	want := steps{rows: 24, decode: 4, sampled: 5, sequences: 6, took: seen.took}
	if seen != want || seen.took <= 0 {
		t.Errorf("%+v, want %+v", seen, want)
	}
	if n := f.Stats().Steps; n != 6 {
		t.Errorf("%d steps", n)
	}
}

// fewestAllocations is the least of several averages: the count is the whole process's, and what another test left running may allocate too.
func fewestAllocations(times, runs int, f func()) float64 {
	least := math.Inf(1)
	for range times {
		least = min(least, testing.AllocsPerRun(runs, f))
	}
	return least
}

// TestDecodeStepAllocatesNothing runs the step function by hand: four streams, one of them with chance and penalties.
func TestDecodeStepAllocatesNothing(t *testing.T) {
	if kernels.Invariants {
		t.Skip("the checks of a build with invariants allocate")
	}
	e, err := newEngine(Config{
		Backend: &fakeBackend{}, Model: newFakeModel(), ContextLen: 256, PageTokens: 16, MaxBatch: 4, StepTokens: 64,
		StreamTokens: 256, Observer: &steps{},
	})
	if err != nil {
		t.Fatal(err)
	}
	for i := range 4 {
		p := greedy()
		if i == 3 {
			p = sampler.Default()
			p.TopK, p.TopP, p.RepetitionPenalty, p.PenaltyLastN = 20, 0.9, 1.1, 8
		}
		if _, err := e.Submit(Request{Prompt: prompt(9, i), IgnoreEOS: true, Sampling: p}); err != nil {
			t.Fatal(err)
		}
	}
	step := func() {
		e.listen()
		e.loseSlowReaders(time.Now())
		if ok, err := e.step(); !ok || err != nil {
			t.Fatal(ok, err)
		}
	}
	for range 30 {
		step()
	}
	if n := fewestAllocations(5, 30, step); n != 0 {
		t.Errorf("%v allocations in a decode step", n)
	}
}
