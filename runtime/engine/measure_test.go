package engine

import (
	"errors"
	"math/rand/v2"
	"os"
	"runtime"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/weft-run/weft/kernels/cpu"
)

// measured opens an engine on the model that WEFT_MEASURE names, with two threads. Nothing here decides about a test.
func measured(t *testing.T, cfg Config) *Engine {
	t.Helper()
	path := os.Getenv("WEFT_MEASURE")
	if path == "" {
		t.Skip("set WEFT_MEASURE to a GGUF file")
	}
	cfg.Model, cfg.ContextLen, cfg.NoSpeculation = load(t, path), 5000, true
	o := cpu.Options{Threads: 2, Level: os.Getenv("WEFT_CPU")}
	cfg.Backend = newDevices(t).get(t, o).Open()
	e, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(e.Close)
	return e
}

// times reads tokens and returns when each came.
func times(t *testing.T, s *Stream, tokens int) []time.Time {
	var at []time.Time
	for range tokens {
		if _, err := s.Next(t.Context()); err != nil {
			break
		}
		at = append(at, time.Now())
	}
	return at
}

func gaps(at []time.Time) (p50, p99 time.Duration) {
	var all []time.Duration
	for i := 1; i < len(at); i++ {
		all = append(all, at[i].Sub(at[i-1]))
	}
	slices.Sort(all)
	return all[len(all)/2], all[len(all)*99/100]
}

func randomPrompt(vocab, n int) []int32 {
	p := make([]int32, n)
	for i := range p {
		p[i] = rand.Int32N(int32(vocab))
	}
	return p
}

// TestMeasureStreams measures how many tokens a second several streams get together.
func TestMeasureStreams(t *testing.T) {
	e := measured(t, Config{MaxBatch: 16, Pages: 160})
	var alone float64
	for _, streams := range []int{1, 8, 16, 1, 8, 16, 1, 8, 16} {
		var readers sync.WaitGroup
		const tokens = 24
		begun := time.Now()
		for range streams {
			s, err := e.Submit(Request{Prompt: randomPrompt(e.model.Vocab, 2), MaxTokens: tokens, IgnoreEOS: true, Sampling: greedy()})
			if err != nil {
				t.Fatal(err)
			}
			readers.Go(func() { times(t, s, tokens) })
		}
		readers.Wait()
		rate := float64(streams*tokens) / time.Since(begun).Seconds()
		if streams == 1 {
			alone = rate
		}
		t.Logf("%d streams: %.1f tokens/s, %.2f of one", streams, rate, rate/alone)
	}
}

// TestMeasureGaps measures the time between tokens of one stream alone and while a prompt of 4096 tokens is computed beside it, and
// the time to the first token on a prompt of 2000 tokens, cold and found in the cache.
func TestMeasureGaps(t *testing.T) {
	e := measured(t, Config{Pages: 2 * 160, MaxBatch: 2})
	submit := func(prompt []int32, tokens int) *Stream {
		s, err := e.Submit(Request{Prompt: prompt, MaxTokens: tokens, IgnoreEOS: true, Sampling: greedy()})
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	reader := submit(randomPrompt(e.model.Vocab, 4), 4000)
	p50, p99 := gaps(times(t, reader, 200))
	t.Logf("alone: p50 %v, p99 %v", p50, p99)
	long := submit(randomPrompt(e.model.Vocab, 4096), 1)
	var at []time.Time
	for limit := time.Now().Add(150 * time.Second); long.Result().FinishReason == "" && time.Now().Before(limit); {
		at = append(at, times(t, reader, 1)...)
	}
	b50, b99 := gaps(at)
	t.Logf("beside a prompt of 4096 (%q after %d tokens): p50 %v (%.2f), p99 %v (%.2f)", long.Result().FinishReason, len(at),
		b50, float64(b50)/float64(p50), b99, float64(b99)/float64(p99))
	long.Cancel()
	reader.Cancel()
	prompt := randomPrompt(e.model.Vocab, 2000)
	for _, what := range []string{"cold", "shared", "shared"} {
		s := submit(prompt, 1)
		times(t, s, 1)
		t.Logf("first token of a prompt of 2000, %s: %v, %d tokens found", what, s.Result().TTFT, s.Result().ReusedTokens)
	}
}

// TestMeasureOverload puts four callers on an engine for WEFT_LONG, one of them greedy, with cancels and a tenth of the pages that
// the places could want, and tells what each got.
func TestMeasureOverload(t *testing.T) {
	length, err := time.ParseDuration(os.Getenv("WEFT_LONG"))
	if err != nil {
		t.Skip("set WEFT_LONG to a duration")
	}
	e := measured(t, Config{Pages: max(157, 8*157/10), MaxBatch: 8})
	callers := []string{"a", "b", "c", "greedy"}
	var mu sync.Mutex
	tokens, cancels, refused := map[string]int{}, 0, 0
	var readers sync.WaitGroup
	end := time.Now().Add(length)
	for _, caller := range callers {
		clients := 4 // 16 and more clients for 8 places
		if caller == "greedy" {
			clients = 24
		}
		for range clients {
			readers.Go(func() {
				for time.Now().Before(end) {
					s, err := e.Submit(Request{
						Prompt: randomPrompt(e.model.Vocab, 1+rand.IntN(200)), MaxTokens: 1 + rand.IntN(100), IgnoreEOS: true, Sampling: greedy(), Caller: caller, Domain: caller,
					})
					if full := (*QueueFullError)(nil); errors.As(err, &full) {
						mu.Lock()
						refused++
						mu.Unlock()
						<-time.After(100 * time.Millisecond)
						continue
					}
					read := 1 << 30
					if rand.IntN(5) == 0 {
						read = rand.IntN(20)
					}
					got := len(times(t, s, read))
					s.Cancel()
					mu.Lock()
					tokens[caller] += got
					if read < 20 {
						cancels++
					}
					mu.Unlock()
				}
			})
		}
	}
	ticker := time.NewTicker(30 * time.Second)
	defer ticker.Stop()
	done := make(chan struct{})
	go func() { readers.Wait(); close(done) }()
	for running := true; running; {
		select {
		case <-ticker.C:
		case <-done:
			running = false
		}
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		mu.Lock()
		t.Logf("tokens %v, %d cancelled, %d refused, %d preempted, heap %d KiB, %+v", tokens, cancels, refused, e.Stats().Preempted, m.HeapAlloc>>10, e.Stats().Queue)
		mu.Unlock()
	}
}
