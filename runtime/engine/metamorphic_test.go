package engine

import (
	"errors"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/weft-run/weft/daemon/builtin"
	"github.com/weft-run/weft/kernels"
	"github.com/weft-run/weft/kernels/cpu"
	"github.com/weft-run/weft/kernels/quant"
	"github.com/weft-run/weft/runtime/gguf"
	"github.com/weft-run/weft/runtime/models"
	"github.com/weft-run/weft/runtime/modeltest"
	"github.com/weft-run/weft/runtime/sampler"
	"github.com/weft-run/weft/runtime/scheduler"
)

// The metamorphic test: a random list of requests gives the same bits however it is computed. Each request is computed alone
// first; then all together, with everything drawn that must not matter: tokens in a step, sequences in a batch, page size, pages
// (few enough for preemption, or plenty), threads, CPU level, how long readers dawdle, what is guessed ahead, whether the engine is
// closed between two rounds and another goes on from the disk, and who cancels or expires beside them. Whose request it is, its class,
// its priority and a deadline that does not pass must not matter either.

// answer is all that a request can tell.
type answer struct {
	Tokens []sampler.Token
	Prompt []PromptToken
	Finish string
	Logits []uint64 // a hash of each sampled row's bits, by position
}

// devices holds one CPU device for each level and number of threads.
type devices struct {
	mu   sync.Mutex
	open map[cpu.Options]*cpu.Device

	tokens, adapted int // sampled tokens that were compared, and those of them that adapters changed
}

func newDevices(t *testing.T) *devices {
	d := &devices{open: map[cpu.Options]*cpu.Device{}}
	t.Cleanup(func() {
		for _, device := range d.open {
			device.Close()
		}
	})
	return d
}

func (d *devices) get(t *testing.T, o cpu.Options) *cpu.Device {
	t.Helper()
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.open[o] == nil {
		device, err := cpu.NewDevice(o)
		if err != nil {
			t.Fatal(err)
		}
		d.open[o] = device
	}
	return d.open[o]
}

// load opens a model that lives as long as the test.
func load(t *testing.T, path string) models.Model {
	t.Helper()
	f, err := gguf.Open(path, gguf.DefaultLimits())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	m, err := models.Load(f)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func builtinFile(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), builtin.Name+".gguf")
	if err := os.WriteFile(path, builtin.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// tap returns a Request.Tap that hashes the logits' bits into list.
func tap(list *[]uint64) func(int, []float32) {
	return func(position int, logits []float32) {
		hash := uint64(position)
		for _, x := range logits {
			hash = (hash ^ uint64(math.Float32bits(x))) * 0x100000001B3
		}
		*list = append(*list, hash)
	}
}

// ask computes a request and reads it to the end; dawdle waits before each token.
func ask(t *testing.T, e *Engine, req Request, dawdle func()) answer {
	a, _ := askReused(t, e, req, dawdle, func(*Stream) {})
	return a
}

// askReused is ask for a request whose stream others want to stand behind. It returns how many tokens were found in the cache.
func askReused(t *testing.T, e *Engine, req Request, dawdle func(), submitted func(*Stream)) (a answer, reused int) {
	req.Tap = tap(&a.Logits)
	s, err := e.Submit(req)
	submitted(s)
	if err != nil {
		t.Error(err)
		return a, 0
	}
	ctx := testContext(t)
	for {
		dawdle()
		token, err := s.Next(ctx)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Error(err)
			return a, 0
		}
		a.Tokens = append(a.Tokens, token)
	}
	if a.Prompt, err = s.Prompt(ctx); err != nil {
		t.Error(err)
	}
	a.Finish = s.Result().FinishReason
	return a, s.Result().ReusedTokens
}

// drawRequest makes a random request for a model.
func drawRequest(r *rand.Rand, vocab, contextLen int) Request {
	n := 1 + r.IntN(20)
	if r.IntN(3) == 0 {
		n = 1 + r.IntN(contextLen-1)
	}
	req := Request{Prompt: make([]int32, n), MaxTokens: 1 + r.IntN(40), IgnoreEOS: r.IntN(2) == 0, Sampling: sampler.Default()}
	for i := range req.Prompt {
		req.Prompt[i] = int32(r.IntN(vocab))
	}
	if r.IntN(8) == 0 {
		req.MaxTokens = 0
	}
	req.PromptLogprobs = r.IntN(4) == 0
	req.PromptOnly = req.PromptLogprobs && r.IntN(2) == 0
	p := &req.Sampling
	p.Seed, p.TopLogprobs = r.Uint64(), r.IntN(5)-1
	switch r.IntN(4) {
	case 0:
		p.Temperature = 0
	case 1:
		p.TopK, p.TopP, p.Temperature = 20, 0.9, 0.8
	case 2:
		p.RepetitionPenalty, p.FrequencyPenalty, p.PenaltyLastN, p.MinP = 1.2, 0.4, 1+r.IntN(30), 0.02
	}
	return req
}

// variant is what must not matter.
type variant struct {
	CPU          cpu.Options
	MaxBatch     int
	StepTokens   int
	PageTokens   int
	Spare        int // pages beside those of one context
	StreamTokens int
	Dawdle       bool
	Cancels      int // requests beside the ones compared that are cancelled on the way
	NoSharing    bool
	Guesses      string // off; by the engine's own judgement, with a draft to ask; or a row's worth each time: right, wrong, mixed, or the draft's
	Restart      bool   // another engine makes the second round; it has the pages of the first from disk
	Rounds       int    // how often the requests are made: what one round leaves in the cache serves the next
}

