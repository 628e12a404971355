package engine

import (
	"fmt"
	"math/rand/v2"
	"os"
	"reflect"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/weft-run/weft/kernels"
	"github.com/weft-run/weft/kernels/cpu"
	"github.com/weft-run/weft/runtime/models"
	"github.com/weft-run/weft/runtime/sampler"
)

// The test of likeness: what random adapters, stacks of them and none answer does not depend on who shares the steps. Some questions
// are answered alone, once each, and then asked again and again in rounds: several readers take them in random order, on shared prompts,
// with pages few enough for preemption, while others go away. The metamorphic test varies more for each request and compares fewer tokens.

// herd is what likeness is tested on: a model, and how much of it.
type herd struct {
	name       string
	model      models.Model
	cache      kernels.CacheType
	contextLen int
	ranks      [5]int
	questions  int
	byRef      int // of the questions, those that the definition of the kernels answers
	refTokens  int // of their prompts, and of their answers, at most
	rounds     int // after which other questions are made
	longest    int // prompt
	answers    int // at most about so many tokens
	vary       func(*rand.Rand) variant
}

// likeness counts what was seen.
type likeness struct {
	devices    *devices
	compared   int // tokens
	adapted    int // of these, those that adapters had a part in
	byRef      int // of these, those that the definition of the kernels had answered alone
	reused     int // prompt tokens that were found in the cache
	preempted  uint64
	accepted   uint64 // guesses that were right
	rounds     int
	distinct   int // questions
	alone, all time.Duration
}

func (l *likeness) String() string {
	return fmt.Sprintf("%d tokens compared, %d of them adapted, %d with answers by the definition; %d questions (%s alone), %d rounds (%s), %d preemptions, %d tokens reused, %d guesses right",
		l.compared, l.adapted, l.byRef, l.distinct, l.alone.Round(time.Millisecond), l.rounds, l.all.Round(time.Millisecond), l.preempted, l.reused, l.accepted)
}

// draw makes requests: a few prompts, some of which begin as others do, each asked of several lists of adapters.
func (h *herd) draw(r *rand.Rand, z *zoo) []Request {
	vocab := min(h.model.Config().Vocab, 2000) // of a real one the frequent tokens
	var prompts [][]int32
	for range max(2, h.questions/4) {
		prompt := make([]int32, 1+r.IntN(h.longest))
		for i := range prompt {
			prompt[i] = int32(r.IntN(vocab))
		}
		if n := len(prompts); n > 0 && r.IntN(2) == 0 {
			other := prompts[r.IntN(n)]
			copy(prompt, other[:r.IntN(len(other)+1)])
		}
		prompts = append(prompts, prompt)
	}
	list := make([]Request, h.questions)
	for i := range list {
		req := Request{
			Prompt: slices.Clone(prompts[r.IntN(len(prompts))]), MaxTokens: 4 + r.IntN(h.answers), IgnoreEOS: r.IntN(4) > 0, Sampling: sampler.Default(),
			Domain: []string{"one", "one", "one", "other"}[r.IntN(4)], Caller: []string{"a", "b"}[r.IntN(2)], Class: Class(r.IntN(2)), Priority: r.IntN(3) - 1,
		}
		if i < h.byRef {
			req.Prompt, req.MaxTokens = req.Prompt[:min(len(req.Prompt), h.refTokens)], min(req.MaxTokens, h.refTokens)
		}
		req.Adapters = z.draw(r, req.Prompt)
		p := &req.Sampling
		p.Seed, p.TopLogprobs = r.Uint64(), r.IntN(3)-1
		switch r.IntN(3) {
		case 0:
			p.Temperature = 0
		case 1:
			p.TopK, p.TopP, p.Temperature = 20, 0.9, 0.8
		}
		list[i] = req
	}
	return list
}

// compare makes one set of questions of h and asks them in rounds until enough says so.
func (l *likeness) compare(t *testing.T, h *herd, seed uint64, enough func() bool) {
	t.Helper()
	r := rand.New(rand.NewPCG(seed, 2))
	z := newZoo(t, h.model, seed, h.ranks)
	questions := h.draw(r, &z)
	start := time.Now()
	alone := make([]answer, len(questions))
	for from, level := range map[int]string{0: "ref", h.byRef: os.Getenv("WEFT_CPU")} {
		to := h.byRef
		if from == h.byRef {
			to = len(questions)
		}
		e := open(t, l.devices, Config{
			Model: h.model, EOG: []int32{2}, CacheType: h.cache, ContextLen: h.contextLen, PageTokens: 16, MaxBatch: 1, NoSharing: true, NoSpeculation: true,
		}, cpu.Options{Threads: 1, Level: level})
		for i := from; i < to; i++ {
			alone[i] = ask(t, e, questions[i], func() {})
		}
		e.Close()
	}
	l.distinct += len(questions)
	l.alone += time.Since(start)
	for n := range h.rounds {
		if t.Failed() || n > 0 && enough() {
			return
		}
		start = time.Now()
		l.round(t, h, r, questions, alone)
		l.all += time.Since(start)
	}
}

