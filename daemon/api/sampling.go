package api

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// Sampling holds the fields that chat and text completions share. A nil pointer is a field that was not given: the model's own
// settings decide, then the server's defaults.
type Sampling struct {
	Temperature       *float64          `json:"temperature,omitempty"`
	TopP              *float64          `json:"top_p,omitempty"`
	TopK              *int              `json:"top_k,omitempty"` // 0 and -1: off
	MinP              *float64          `json:"min_p,omitempty"`
	TypicalP          *float64          `json:"typical_p,omitempty"`
	RepetitionPenalty *float64          `json:"repetition_penalty,omitempty"` // also read as repeat_penalty
	RepeatLastN       *int              `json:"repeat_last_n,omitempty"`      // tokens the penalties look at; -1: all
	FrequencyPenalty  *float64          `json:"frequency_penalty,omitempty"`
	PresencePenalty   *float64          `json:"presence_penalty,omitempty"`
	LogitBias         map[int32]float32 `json:"logit_bias,omitempty"`
	Seed              *int64            `json:"seed,omitempty"` // nil and -1: the server draws one and states it

	N                      int            `json:"n,omitempty"` // 0 means 1
	Stop                   Stops          `json:"stop,omitempty"`
	Stream                 bool           `json:"stream,omitempty"`
	StreamOptions          *StreamOptions `json:"stream_options,omitempty"`
	IgnoreEOS              bool           `json:"ignore_eos,omitempty"`
	ReturnTokenIDs         bool           `json:"return_token_ids,omitempty"`
	ReturnTokensAsTokenIDs bool           `json:"return_tokens_as_token_ids,omitempty"`
	User                   string         `json:"user,omitempty"`
	// Priority orders the caller's own requests, the lower first, as in vLLM; those of ServiceTier "flex" or "batch" come after all others.
	Priority    *int   `json:"priority,omitempty"`
	ServiceTier string `json:"service_tier,omitempty"`
	// Deadline is how many milliseconds after its arrival the request is given up.
	Deadline *int `json:"deadline_ms,omitempty"`
	// Receipt asks for all that decides the answer, see Info.
	Receipt bool `json:"receipt,omitempty"`
	// CacheSalt parts the caller's requests: what one leaves in the cache is found only by those of the same salt.
	CacheSalt string `json:"cache_salt,omitempty"`
	// Adapters are applied in this order. nil: as the model's name and settings say; empty: none.
	Adapters []AdapterChoice `json:"adapters,omitempty"`
	LoRA     []LoRAChoice    `json:"lora,omitempty"`
	// Session names a conversation of the caller, whose cache the server keeps on disk; see validSession for what a name may be.
	Session string `json:"session,omitempty"`
}

// StreamOptions say what a stream carries besides its text.
type StreamOptions struct {
	IncludeUsage bool `json:"include_usage"`
}

// Stops are stop strings: on the wire one string or an array of them.
type Stops []string

// IncludeUsage says whether the stream is to end with its usage.
func (s *Sampling) IncludeUsage() bool { return s.StreamOptions != nil && s.StreamOptions.IncludeUsage }

// Choices is the number of choices wanted for each prompt, at least 1.
func (s *Sampling) Choices() int { return max(s.N, 1) }

// refused lists fields that other servers know and that change an answer: passing over them would be wrong without a word.
var refused = map[string]string{
	"grammar":            "constrained output is not yet available",
	"json_schema":        "constrained output is not yet available",
	"structured_outputs": "constrained output is not yet available",
	"guided_json":        "constrained output is not yet available",
	"guided_regex":       "constrained output is not yet available",
	"guided_choice":      "constrained output is not yet available",
	"guided_grammar":     "constrained output is not yet available",
	"chat_template":      "a template belongs to its model and is never taken from a request; see `template` in the model's settings",
}

// table lists the shared fields. repeat holds the value of repeat_penalty until the whole object is read.
func (s *Sampling) table(l Limits, repeat **float64) table {
	t := table{
		"temperature":        number(&s.Temperature, 0, 100),
		"top_p":              number(&s.TopP, 0, 1),
		"top_k":              integer(&s.TopK, -1, MaxTokens),
		"min_p":              number(&s.MinP, 0, 1),
		"typical_p":          positive(&s.TypicalP, 1),
		"repetition_penalty": number(&s.RepetitionPenalty, 0.001, 100),
		"repeat_penalty":     number(repeat, 0.001, 100),
		"repeat_last_n":      integer(&s.RepeatLastN, -1, MaxTokens),
		"frequency_penalty":  number(&s.FrequencyPenalty, -2, 2),
		"presence_penalty":   number(&s.PresencePenalty, -2, 2),
		"logit_bias":         l.logitBias(&s.LogitBias),
		"seed":               seed(&s.Seed),
		"n": func(path string, v value) error {
			n, err := v.integer(path, 1, int64(l.N))
			s.N = int(n)
			return err
		},
		"stop":                       l.stops(&s.Stop),
		"stream":                     boolean(&s.Stream),
		"ignore_eos":                 boolean(&s.IgnoreEOS),
		"return_token_ids":           boolean(&s.ReturnTokenIDs),
		"return_tokens_as_token_ids": boolean(&s.ReturnTokensAsTokenIDs),
		"receipt":                    boolean(&s.Receipt),
		"priority":                   integer(&s.Priority, -MaxPriority, MaxPriority),
		"service_tier":               serviceTier(&s.ServiceTier),
		"deadline_ms":                integer(&s.Deadline, 1, MaxDeadline),
		"user":                       text(&s.User, MaxNameBytes),
		"cache_salt":                 text(&s.CacheSalt, MaxNameBytes),
		"session":                    sessionName(&s.Session),
		"response_format":            responseFormat,
		"adapters":                   adapterChoices(&s.Adapters),
		"lora":                       loraChoices(&s.LoRA),
	}
	for name, reason := range refused {
		t[name] = unsupported(reason, "[]", "false")
	}
	return t
}

