package engine

import (
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"testing"
	"time"

	"github.com/weft-run/weft/kernels"
	"github.com/weft-run/weft/kernels/quant"
	"github.com/weft-run/weft/runtime/modeltest"
)

// howLong reads how much a long test is to do: the tokens in WEFT_TEST_TOKENS, or what it can in the time in WEFT_LONG.
func howLong(t *testing.T) (tokens int, length time.Duration) {
	t.Helper()
	tokens, length = 1<<60, 1<<60
	var err error
	if text := os.Getenv("WEFT_TEST_TOKENS"); text != "" {
		if tokens, err = strconv.Atoi(text); err != nil {
			t.Fatal(err)
		}
	} else if text = os.Getenv("WEFT_LONG"); text != "" {
		if length, err = time.ParseDuration(text); err != nil {
			t.Fatal(err)
		}
	} else {
		t.Skip("set WEFT_TEST_TOKENS to a number or WEFT_LONG to a duration")
	}
	return tokens, length
}

// tinyHerd is a model so small that most of a step is bookkeeping.
func tinyHerd(t *testing.T) func(seed uint64) *herd {
	return func(seed uint64) *herd {
		r := rand.New(rand.NewPCG(seed, 3))
		types := []quant.Type{quant.Q8_0, quant.Q4_0, quant.Q4_1, quant.F16, quant.F32}
		spec := modeltest.Spec{
			Seed: seed, Width: 32, Heads: 2, KVHeads: 1 + r.IntN(2), HeadDim: 16, FFN: 32, Layers: 1 + r.IntN(2), Context: 96,
			Type: types[r.IntN(len(types))], Untied: r.IntN(3) == 0, Biases: r.IntN(3) == 0,
		}
		caches := []kernels.CacheType{kernels.CacheF16, kernels.CacheF16, kernels.CacheF32}
		if r.IntN(3) == 0 {
			spec.HeadDim, caches = 32, []kernels.CacheType{kernels.CacheQ8_0, kernels.CacheQ4_0}
		}
		h := &herd{
			name: fmt.Sprintf("tiny %s", spec.Type), model: load(t, modeltest.WriteTiny(t, spec)), cache: caches[r.IntN(len(caches))], contextLen: 96,
			questions: 32, byRef: 16, refTokens: 96, rounds: 24, longest: 60, answers: 32, vary: func(r *rand.Rand) variant {
				v := drawVariant(r, cpuLevels())
				if v.CPU.Level == "ref" && r.IntN(4) > 0 {
					v.CPU.Level = os.Getenv("WEFT_CPU")
				}
				v.CPU.Threads = max(1, r.IntN(6)-3) // a second one is of little use here, and waits for the first
				return v
			},
		}
		for i := range h.ranks {
			h.ranks[i] = 1 + r.IntN(20)
		}
		return h
	}
}

// TestAdaptersAlike is the test of likeness in short.
func TestAdaptersAlike(t *testing.T) {
	tokens := 20_000
	if testing.Short() {
		tokens = 2_000
	}
	new(likeness).run(t, 1, tokens, time.Hour, tinyHerd(t))
}

// TestLongAdaptersAlike goes on for the tokens in WEFT_TEST_TOKENS or the time in WEFT_LONG.
func TestLongAdaptersAlike(t *testing.T) {
	tokens, length := howLong(t)
	new(likeness).run(t, rand.Uint64()>>24, tokens, length, tinyHerd(t))
}

// TestLongAdaptersAlikeSmolLM2 is the same on a real model.
func TestLongAdaptersAlikeSmolLM2(t *testing.T) {
	tokens, length := howLong(t)
	model := load(t, modeltest.File(t, "SmolLM2-135M-Instruct.Q4_1.gguf"))
	questions := 24
	if os.Getenv("WEFT_TEST_TOKENS") == "" {
		questions = 6 // in little time, leave some for the rounds
	}
	new(likeness).run(t, rand.Uint64()>>24, tokens, length, func(uint64) *herd {
		return &herd{
			name: "SmolLM2", model: model, contextLen: 112, ranks: [5]int{8, 16, 4, 32, 64},
			questions: questions, byRef: 1, refTokens: 12, rounds: 20, longest: 40, answers: 64, vary: func(r *rand.Rand) variant {
				v := drawVariant(r, []string{os.Getenv("WEFT_CPU")})
				v.CPU.Threads, v.MaxBatch, v.StepTokens = max(1, r.IntN(4)-1), 6+r.IntN(11), 16+r.IntN(100)
				v.Spare += 7 // some of the sequences find room
				v.Guesses = []string{"right", "right", "own", "off", "mixed"}[r.IntN(5)]
				return v
			},
		}
	})
}
