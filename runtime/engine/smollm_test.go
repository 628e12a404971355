package engine

import (
	"math/rand/v2"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/weft-run/weft/kernels/cpu"
	"github.com/weft-run/weft/runtime/modeltest"
)

// TestSmolLM2SameBits: on a real model a request has the same tokens, logprobs and logits alone or among seven others, on one
// thread or two, its prompt computed whole or in chunks of 1, 7 and 64, at the best CPU level or by the reference.
func TestSmolLM2SameBits(t *testing.T) {
	if testing.Short() {
		t.Skip("computes a real model")
	}
	model := load(t, modeltest.File(t, "SmolLM2-135M-Instruct.Q4_1.gguf"))
	d := newDevices(t)
	r := rand.New(rand.NewPCG(8, 0))
	var requests []Request
	for i := range 8 {
		req := drawRequest(r, 2000, 8)
		req.Prompt, req.MaxTokens, req.PromptOnly, req.PromptLogprobs = make([]int32, 4+3*i), 4, false, false
		if i == 0 {
			req.Prompt, req.MaxTokens = make([]int32, 70), 5
		}
		for k := range req.Prompt {
			req.Prompt[k] = int32(r.IntN(2000)) // the frequent tokens of its vocabulary
		}
		requests = append(requests, req)
	}
	const contextLen = 96
	var want answer
	same := func(o cpu.Options, chunk, others int) {
		t.Helper()
		e := open(t, d, Config{Model: model, EOG: []int32{2}, ContextLen: contextLen, StepTokens: chunk}, o)
		var running sync.WaitGroup
		for _, req := range requests[1 : 1+others] {
			running.Go(func() { ask(t, e, req, func() {}) })
		}
		got := ask(t, e, requests[0], func() {})
		running.Wait()
		e.Close()
		if want.Tokens == nil {
			want = got
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%+v, chunks of %d, %d others:\n%s", o, chunk, others, diff)
		}
	}
	for _, threads := range []int{1, 2} {
		for _, chunk := range []int{512, 64, 7, 1} {
			for _, others := range []int{0, 7} {
				same(cpu.Options{Threads: threads}, chunk, others)
			}
		}
	}
	same(cpu.Options{Threads: 2, Level: "ref"}, 64, 3)
}