// MaxPriority bounds the priority of a request, up and down; MaxDeadline its deadline, a day in milliseconds.
const (
	MaxPriority = 1 << 20
	MaxDeadline = 24 * 60 * 60 * 1000
)

// The service tiers whose answers nobody waits for.
const (
	TierFlex  = "flex"
	TierBatch = "batch"
)

// serviceTier reads OpenAI's service_tier, and "batch".
func serviceTier(dst *string) setter {
	tiers := []string{"auto", "default", "scale", "priority", TierFlex, TierBatch}
	return func(path string, v value) error {
		if err := text(dst, MaxNameBytes)(path, v); err != nil {
			return err
		}
		if !slices.Contains(tiers, *dst) {
			return &FieldError{Field: path, Want: "one of " + strings.Join(tiers, ", "), Got: strconv.Quote(shorten(*dst))}
		}
		return nil
	}
}

// settle checks what only the whole object shows.
func (s *Sampling) settle(repeat *float64) error {
	if s.RepetitionPenalty == nil {
		s.RepetitionPenalty = repeat
	}
	if s.StreamOptions != nil && !s.Stream {
		return &FieldError{Field: "stream_options", Want: "it only beside \"stream\": true", Got: "it without"}
	}
	return nil
}

func streamOptions(dst **StreamOptions, ignored *[]string) setter {
	return func(path string, v value) error {
		if !v.isObject() {
			return &FieldError{Field: path, Want: "an object", Got: v.String()}
		}
		var o StreamOptions
		*dst = &o
		return table{"include_usage": boolean(&o.IncludeUsage)}.read(path+".", v, ignored)
	}
}

func seed(dst **int64) setter {
	return func(path string, v value) error {
		n, err := v.integer(path, -1, 1<<63-1)
		if err != nil {
			return err
		}
		if n >= 0 { // -1 is how users of other servers ask for a seed drawn at random
			*dst = &n
		}
		return nil
	}
}

func (l Limits) stops(dst *Stops) setter {
	return func(path string, v value) error {
		one := func(path string, v value) error {
			var s string
			if err := text(&s, l.StopBytes)(path, v); err != nil {
				return err
			}
			if s == "" {
				return &FieldError{Field: path, Want: "a string that is not empty", Got: v.String()}
			}
			*dst = append(*dst, s)
			return nil
		}
		switch {
		case v.isString():
			return one(path, v)
		case v.isArray():
			for i, e := range v.elements() {
				if i == l.Stops {
					return &FieldError{Field: path, Want: fmt.Sprintf("at most %d stop strings", l.Stops), Got: "more"}
				}
				if err := one(fmt.Sprintf("%s[%d]", path, i), e); err != nil {
					return err
				}
			}
			return nil
		}
		return &FieldError{Field: path, Want: "a string or an array of strings", Got: v.String()}
	}
}

func (l Limits) logitBias(dst *map[int32]float32) setter {
	return func(path string, v value) error {
		if !v.isObject() {
			return &FieldError{Field: path, Want: "an object from token id to bias", Got: v.String()}
		}
		m := make(map[int32]float32)
		for name, e := range v.members() {
			path := fmt.Sprintf("%s[%q]", path, shorten(name))
			id, err := strconv.ParseInt(name, 10, 32)
			if err != nil || id < 0 {
				return &FieldError{Field: path, Want: "a token id as the name", Got: strconv.Quote(shorten(name))}
			}
			f, ok := e.float()
			if !ok || f < -100 || f > 100 {
				return &FieldError{Field: path, Want: "a number from -100 to 100", Got: e.String()}
			}
			m[int32(id)] = float32(f)
			if len(m) > l.LogitBias {
				return &FieldError{Field: path, Want: fmt.Sprintf("at most %d entries", l.LogitBias), Got: "more"}
			}
		}
		*dst = m
		return nil
	}
}

// responseFormat accepts plain text and refuses every constraint by its name.
func responseFormat(path string, v value) error {
	if !v.isObject() {
		return &FieldError{Field: path, Want: "an object", Got: v.String()}
	}
	var kind string
	if err := (table{"type": text(&kind, MaxNameBytes)}).read(path+".", v, nil); err != nil {
		return err
	}
	switch kind {
	case "text":
		return nil
	case "":
		return &FieldError{Field: path + ".type", Want: "a string"}
	}
	return &UnsupportedError{Field: path, Reason: fmt.Sprintf("type %q is not yet available, only \"text\"", shorten(kind))}
}

// UnmarshalJSON reads one string or an array of them.
func (s *Stops) UnmarshalJSON(b []byte) error {
	var one string
	if json.Unmarshal(b, &one) == nil {
		*s = Stops{one}
		return nil
	}
	return json.Unmarshal(b, (*[]string)(s))
}
