package api

import (
	"encoding/json"
	"fmt"
)

// DefaultCompletionTokens is what max_tokens means for a text completion that does not say: OpenAI's 16.
const DefaultCompletionTokens = 16

// Prompt is what a text completion continues: texts, or prompts given as token ids; never both.
type Prompt struct {
	Texts  []string
	Tokens [][]int32
}

// Text returns a prompt of one text.
func Text(s string) Prompt { return Prompt{Texts: []string{s}} }

// Tokens returns a prompt of one list of token ids.
func Tokens(ids []int32) Prompt { return Prompt{Tokens: [][]int32{ids}} }

// Len is the number of prompts.
func (p Prompt) Len() int { return len(p.Texts) + len(p.Tokens) }

// MarshalJSON writes one prompt plainly and several as an array.
func (p Prompt) MarshalJSON() ([]byte, error) {
	switch {
	case len(p.Tokens) == 1:
		return json.Marshal(p.Tokens[0])
	case len(p.Tokens) > 1:
		return json.Marshal(p.Tokens)
	case len(p.Texts) == 1:
		return json.Marshal(p.Texts[0])
	}
	return json.Marshal(p.Texts)
}

// CompletionRequest is the body of POST /v1/completions.
type CompletionRequest struct {
	Model  string `json:"model"`
	Prompt Prompt `json:"prompt"`
	Sampling
	MaxTokens *int `json:"max_tokens,omitempty"` // 0 only with echo
	Logprobs  *int `json:"logprobs,omitempty"`
	Echo      bool `json:"echo,omitempty"`

	// Ignored names the fields of the body that Weft does not know. Filled by DecodeCompletion.
	Ignored []string `json:"-"`
}

// DecodeCompletion reads and checks the body of a text completion. Errors are *FieldError, *UnsupportedError or wrap ErrBody.
func (l Limits) DecodeCompletion(body []byte) (*CompletionRequest, error) {
	v, err := l.parse(body)
	if err != nil {
		return nil, err
	}
	r := new(CompletionRequest)
	var repeat *float64
	var maxCompletion, bestOf *int
	t := r.Sampling.table(l, &repeat)
	t["model"] = text(&r.Model, MaxNameBytes)
	t["prompt"] = l.prompts(&r.Prompt)
	t["max_tokens"] = integer(&r.MaxTokens, 0, MaxTokens)
	t["max_completion_tokens"] = integer(&maxCompletion, 0, MaxTokens)
	t["logprobs"] = integer(&r.Logprobs, 0, MaxTopLogprobs)
	t["echo"] = boolean(&r.Echo)
	t["suffix"] = unsupported("filling in the middle is not yet available", `""`)
	t["best_of"] = integer(&bestOf, 1, int64(l.N))
	t["stream_options"] = streamOptions(&r.StreamOptions, &r.Ignored)
	if err := t.read("", v, &r.Ignored); err != nil {
		return nil, err
	}
	limit := "max_tokens"
	if maxCompletion != nil {
		r.MaxTokens, limit = maxCompletion, "max_completion_tokens"
	}
	switch {
	case r.Model == "":
		return nil, missingModel()
	case r.Prompt.Len() == 0:
		return nil, &FieldError{Field: "prompt", Want: "a string, token ids, or an array of either"}
	case r.Prompt.Len()*r.Choices() > l.Choices:
		return nil, &FieldError{
			Field: "n", Want: fmt.Sprintf("at most %d choices in all", l.Choices),
			Got: fmt.Sprintf("%d prompts times %d", r.Prompt.Len(), r.Choices()),
		}
	case r.MaxTokens != nil && *r.MaxTokens == 0 && !r.Echo:
		return nil, &FieldError{Field: limit, Want: "at least 1, or 0 beside \"echo\": true", Got: "the number 0"}
	case bestOf != nil && *bestOf != r.Choices():
		return nil, &UnsupportedError{Field: "best_of", Reason: "choosing among more than n completions is not available"}
	}
	return r, r.settle(repeat)
}

func (l Limits) prompts(dst *Prompt) setter {
	const want = "a string, token ids, or an array of either"
	return func(path string, v value) error {
		if v.isString() {
			dst.Texts = make([]string, 1)
			return text(&dst.Texts[0], l.Text)(path, v)
		}
		if !v.isArray() {
			return &FieldError{Field: path, Want: want, Got: v.String()}
		}
		for i, e := range v.elements() {
			if e.isNumber() && i == 0 {
				var ids []int32
				err := tokenIDs(&ids)(path, v)
				dst.Tokens = [][]int32{ids}
				return err
			}
			at := fmt.Sprintf("%s[%d]", path, i)
			switch {
			case i == l.Prompts:
				return &FieldError{Field: path, Want: fmt.Sprintf("at most %d prompts", l.Prompts), Got: "more"}
			case e.isString() && dst.Tokens == nil:
				var s string
				if err := text(&s, l.Text)(at, e); err != nil {
					return err
				}
				dst.Texts = append(dst.Texts, s)
			case e.isArray() && dst.Texts == nil:
				var ids []int32
				if err := tokenIDs(&ids)(at, e); err != nil {
					return err
				}
				if len(ids) == 0 {
					return &FieldError{Field: at, Want: "at least one token id", Got: "none"}
				}
				dst.Tokens = append(dst.Tokens, ids)
			default:
				return &FieldError{Field: at, Want: "all strings or all arrays of token ids", Got: e.String()}
			}
		}
		return nil
	}
}
