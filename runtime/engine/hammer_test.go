package engine

import (
	"errors"
	"io"
	"math/rand/v2"
	"os"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/weft-run/weft/kernels"
	"github.com/weft-run/weft/kernels/cpu"
	"github.com/weft-run/weft/runtime/gguf"
	"github.com/weft-run/weft/runtime/models"
)

// TestHammer lets clients come, read, dawdle and go at random on two engines that share one device, closes one of the engines
// under them, and looks whether anything is left. It holds: every stream ends, with an end that fits; no page and no goroutine
// stays; a stream that ends regularly has as many tokens as it says.
func TestHammer(t *testing.T) {
	hammer(t, 8, func(round int) bool { return round < 60 })
}

// TestLongHammer goes on for the time in WEFT_LONG.
func TestLongHammer(t *testing.T) {
	length, err := time.ParseDuration(os.Getenv("WEFT_LONG"))
	if err != nil {
		t.Skip("set WEFT_LONG to a duration")
	}
	end := time.Now().Add(length)
	hammer(t, 32, func(int) bool { return time.Now().Before(end) })
}

// hammer runs the given number of clients, each for as many rounds as goOn allows.
func hammer(t *testing.T, clients int, goOn func(round int) bool) {
	model := load(t, builtinFile(t))
	before := runtime.NumGoroutine()
	device, err := cpu.NewDevice(cpu.Options{Threads: 2})
	if err != nil {
		t.Fatal(err)
	}
	var engines [2]*Engine
	for i := range engines {
		engines[i], err = New(Config{
			Backend: device.Open(), Model: model, EOG: []int32{2}, ContextLen: 96, PageTokens: 16, Pages: 11, MaxBatch: 4, MaxQueue: 6,
			StepTokens: 24, StreamTokens: 8, ReadTimeout: 5 * time.Millisecond,
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	var running sync.WaitGroup
	for c := range clients {
		running.Go(func() {
			r := rand.New(rand.NewPCG(uint64(c), 1))
			for round := 0; goOn(round); round++ {
				client(t, engines[c%2], r)
			}
		})
	}
	closed := make(chan struct{})
	go func() {
		engines[1].mu.Lock()
		steps := engines[1].stats.Steps
		engines[1].mu.Unlock()
		eventually(t, "some steps", func() bool { return engines[1].Stats().Steps > steps+200 || !goOn(1<<30) })
		engines[1].Close()
		close(closed)
	}()
	running.Wait()
	eventually(t, "an empty engine", func() bool { s := engines[0].Stats(); return s.Queue+s.Running+s.PagesUsed == 0 })
	engines[0].mu.Lock()
	if engines[0].live != 0 {
		t.Errorf("%d streams are counted as alive", engines[0].live)
	}
	engines[0].mu.Unlock()
	engines[1].Close()
	<-closed
	engines[0].Close()
	device.Close()
	eventually(t, "the end of all goroutines", func() bool { return runtime.NumGoroutine() <= before })
}

// client makes one request and treats it in one of the ways that clients have.
func client(t *testing.T, e *Engine, r *rand.Rand) {
	req := drawRequest(r, e.model.Vocab, e.Context())
	s, err := e.Submit(req)
	var full *QueueFullError
	if errors.As(err, &full) || errors.Is(err, ErrClosed) {
		runtime.Gosched()
		return
	}
	if err != nil {
		t.Error(err)
		return
	}
	ctx, tokens, way := testContext(t), 0, r.IntN(5)
	limit := r.IntN(30)
	if way == 0 {
		go s.Cancel()
	}
	for {
		if way == 1 && tokens >= limit {
			s.Cancel()
		}
		if way == 2 && tokens == 5 {
			<-s.ended // reads no more
		}
		if _, err = s.Next(ctx); err != nil {
			break
		}
		tokens++
	}
	result := s.Result()
	switch {
	case errors.Is(err, io.EOF):
		wanted := result.FinishReason == FinishStop || req.PromptOnly && tokens == 0 || tokens == req.MaxTokens || tokens+len(req.Prompt) == e.Context()
		if tokens != result.CompletionTokens || !wanted {
			t.Errorf("%d tokens, %+v, wanted %d after a prompt of %d", tokens, result, req.MaxTokens, len(req.Prompt))
		}
	case errors.Is(err, ErrCancelled) && way < 2, errors.Is(err, ErrClosed):
	case errors.Is(err, ErrSlowReader): // any reader may have lost its core for too long
	default:
		t.Errorf("way %d: %v, %+v", way, err, result)
	}
}

// TestTruncatedUnderLoad: a served file is cut, at its end and in its middle.
func TestTruncatedUnderLoad(t *testing.T) {
	for name, keep := range map[string]float64{"middle": 0.5, "tail": 0.999} {
		t.Run(name, func(t *testing.T) {
			path := builtinFile(t)
			f, err := gguf.Open(path, gguf.DefaultLimits())
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			model, err := models.Load(f)
			if err != nil {
				t.Fatal(err)
			}
			told := make(chan error, 1)
			e := open(t, newDevices(t), Config{
				Model: model, Guard: f.Changed, OnFail: func(err error) { told <- err }, StreamTokens: 2,
			}, cpu.Options{Threads: 2})
			defer e.Close()
			var streams []*Stream
			for range 12 {
				s, err := e.Submit(Request{Prompt: []int32{1, 2, 3}, IgnoreEOS: true, Sampling: greedy()})
				if err != nil {
					t.Fatal(err)
				}
				streams = append(streams, s)
			}
			if _, err := streams[0].Next(testContext(t)); err != nil {
				t.Fatal(err)
			}
			if err := os.Truncate(path, int64(keep*float64(f.Size()))); err != nil {
				t.Fatal(err)
			}
			for _, s := range streams {
				var lost *LostError
				if _, err := drain(testContext(t), s); !errors.As(err, &lost) {
					t.Errorf("a stream ended with %v", err)
				}
			}
			// A step that had read its weights already is stopped by the guard, any other by the fault.
			if err := <-told; !errors.Is(err, kernels.ErrFault) && !errors.Is(err, gguf.ErrChanged) {
				t.Errorf("OnFail was told %v", err)
			}
		})
	}
}
