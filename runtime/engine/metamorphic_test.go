package engine

import (
	"fmt"
	"math/rand/v2"
	"os"
	"runtime"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/weft-run/weft/kernels"
	"github.com/weft-run/weft/kernels/cpu"
	"github.com/weft-run/weft/runtime/scheduler"
)

// The metamorphic test: a random list of requests gives the same bits however it is computed. Each request is computed alone
// first; then all together, with everything drawn that must not matter: tokens in a step, sequences in a batch, page size, pages
// (few enough for preemption, or plenty), threads, CPU level, how long readers dawdle, what is guessed ahead, whether the engine is
// closed between two rounds and another goes on from the disk, and who cancels or expires beside them. Whose request it is, its class,
// its priority and a deadline that does not pass must not matter either.

func TestMetamorphic(t *testing.T) {
	seeds := 12
	if testing.Short() {
		seeds = 3
	}
	first := uint64(1)
	if text := os.Getenv("WEFT_SEED"); text != "" {
		seed, err := strconv.ParseUint(text, 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		first, seeds = seed, 1
	}
	d := newDevices(t)
	preempted, reused := uint64(0), 0
	for seed := first; seed < first+uint64(seeds); seed++ {
		p, f := metamorphic(t, d, subjects(), seed, kernels.CacheTypes(), "ref")
		preempted, reused = preempted+p, reused+f
	}
	t.Logf("%d seeds, %d preemptions, %d tokens found in the cache", seeds, preempted, reused)
}

// A key is quantized once, when it is stored, and alone: so batch, chunk and preemption do not show in a quantized cache either.
func TestMetamorphicOfQuantizedCaches(t *testing.T) {
	d := newDevices(t)
	for _, typ := range []kernels.CacheType{kernels.CacheQ8_0, kernels.CacheQ4_0} {
		preempted := uint64(0)
		for _, seed := range []uint64{2, 4, 10} { // the last two have few pages
			p, _ := metamorphic(t, d, subjects(), seed, []kernels.CacheType{typ}, "ref")
			preempted += p
		}
		t.Logf("%s: %d preemptions", typ, preempted)
	}
}

// TestLongMetamorphic goes on for the time in WEFT_LONG, with as many seeds at once as there are processors. Most seeds leave the reference level out, which takes most
// of the time and is compared with the others for every kernel in kernels/kerneltest: each is computed alone at the best level.
func TestLongMetamorphic(t *testing.T) {
	text := os.Getenv("WEFT_LONG")
	if text == "" {
		t.Skip("set WEFT_LONG to a duration")
	}
	length, err := time.ParseDuration(text)
	if err != nil {
		t.Fatal(err)
	}
	d, first, end := newDevices(t), rand.Uint64()>>16, time.Now().Add(length)
	var next atomic.Uint64
	var running sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		running.Go(func() {
			for time.Now().Before(end) && !t.Failed() {
				n, alone := next.Add(1), cpuLevels()[len(cpuLevels())-1]
				if n%16 == 0 {
					alone = "ref"
				}
				metamorphic(t, d, append(subjects(), windowed()...), first+n, kernels.CacheTypes(), alone)
			}
		})
	}
	running.Wait()
	t.Logf("%d seeds, %d tokens compared, %d of them of requests with adapters", d.seeds, d.tokens, d.adapted)
}

