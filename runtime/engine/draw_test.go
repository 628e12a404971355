package engine

import (
	"math/rand/v2"
	"os"
	"testing"

	"github.com/weft-run/weft/kernels/cpu"
	"github.com/weft-run/weft/kernels/quant"
	"github.com/weft-run/weft/runtime/modeltest"
	"github.com/weft-run/weft/runtime/sampler"
)

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