// round asks the questions three times over, in random order.
func (l *likeness) round(t *testing.T, h *herd, r *rand.Rand, questions []Request, alone []answer) {
	t.Helper()
	v := h.vary(r)
	e := open(t, l.devices, Config{
		Model: h.model, EOG: []int32{2}, CacheType: h.cache, ContextLen: h.contextLen, PageTokens: v.PageTokens, MaxBatch: v.MaxBatch, MaxQueue: 100,
		StepTokens: v.StepTokens, StreamTokens: v.StreamTokens, Pages: (h.contextLen+v.PageTokens-1)/v.PageTokens + v.Spare,
		NoSharing: v.NoSharing, NoSpeculation: v.Guesses == "off", guesses: guesser(v.Guesses, questions, alone, h.model.Config().Vocab),
	}, v.CPU)
	order := make([]int, 3*len(questions))
	for i := range order {
		order[i] = r.IntN(len(questions))
	}
	leavers := make([]int, len(order)) // who asks and goes away after some tokens before this question; 0: nobody
	for i := range leavers {
		if v.Cancels > 0 && r.IntN(8) == 0 {
			leavers[i] = 1 + r.IntN(5)
		}
	}
	var next, compared, adapted, byRef, reused atomic.Int64
	var readers sync.WaitGroup
	for range 1 + r.IntN(2*v.MaxBatch) {
		readers.Go(func() {
			for {
				at := int(next.Add(1)) - 1
				if at >= len(order) || t.Failed() {
					return
				}
				i := order[at]
				if leavers[at] > 0 {
					leave(t, e, questions[(i+1)%len(questions)], leavers[at])
				}
				got, found := askReused(t, e, questions[i], func() {}, func(*Stream) {})
				if !reflect.DeepEqual(alone[i], got) {
					t.Errorf("question %d (prompt of %d tokens, %d found, %d adapters) is not answered as it is alone (-alone +together):\n%s",
						i, len(questions[i].Prompt), found, len(questions[i].Adapters), cmp.Diff(alone[i], got))
				}
				n := int64(len(got.Tokens))
				compared.Add(n)
				reused.Add(int64(found))
				if len(questions[i].Adapters) > 0 {
					adapted.Add(n)
				}
				if i < h.byRef {
					byRef.Add(n)
				}
			}
		})
	}
	readers.Wait()
	if t.Failed() {
		t.Errorf("%s, cache %s, %+v", h.name, h.cache, v)
	}
	stats := e.Stats()
	e.Close()
	l.rounds++
	l.compared, l.adapted, l.byRef = l.compared+int(compared.Load()), l.adapted+int(adapted.Load()), l.byRef+int(byRef.Load())
	l.reused, l.preempted, l.accepted = l.reused+int(reused.Load()), l.preempted+stats.Preempted, l.accepted+stats.Accepted
}

// run compares herds, one for each seed from the given one on, until enough tokens were compared, or for the time.
func (l *likeness) run(t *testing.T, seed uint64, tokens int, length time.Duration, herds func(seed uint64) *herd) {
	t.Helper()
	l.devices = newDevices(t)
	if text := os.Getenv("WEFT_SEED"); text != "" {
		var err error
		if seed, err = strconv.ParseUint(text, 10, 64); err != nil {
			t.Fatal(err)
		}
	}
	first, end := seed, time.Now().Add(length)
	enough := func() bool { return l.compared >= tokens || time.Now().After(end) }
	for ; !t.Failed() && (seed == first || !enough()); seed++ {
		l.compare(t, herds(seed), seed, enough)
	}
	if t.Failed() {
		t.Errorf("repeat with\nWEFT_SEED=%d WEFT_TEST_TOKENS=50000 go test -run '%s$' ./runtime/engine", seed-1, t.Name())
	}
	if l.compared > 15_000 && (l.preempted == 0 || l.reused == 0 || l.adapted == 0 || l.byRef == 0) {
		t.Error("the rounds lacked something")
	}
	t.Logf("seeds %d to %d: %v", first, seed-1, l)
}
