package main

import (
	"github.com/spf13/pflag"

	"github.com/weft-run/weft/daemon/api"
)

// samplingFlags are the flags that say how tokens are chosen. Those not given are the model's own settings.
type samplingFlags struct {
	temp, topP, minP, typical       float64
	repetition, frequency, presence float64
	topK                            int
	seed                            int64
	stop                            []string
	ignoreEOS                       bool
}

func (s *samplingFlags) add(f *pflag.FlagSet) {
	f.Float64Var(&s.temp, "temp", 0, "temperature; 0 takes the likeliest token each time (default: the model's own, as for all below)")
	f.IntVar(&s.topK, "top-k", 0, "choose among the K likeliest tokens; 0 is off")
	f.Float64Var(&s.topP, "top-p", 0, "choose among the likeliest tokens that have this probability together")
	f.Float64Var(&s.minP, "min-p", 0, "leave out tokens less likely than this times the likeliest")
	f.Float64Var(&s.typical, "typical-p", 0, "choose among the most typical tokens that have this probability together")
	f.Float64Var(&s.repetition, "repetition-penalty", 0, "divide the logits of tokens that are there already by this; 1 is off")
	f.Float64Var(&s.frequency, "frequency-penalty", 0, "lower a token's logit by this for each time it was generated")
	f.Float64Var(&s.presence, "presence-penalty", 0, "lower a token's logit by this once it was generated")
	f.Int64Var(&s.seed, "seed", 0, "seed of chance; the same request with the same seed gives the same answer (default: drawn)")
	f.StringArrayVar(&s.stop, "stop", nil, "end the answer before this text (repeatable)")
	f.BoolVar(&s.ignoreEOS, "ignore-eos", false, "go on where the model would end")
}

// given returns the flags that were on the command line.
func (s *samplingFlags) given(f *pflag.FlagSet) api.Sampling {
	out := api.Sampling{Stop: s.stop, IgnoreEOS: s.ignoreEOS}
	for name, field := range map[string]struct {
		from *float64
		to   **float64
	}{
		"temp": {&s.temp, &out.Temperature}, "top-p": {&s.topP, &out.TopP}, "min-p": {&s.minP, &out.MinP},
		"typical-p": {&s.typical, &out.TypicalP}, "repetition-penalty": {&s.repetition, &out.RepetitionPenalty},
		"frequency-penalty": {&s.frequency, &out.FrequencyPenalty}, "presence-penalty": {&s.presence, &out.PresencePenalty},
	} {
		if f.Changed(name) {
			*field.to = field.from
		}
	}
	if f.Changed("top-k") {
		out.TopK = &s.topK
	}
	if f.Changed("seed") {
		out.Seed = &s.seed
	}
	return out
}
