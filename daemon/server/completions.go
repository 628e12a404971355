package server

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/weft-run/weft/daemon/api"
	"github.com/weft-run/weft/runtime/engine"
	"github.com/weft-run/weft/runtime/tokenizer"
)

func (s *Server) handleCompletions(w http.ResponseWriter, r *http.Request, rec *record) error {
	body, err := s.readBody(w, r, rec)
	if err != nil {
		return err
	}
	req, err := s.o.Limits.DecodeCompletion(body)
	if err != nil {
		return err
	}
	model, err := s.acquire(r.Context(), rec, wantedBy(req.Model, &req.Sampling))
	if err != nil {
		return err
	}
	defer model.Release()
	prompts, err := s.encodePrompts(r.Context(), model, req.Prompt)
	if err != nil {
		return err
	}
	s.leave(rec) // texts and ids were copied out of the body
	params, err := settleSampling(&req.Sampling, model)
	if err != nil {
		return err
	}
	if req.Logprobs != nil {
		params.TopLogprobs = *req.Logprobs
	}
	limit := settleLimit(req.MaxTokens, model, api.DefaultCompletionTokens)
	a := &completionAnswer{
		s: s, rec: rec, req: req, id: "cmpl-" + strings.TrimPrefix(rec.id, "req-"), created: time.Now().Unix(),
		pieces: pieces{model: model, asIDs: req.ReturnTokensAsTokenIDs},
		job: &job{
			model: model, prompts: prompts, n: req.Choices(), stops: makeStops(req.Stop), salt: req.CacheSalt, receipt: req.Receipt,
			request: engine.Request{
				MaxTokens: limit, PromptOnly: limit == 0, Sampling: params, IgnoreEOS: req.IgnoreEOS, Session: req.Session,
				PromptLogprobs: req.Echo && req.Logprobs != nil,
			},
		},
	}
	settleTurn(&a.job.request, &req.Sampling, rec.arrived)
	if err := a.job.checkReceipts(); err != nil {
		return err
	}
	if req.Echo {
		a.echo = echoes(model, req.Prompt)
	}
	if req.Stream {
		return a.stream(w, r)
	}
	return a.whole(w, r)
}

// encodePrompts turns prompts into token ids. Special tokens in a text are parsed, as llama-server and vLLM do it, since programs send
// chats that they rendered themselves this way; BOS is added by the model's rule. Token ids are taken as they are.
func (s *Server) encodePrompts(ctx context.Context, model *Model, p api.Prompt) ([][]int32, error) {
	var prompts [][]int32
	for i, text := range p.Texts {
		ids, err := s.encode(ctx, model, text, model.ContextLength, tokenizer.EncodeOptions{ParseSpecial: true, AddBOS: model.Tokenizer.AddsBOS()})
		if err != nil {
			return nil, err
		}
		if len(ids) == 0 {
			return nil, &api.FieldError{Field: promptPath(p, i), Want: "a text of at least one token", Got: "one of none"}
		}
		prompts = append(prompts, ids)
	}
	for i, ids := range p.Tokens {
		if err := checkTokens(model, promptPath(p, i), ids); err != nil {
			return nil, err
		}
		prompts = append(prompts, ids)
	}
	return prompts, nil
}

func promptPath(p api.Prompt, i int) string {
	if p.Len() == 1 {
		return "prompt"
	}
	return fmt.Sprintf("prompt[%d]", i)
}

// checkTokens refuses token ids that the model does not have.
func checkTokens(model *Model, path string, ids []int32) error {
	size := model.Tokenizer.Size()
	for i, id := range ids {
		if int(id) >= size {
			return &api.FieldError{Field: fmt.Sprintf("%s[%d]", path, i), Want: fmt.Sprintf("a token id below %d", size), Got: fmt.Sprintf("the number %d", id)}
		}
	}
	return nil
}

// echoes is the text of each prompt: as it was given, or what its token ids say without special tokens.
func echoes(model *Model, p api.Prompt) []string {
	if p.Tokens == nil {
		return p.Texts
	}
	out := make([]string, len(p.Tokens))
	for i, ids := range p.Tokens {
		plain := make([]int32, 0, len(ids))
		for _, id := range ids {
			if !model.Tokenizer.IsSpecial(id) {
				plain = append(plain, id)
			}
		}
		out[i] = strings.ToValidUTF8(string(model.Tokenizer.Decode(plain)), "\uFFFD")
	}
	return out
}

// completionAnswer writes one text completion, whole or streamed.
type completionAnswer struct {
	s       *Server
	rec     *record
	req     *api.CompletionRequest
	job     *job
	id      string
	created int64
	pieces  pieces
	echo    []string // of each prompt; nil without echo
}

