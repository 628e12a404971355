package server

import (
	"math/rand/v2"
	"time"

	"github.com/weft-run/weft/daemon/api"
	"github.com/weft-run/weft/runtime/engine"
	"github.com/weft-run/weft/runtime/sampler"
)

// maxDrawnSeed keeps a seed that the server draws within what every JSON reader holds exactly, so that a client can send it back.
const maxDrawnSeed = 1 << 53

// settleSampling joins a request's fields with the model's own defaults: what the request says counts, then what the model's
// settings say, then plain sampling.
func settleSampling(r *api.Sampling, model *Model) (sampler.Params, error) {
	p := sampler.Default()
	number := func(dst *float64, name string, given *float64) {
		if v, ok := model.Sampling[name]; ok {
			*dst = v
		}
		if given != nil {
			*dst = *given
		}
	}
	whole := func(dst *int, name string, given *int) {
		if v, ok := model.Sampling[name]; ok {
			*dst = int(v)
		}
		if given != nil {
			*dst = *given
		}
	}
	number(&p.Temperature, "temperature", r.Temperature)
	number(&p.TopP, "top_p", r.TopP)
	whole(&p.TopK, "top_k", r.TopK)
	number(&p.MinP, "min_p", r.MinP)
	number(&p.Typical, "typical_p", r.TypicalP)
	number(&p.RepetitionPenalty, "repetition_penalty", r.RepetitionPenalty)
	number(&p.FrequencyPenalty, "frequency_penalty", r.FrequencyPenalty)
	number(&p.PresencePenalty, "presence_penalty", r.PresencePenalty)
	whole(&p.PenaltyLastN, "repeat_last_n", r.RepeatLastN)
	p.LogitBias = r.LogitBias
	switch v, ok := model.Sampling["seed"]; {
	case r.Seed != nil:
		p.Seed = uint64(*r.Seed)
	case ok:
		p.Seed = uint64(v)
	default:
		p.Seed = rand.Uint64N(maxDrawnSeed)
	}
	return p, p.Validate(model.Tokenizer.Size())
}

// settleLimit is how many tokens to generate at most: what the request says, else the model's settings, else fallback.
func settleLimit(given *int, model *Model, fallback int) int {
	if given != nil {
		return *given
	}
	if v, ok := model.Sampling["max_tokens"]; ok {
		return int(v)
	}
	return fallback
}

// settleTurn says when a request that arrived then has its turn among others, and when it is given up.
func settleTurn(r *engine.Request, in *api.Sampling, arrived time.Time) {
	if in.ServiceTier == api.TierFlex || in.ServiceTier == api.TierBatch {
		r.Class = engine.Batch
	}
	if in.Priority != nil {
		r.Priority = *in.Priority
	}
	if in.Deadline != nil {
		r.Deadline = arrived.Add(time.Duration(*in.Deadline) * time.Millisecond)
	}
}
