package server

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/weft-run/weft/daemon/api"
	"github.com/weft-run/weft/runtime/engine"
	"github.com/weft-run/weft/runtime/sampler"
)

// digestPatience is how long an answer waits, when all else of it is there, for a digest that its receipt is to name.
const digestPatience = 30 * time.Second

// checkReceipts refuses, before anything is computed, receipts that would be too large: each holds its prompt.
func (j *job) checkReceipts() error {
	if !j.receipt {
		return nil
	}
	total := 0
	for _, p := range j.prompts {
		total += j.n * len(p)
	}
	if total > api.MaxReceiptTokens {
		return &api.FieldError{
			Field: "receipt", Want: fmt.Sprintf("at most %d prompt tokens in the receipts of all choices", api.MaxReceiptTokens), Got: strconv.Itoa(total),
		}
	}
	return nil
}

func (o *outcome) add(ev event) {
	if ev.token != nil {
		o.ids = append(o.ids, ev.token.ID)
	}
	if ev.finish != "" {
		o.finish = ev.finish
	}
}

// addReceipts puts the receipts of a job that has ended into what is said of its answer. A digest that stays unknown is stated as
// pending: the answer is there, and worth more than its receipt.
func (s *Server) addReceipts(ctx context.Context, info *api.Info, j *job) {
	ctx, cancel := context.WithTimeout(ctx, digestPatience)
	defer cancel()
	info.Base.Digest = j.model.Digest(ctx)
	all := make([]api.Receipt, len(j.outcomes))
	for i, o := range j.outcomes {
		prompt := j.prompts[i/j.n]
		all[i] = api.Receipt{
			Object: api.ReceiptObject, Version: api.ReceiptVersion, Weft: s.o.Version, Numerics: info.Numerics,
			Base: info.Base, Adapters: info.Adapters, KVType: j.model.KVType,
			Prompt: prompt, Sampling: receiptSampling(j, len(prompt), uint64(i%j.n)), Output: o.ids, FinishReason: o.finish,
		}
		if o.ids == nil {
			all[i].Output = []int32{}
		}
	}
	if len(all) == 1 {
		info.Receipt = &all[0]
		return
	}
	info.Receipts = all
}

// receiptSampling is how the choice whose seed is offset behind the job's was sampled, from a prompt of so many tokens.
func receiptSampling(j *job, prompt int, offset uint64) api.ReceiptSampling {
	p := j.request.Sampling
	r := api.ReceiptSampling{
		Temperature: p.Temperature, TopP: p.TopP, TopK: p.TopK, MinP: p.MinP, TypicalP: p.Typical, RepetitionPenalty: p.RepetitionPenalty,
		RepeatLastN: p.PenaltyLastN, FrequencyPenalty: p.FrequencyPenalty, PresencePenalty: p.PresencePenalty,
		LogitBias: p.LogitBias, Seed: p.Seed + offset, IgnoreEOS: j.request.IgnoreEOS,
	}
	for _, s := range j.stops {
		r.Stop = append(r.Stop, s.text)
	}
	// Where the context ended the answer, so must it where the context is longer.
	if !j.request.PromptOnly {
		r.MaxTokens = j.model.ContextLength - prompt
		if n := j.request.MaxTokens; n > 0 {
			r.MaxTokens = min(r.MaxTokens, n)
		}
	}
	return r
}

// receiptRequest is the request that a receipt's sampling describes: the other way of receiptSampling.
func receiptRequest(r *api.ReceiptSampling) engine.Request {
	p := sampler.Default()
	p.Temperature, p.TopP, p.TopK, p.MinP, p.Typical = r.Temperature, r.TopP, r.TopK, r.MinP, r.TypicalP
	p.RepetitionPenalty, p.PenaltyLastN = r.RepetitionPenalty, r.RepeatLastN
	p.FrequencyPenalty, p.PresencePenalty = r.FrequencyPenalty, r.PresencePenalty
	p.LogitBias, p.Seed = r.LogitBias, r.Seed
	return engine.Request{MaxTokens: r.MaxTokens, PromptOnly: r.MaxTokens == 0, Sampling: p, IgnoreEOS: r.IgnoreEOS}
}