func (a *completionAnswer) envelope(choices ...api.CompletionChoice) *api.Completion {
	if choices == nil {
		choices = []api.CompletionChoice{}
	}
	return &api.Completion{
		ID: a.id, Object: "text_completion", Created: a.created, Model: a.job.model.Base.Name,
		Choices: choices, SystemFingerprint: fingerprint(a.job.model),
	}
}

// piece is what one event adds to its choice.
func (a *completionAnswer) piece(ev event) api.CompletionChoice {
	c := api.CompletionChoice{Index: ev.choice, Text: ev.text}
	prompt := ev.choice / a.job.n
	start := 0 // code points of the echo before the generated text
	if a.echo != nil {
		start = utf8.RuneCountInString(a.echo[prompt])
	}
	switch {
	case ev.first:
		if a.echo != nil {
			c.Text = a.echo[prompt]
		}
		if ev.prompt != nil {
			c.Logprobs = a.promptLogprobs(ev.prompt, start)
		}
		if a.req.ReturnTokenIDs {
			c.PromptTokenIDs = a.job.prompts[prompt]
		}
	case ev.token != nil:
		if a.req.Logprobs != nil {
			c.Logprobs = new(api.CompletionLogprobs)
			a.pieces.completion(c.Logprobs, ev.token.ID, &ev.token.Logprob, ev.token.Top, start+ev.offset)
		}
		if a.req.ReturnTokenIDs {
			c.TokenIDs = []int32{ev.token.ID}
		}
	}
	return c
}

// promptLogprobs lists the tokens of an echoed prompt. echo is the length of its text in code points: a space that the vocabulary puts
// before a text is no part of it.
func (a *completionAnswer) promptLogprobs(prompt []engine.PromptToken, echo int) *api.CompletionLogprobs {
	decoder := a.job.model.Tokenizer.NewDecoder(true)
	ends := make([]int, len(prompt)) // code points up to and with each token
	total := 0
	for i, t := range prompt {
		total += utf8.RuneCountInString(decoder.Next(t.ID))
		ends[i] = total
	}
	total += utf8.RuneCountInString(decoder.Flush())
	l := new(api.CompletionLogprobs)
	begin := 0
	for i, t := range prompt {
		var logprob *float64
		if i > 0 {
			logprob = &t.Logprob
		}
		a.pieces.completion(l, t.ID, logprob, t.Top, max(0, begin-(total-echo)))
		begin = ends[i]
	}
	return l
}

func (a *completionAnswer) whole(w http.ResponseWriter, r *http.Request) error {
	out := a.envelope(make([]api.CompletionChoice, a.job.choices())...)
	texts := make([]strings.Builder, len(out.Choices))
	timings, err := a.s.generate(r.Context(), a.rec, a.job, func(ev event) error {
		piece := a.piece(ev)
		c := &out.Choices[ev.choice]
		texts[ev.choice].WriteString(piece.Text)
		c.Logprobs = joinLogprobs(c.Logprobs, piece.Logprobs)
		c.TokenIDs = append(c.TokenIDs, piece.TokenIDs...)
		if piece.PromptTokenIDs != nil {
			c.PromptTokenIDs = piece.PromptTokenIDs
		}
		if ev.finish != "" {
			c.FinishReason = &ev.finish
		}
		return nil
	})
	if err != nil {
		return err
	}
	for i := range out.Choices {
		out.Choices[i].Index = i
		out.Choices[i].Text = texts[i].String()
	}
	out.Usage = a.job.usage(a.rec.completion)
	out.Weft = a.s.info(r.Context(), a.job, a.rec, timings, a.req.Ignored)
	return a.s.writeJSON(w, http.StatusOK, out)
}

func (a *completionAnswer) stream(w http.ResponseWriter, r *http.Request) error {
	out := a.s.newEvents(w)
	defer out.close()
	out.warm()
	var last *api.Completion
	timings, err := a.s.generate(r.Context(), a.rec, a.job, func(ev event) error {
		c := a.piece(ev)
		if ev.finish != "" {
			c.FinishReason = &ev.finish
		}
		switch {
		case ev.last: // it waits for the timings
			last = a.envelope(c)
			return nil
		case c.Text == "" && c.Logprobs == nil && c.TokenIDs == nil && c.PromptTokenIDs == nil && ev.finish == "":
			return nil // held back, or nothing to show
		}
		return out.send(a.envelope(c))
	})
	if err == nil {
		if a.req.IncludeUsage() {
			if err = out.send(last); err == nil {
				last = a.envelope()
			}
			last.Usage = a.job.usage(a.rec.completion)
		}
		if err == nil {
			last.Weft = a.s.info(r.Context(), a.job, a.rec, timings, a.req.Ignored)
			err = out.send(last)
		}
	}
	return out.end(err)
}