// metamorphic runs one seed, on a model and one of the cache types that fits it, and returns how often a sequence was preempted and
// how many tokens were found in the cache. Each request is computed alone at a level; where that is not ref, no level is.
func metamorphic(t *testing.T, d *devices, all []subject, seed uint64, caches []kernels.CacheType, level string) (preempted uint64, reused int) {
	r := rand.New(rand.NewPCG(seed, 0))
	of, cache := all[r.IntN(len(all))], caches[r.IntN(len(caches))]
	for !cache.Fits(of.headDim) {
		of, cache = all[r.IntN(len(all))], caches[r.IntN(len(caches))]
	}
	v := drawVariant(r, cpuLevels())
	if v.CPU.Level == "ref" {
		v.CPU.Level = level
	}
	name := fmt.Sprintf("seed %d", seed)
	ok := t.Run(name, func(t *testing.T) {
		model := load(t, of.path(t))
		vocab := model.Config().Vocab
		adapters, drawn := newZoo(t, model, 0, zooRanks), rand.New(rand.NewPCG(seed, 1))
		requests := make([]Request, 1+r.IntN(9))
		for i := range requests {
			requests[i] = drawRequest(r, vocab, of.contextLen)
			requests[i].Domain = []string{"one", "one", "other"}[r.IntN(3)]
			requests[i].Caller, requests[i].Class, requests[i].Priority = []string{"a", "b", "c"}[r.IntN(3)], Class(r.IntN(2)), r.IntN(5)-2
			if r.IntN(4) == 0 {
				requests[i].Deadline = time.Now().Add(time.Hour)
			}
			if i > 0 && r.IntN(2) == 0 { // begins as another one
				other := requests[r.IntN(i)].Prompt
				copy(requests[i].Prompt, other[:r.IntN(len(other)+1)])
			}
			requests[i].Adapters = adapters.draw(drawn, requests[i].Prompt)
		}
		behind := make([]int, len(requests)) // another of the same prompt, or itself
		for i := range requests {
			behind[i] = i
			if j := r.IntN(i + 1); j < i && r.IntN(3) == 0 {
				behind[i] = j
				requests[i].Prompt, requests[i].Domain = requests[j].Prompt, requests[j].Domain
				requests[i].Adapters = requests[j].Adapters
				requests[i].PromptOnly = requests[i].PromptOnly && requests[i].PromptLogprobs
			}
		}
		alone := make([]answer, len(requests))
		reference := open(t, d, Config{
			Model: model, keepAll: true, EOG: of.eog, CacheType: cache, ContextLen: of.contextLen, PageTokens: 16, MaxBatch: 1, NoSharing: true,
		}, cpu.Options{Threads: 1, Level: level})
		for i, req := range requests {
			alone[i] = ask(t, reference, req, func() {})
		}
		reference.Close()

		cfg := Config{
			Model: model, EOG: of.eog, CacheType: cache, ContextLen: of.contextLen, PageTokens: v.PageTokens, MaxBatch: v.MaxBatch,
			StepTokens: v.StepTokens, StreamTokens: v.StreamTokens, Pages: model.Config().CachePages(of.contextLen, v.StepTokens, v.PageTokens) + v.Spare,
			NoSharing: v.NoSharing, NoSpeculation: v.Guesses == "off", guesses: guesser(v.Guesses, requests, alone, vocab),
		}
		if v.Restart {
			cfg.Spill = spillTo(openStore(t, t.TempDir()))
			cfg.Spill.All = true
		}
		draft := newTestDraft(t, d, of, model, v)
		if v.Guesses == "draft" {
			cfg.guesses = draft.always
		}
		e := open(t, d, cfg, v.CPU)
		defer func() { e.Close() }()
		draft.give(t, e)
		var readers sync.WaitGroup
		for range v.Cancels {
			req, after := drawRequest(r, vocab, of.contextLen), r.IntN(6)
			if r.IntN(2) == 0 { // its deadline makes it go
				req.Deadline, after = time.Now().Add(time.Duration(r.IntN(2000))*time.Microsecond), 1000
			}
			readers.Go(func() { leave(t, e, req, after) })
		}
		for round := range v.Rounds {
			if round > 0 && v.Restart {
				e.Close()
				e = open(t, d, cfg, v.CPU)
				draft.give(t, e)
			}
			together, found := make([]answer, len(requests)), make([]int, len(requests))
			streams := make([]*Stream, len(requests))
			submitted := make([]chan struct{}, len(requests))
			for i := range requests {
				submitted[i] = make(chan struct{})
			}
			for i, req := range requests {
				dawdle := func() {}
				if v.Dawdle && i%2 == 0 {
					dawdle = func() { <-time.After(200 * time.Microsecond) }
				}
				readers.Go(func() {
					if j := behind[i]; j != i {
						<-submitted[j]
						req.Behind = streams[j]
					}
					together[i], found[i] = askReused(t, e, req, dawdle, func(s *Stream) {
						streams[i] = s
						close(submitted[i])
					})
				})
			}
			readers.Wait()
			for i := range requests {
				if diff := cmp.Diff(alone[i], together[i]); diff != "" {
					t.Errorf("request %d of %d (prompt of %d tokens, %d found) is not what it is alone (-alone +together):\n%s",
						i, len(requests), len(requests[i].Prompt), found[i], diff)
				}
				reused += found[i]
				d.count(len(alone[i].Tokens), len(requests[i].Adapters) > 0)
			}
		}
		d.mu.Lock()
		d.seeds++
		d.mu.Unlock()
		preempted = e.Stats().Preempted
		if got := e.Stats(); got.Accepted > got.Drafted || v.Guesses == "off" && got.Drafted > 0 {
			t.Errorf("guesses are %s: %d computed, %d right", v.Guesses, got.Drafted, got.Accepted)
		}
	})
	if !ok {
		t.Errorf("%s, cache %s, %+v; repeat with\nWEFT_SEED=%d go test -run 'TestMetamorphic$' ./runtime/engine", of.name, cache, v, seed)
	}
	return preempted, reused
}

// guesser guesses what requests are answered alone: right, wrong, or right up to somewhere. It runs on the engine's goroutine.
func guesser(kind string, requests []Request, alone []answer, vocab int) func(*Stream, []scheduler.Sampled) []int32 {
	if kind == "off" || kind == "draft" || kind == "own draft" {
		return nil
	}
	r := rand.New(rand.NewPCG(11, 0))
	have := map[*Stream]int{}
	return func(s *Stream, got []scheduler.Sampled) (guesses []int32) {
		i := slices.IndexFunc(requests, func(q Request) bool { return q.Sampling.Seed == s.request.Sampling.Seed })
		if i < 0 { // one that is cancelled
			return []int32{1, 2, 3}
		}
		have[s] += len(got)
		to := have[s] + r.IntN(20)
		wrong := to
		switch kind {
		case "wrong":
			wrong = have[s]
		case "mixed":
			wrong = have[s] + r.IntN(20)
		}
		for at := have[s]; at < to; at++ {
			guess := int32(r.IntN(vocab))
			if at < len(alone[i].Tokens) && at != wrong {
				guess = alone[i].Tokens[at].ID
			}
			guesses = append(guesses, guess)
		}
		return guesses
	}
}

// open starts an engine on a device.
func open(t *testing.T, d *devices, cfg Config, o cpu.Options) *Engine {
	t.Helper()
	cfg.Backend = d.get(t, o).Open()
	e, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(e.Close)
	return e
}

// leave asks for something and goes away after some tokens.
func leave(t *testing.T, e *Engine, req Request, after int) {
	s, err := e.Submit(req)
	if err != nil {
		t.Error(err)
		return
	}
	for range after {
		if _, err := s.Next(testContext(t)); err != nil {
			break
		}
	}
	s.Cancel()
}
