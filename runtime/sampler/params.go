package sampler

import (
	"fmt"
	"math"
)

// Params says how a token is chosen. The zero value is not valid; start from Default.
type Params struct {
	// Temperature divides the logits. Below 1e-5 the most probable token is taken, ties by the lower id.
	Temperature float64
	// TopK keeps the k most probable tokens; 0 and -1 keep all.
	TopK int
	// Typical keeps the smallest set of tokens of this mass whose information is closest to the expected one (Meister et
	// al., 2023); 1 keeps all.
	Typical float64
	// TopP keeps the smallest set of most probable tokens with at least this mass (Holtzman et al., 2020); 1 keeps all,
	// 0 keeps one.
	TopP float64
	// MinP keeps the tokens at least this probable in relation to the most probable one; 0 keeps all.
	MinP float64
	// RepetitionPenalty divides positive and multiplies negative logits of tokens in the prompt or the output (Keskar et
	// al., 2019); 1 changes nothing.
	RepetitionPenalty float64
	// FrequencyPenalty is taken off a logit for each time that the token is in the output, PresencePenalty once if it is.
	FrequencyPenalty, PresencePenalty float64
	// PenaltyLastN is how many tokens, the last of prompt and output, the three penalties look at: -1 is all, 0 is none.
	PenaltyLastN int
	// LogitBias is added to the logits of the tokens named.
	LogitBias map[int32]float32
	// Seed decides, with the position alone, what chance does.
	Seed uint64
	// TopLogprobs is how many of the best tokens are listed with each token; 0 gives the logprob of the token alone, -1 nothing.
	TopLogprobs int
}

// Limits of what a request may ask for.
const (
	maxTemperature = 100
	maxTopLogprobs = 1024
	maxBias        = 100
	// greedyBelow is the temperature under which dividing by it says nothing but "the best".
	greedyBelow = 1e-5
)

// Default returns plain sampling from the model's own distribution: temperature 1, everything else off.
func Default() Params {
	return Params{Temperature: 1, Typical: 1, TopP: 1, RepetitionPenalty: 1, PenaltyLastN: -1, TopLogprobs: -1}
}

// FieldError says which field of Params is wrong. Field is the name that the field has in a request.
type FieldError struct {
	Field string
	Got   any
	Want  string
}

func (e *FieldError) Error() string {
	return fmt.Sprintf("sampler: %s is %v, want %s", e.Field, e.Got, e.Want)
}

// Validate checks every field against its range and the vocabulary; the error is a *FieldError.
func (p Params) Validate(vocab int) error {
	inf := math.Inf(1)
	for _, f := range []struct {
		name      string
		got       float64
		low, high float64
		want      string
	}{
		{"temperature", p.Temperature, 0, maxTemperature, "0 to 100"},
		{"typical_p", p.Typical, math.SmallestNonzeroFloat64, 1, "a number above 0 and up to 1"},
		{"top_p", p.TopP, 0, 1, "0 to 1"},
		{"min_p", p.MinP, 0, 1, "0 to 1"},
		{"repetition_penalty", p.RepetitionPenalty, 1e-3, 1e3, "0.001 to 1000"},
		{"frequency_penalty", p.FrequencyPenalty, -2, 2, "-2 to 2"},
		{"presence_penalty", p.PresencePenalty, -2, 2, "-2 to 2"},
		{"top_k", float64(p.TopK), -1, inf, "-1 or more"},
		{"repeat_last_n", float64(p.PenaltyLastN), -1, inf, "-1 or more"},
		{"top_logprobs", float64(p.TopLogprobs), -1, maxTopLogprobs, "0 to 1024"},
	} {
		if !(f.got >= f.low && f.got <= f.high) { // so that NaN is refused
			return &FieldError{Field: f.name, Got: f.got, Want: f.want}
		}
	}
	worst := int32(-1) // the lowest wrong id: the error must not depend on the map's order
	for id, bias := range p.LogitBias {
		outside := id < 0 || int(id) >= vocab || !(bias >= -maxBias && bias <= maxBias)
		if outside && (worst == -1 || id < worst) {
			worst = id
		}
	}
	if bias, ok := p.LogitBias[worst]; ok {
		return &FieldError{
			Field: "logit_bias", Got: fmt.Sprintf("%d: %v", worst, bias),
			Want: fmt.Sprintf("token ids below %d with -100 to 100", vocab),
		}
	}
	return nil
}
