package server

import (
	"fmt"
	"strings"

	"github.com/weft-run/weft/daemon/api"
	"github.com/weft-run/weft/runtime/sampler"
)

// pieces turns tokens into their entries in an answer. All tokens that were sampled have one, the token that ended the text and those
// of a stop string included, so that the lists have as many entries as usage counts tokens.
type pieces struct {
	model *Model
	asIDs bool // "token_id:17" in the place of text, as vLLM's return_tokens_as_token_ids has it
}

// text is a token as log probabilities name it. Bytes that are no character by themselves become U+FFFD.
func (p pieces) text(id int32) string {
	if p.asIDs {
		return fmt.Sprintf("token_id:%d", id)
	}
	return strings.ToValidUTF8(string(p.model.Tokenizer.Piece(id)), "\uFFFD")
}

func (p pieces) one(id int32, logprob float64) api.TokenLogprob {
	raw := p.model.Tokenizer.Piece(id)
	t := api.TokenLogprob{Token: p.text(id), Logprob: logprob, Bytes: make([]int, len(raw))}
	for i, b := range raw {
		t.Bytes[i] = int(b)
	}
	return t
}

// chat is a token's entry in a chat answer.
func (p pieces) chat(token *sampler.Token) api.ChatLogprob {
	l := api.ChatLogprob{TokenLogprob: p.one(token.ID, token.Logprob), Top: []api.TokenLogprob{}}
	for _, t := range token.Top {
		l.Top = append(l.Top, p.one(t.ID, t.Logprob))
	}
	return l
}

// completion appends a token's entry in a text completion. The alternatives are named by text alone there: of several tokens with one
// text the most probable counts, and the token itself is among them, so they may be one more than were asked for.
func (p pieces) completion(l *api.CompletionLogprobs, id int32, logprob *float64, top []sampler.Logprob, offset int) {
	name := p.text(id)
	l.Tokens = append(l.Tokens, name)
	l.TokenLogprobs = append(l.TokenLogprobs, logprob)
	l.TextOffset = append(l.TextOffset, offset)
	if logprob == nil { // the first token of a prompt
		l.TopLogprobs = append(l.TopLogprobs, nil)
		return
	}
	alternatives := make(map[string]float64, len(top)+1)
	for _, t := range top {
		name := p.text(t.ID)
		if _, ok := alternatives[name]; !ok {
			alternatives[name] = t.Logprob
		}
	}
	if _, ok := alternatives[name]; !ok {
		alternatives[name] = *logprob
	}
	l.TopLogprobs = append(l.TopLogprobs, alternatives)
}

// joinLogprobs appends b's entries to a's; either may be nil.
func joinLogprobs(a, b *api.CompletionLogprobs) *api.CompletionLogprobs {
	if a == nil || b == nil {
		if a == nil {
			return b
		}
		return a
	}
	a.Tokens = append(a.Tokens, b.Tokens...)
	a.TokenLogprobs = append(a.TokenLogprobs, b.TokenLogprobs...)
	a.TopLogprobs = append(a.TopLogprobs, b.TopLogprobs...)
	a.TextOffset = append(a.TextOffset, b.TextOffset...)
	return a
}