func drawVariant(r *rand.Rand, levels []string) variant {
	pick := func(of ...int) int { return of[r.IntN(len(of))] }
	return variant{
		CPU:        cpu.Options{Threads: 1 + r.IntN(2), Level: levels[r.IntN(len(levels))]},
		MaxBatch:   1 + r.IntN(8),
		StepTokens: pick(1, 7, 64, 512), PageTokens: pick(16, 32, 64), Spare: pick(0, 1, 3, 100),
		StreamTokens: pick(2, 64, 256), Dawdle: r.IntN(3) == 0, Cancels: pick(0, 0, 3),
		NoSharing: r.IntN(4) == 0, Rounds: pick(1, 1, 2), Restart: r.IntN(2) == 0,
		Guesses: []string{"off", "own draft", "right", "wrong", "mixed", "draft"}[r.IntN(6)],
	}
}

// subject is a model under test with how its cache is kept.
type subject struct {
	name       string
	path       func(t *testing.T) string
	contextLen int
	headDim    int
	eog        []int32
	draft      func(t *testing.T) string // nil: itself
}

func subjects() []subject {
	tiny := func(s modeltest.Spec) func(t *testing.T) string {
		return func(t *testing.T) string { return modeltest.WriteTiny(t, s) }
	}
	return []subject{
		{"stories260K", builtinFile, 128, 8, []int32{2}, nil},
		{"tiny Q8_0", tiny(modeltest.Spec{Seed: 1, Type: quant.Q8_0, Biases: true}), 96, 16, []int32{2, 17, 18, 19}, tiny(modeltest.Spec{Seed: 1, Type: quant.Q4_0, Biases: true})},
		{"tiny Q4_1", tiny(modeltest.Spec{Seed: 2, Type: quant.Q4_1, Untied: true, Context: 192, HeadDim: 32}), 192, 32, []int32{2, 17, 18, 19}, tiny(modeltest.Spec{Seed: 2, Untied: true, Context: 100})},
		{"tiny Q4_K", tiny(modeltest.Spec{Seed: 3, Type: quant.Q4_K, HeadDim: 64}), 100, 64, []int32{2}, tiny(modeltest.Spec{Seed: 3, Type: quant.Q8_0, HeadDim: 64, Width: 256})},
		{"tiny F16", tiny(modeltest.Spec{Seed: 4, Type: quant.F16, KVHeads: 1}), 80, 16, []int32{2, 40, 41}, tiny(modeltest.Spec{Seed: 5, KVHeads: 1})},
	}
}

// cpuLevels are the levels to compare: all that this machine has, or the one that WEFT_CPU names beside the reference.
func cpuLevels() []string {
	if level := os.Getenv("WEFT_CPU"); level != "" {
		return []string{level}
	}
	return cpu.Levels()
}

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
		p, f := metamorphic(t, d, seed, kernels.CacheTypes())
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
			p, _ := metamorphic(t, d, seed, []kernels.CacheType{typ})
			preempted += p
		}
		t.Logf("%s: %d preemptions", typ, preempted)
	}
}

// TestLongMetamorphic goes on for the time in WEFT_LONG.
func TestLongMetamorphic(t *testing.T) {
	text := os.Getenv("WEFT_LONG")
	if text == "" {
		t.Skip("set WEFT_LONG to a duration")
	}
	length, err := time.ParseDuration(text)
	if err != nil {
		t.Fatal(err)
	}
	d := newDevices(t)
	for seed, end := rand.Uint64()>>16, time.Now().Add(length); time.Now().Before(end) && !t.Failed(); seed++ {
		metamorphic(t, d, seed, kernels.CacheTypes())
	}
	t.Logf("%d tokens compared, %d of them of requests with adapters", d.tokens, d.adapted)
}

// metamorphic runs one seed, on a model and one of the cache types that fits it, and returns how often a sequence was preempted and
// how many tokens were found in the cache.
func metamorphic(t *testing.T, d *devices, seed uint64, caches []kernels.CacheType) (preempted uint64, reused int) {
	r := rand.New(rand.NewPCG(seed, 0))
	all := subjects()
	of, cache := all[r.IntN(len(all))], caches[r.IntN(len(caches))]
	for !cache.Fits(of.headDim) {
		of, cache = all[r.IntN(len(all))], caches[r.IntN(len(caches))]
	}
	v := drawVariant(r, cpuLevels())
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
			Model: model, EOG: of.eog, CacheType: cache, ContextLen: of.contextLen, PageTokens: 16, MaxBatch: 1, NoSharing: true,
		}, cpu.Options{Threads: 1, Level: "ref"})
		for i, req := range requests {
			alone[i] = ask(t, reference, req, func() {})
		}
		reference.Close()

		cfg := Config{
			Model: model, EOG: of.eog, CacheType: cache, ContextLen: of.contextLen, PageTokens: v.PageTokens, MaxBatch: v.MaxBatch,
			StepTokens: v.StepTokens, StreamTokens: v.StreamTokens, Pages: (of.contextLen+v.PageTokens-1)/v.PageTokens + v.Spare,
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
				d.tokens += len(alone[i].Tokens)
				if len(requests[i].Adapters) > 0 {
					d.adapted += len(alone[i].Tokens)
				}
			}
		}
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
