package server

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/weft-run/weft/daemon/api"
	"github.com/weft-run/weft/runtime/chat"
	"github.com/weft-run/weft/runtime/engine"
	"github.com/weft-run/weft/runtime/tokenizer"
)

// acquire leases the model that a request names, with the adapters that it wants.
func (s *Server) acquire(ctx context.Context, rec *record, w Wanted) (*Model, error) {
	state := s.o.State()
	if state == StateDraining {
		return nil, ErrDraining
	}
	model, err := s.o.Models.Acquire(ctx, w)
	if err != nil {
		if state == StateStarting {
			return nil, fmt.Errorf("%w: %w", ErrStarting, err)
		}
		return nil, err
	}
	rec.model, rec.adapters = model.Base.Name, model.Adapters
	return model, nil
}

// wantedBy is what a completion request says of model and adapters.
func wantedBy(model string, r *api.Sampling) Wanted {
	return Wanted{Model: model, Adapters: r.Adapters, LoRA: r.LoRA}
}

func (s *Server) handleChat(w http.ResponseWriter, r *http.Request, rec *record) error {
	body, err := s.readBody(w, r, rec)
	if err != nil {
		return err
	}
	req, err := s.o.Limits.DecodeChat(body)
	if err != nil {
		return err
	}
	model, err := s.acquire(r.Context(), rec, wantedBy(req.Model, &req.Sampling))
	if err != nil {
		return err
	}
	defer model.Release()
	_, ids, err := s.render(r.Context(), model, req.Messages, req.Tools, true, req.TemplateArguments, model.ContextLength)
	if err != nil {
		return err
	}
	req.Messages, req.Tools, req.TemplateArguments = nil, nil, nil // they refer to the body, which is large and of no more use
	s.leave(rec)
	params, err := settleSampling(&req.Sampling, model)
	if err != nil {
		return err
	}
	if req.Logprobs {
		params.TopLogprobs = 0
		if req.TopLogprobs != nil {
			params.TopLogprobs = *req.TopLogprobs
		}
	}
	j := &job{
		model: model, prompts: [][]int32{ids}, n: req.Choices(), stops: makeStops(req.Stop), salt: req.CacheSalt, receipt: req.Receipt,
		request: engine.Request{MaxTokens: settleLimit(req.Limit(), model, 0), Sampling: params, IgnoreEOS: req.IgnoreEOS, Session: req.Session},
	}
	a := &chatAnswer{
		s: s, rec: rec, req: req, job: j, id: "chatcmpl-" + strings.TrimPrefix(rec.id, "req-"), created: time.Now().Unix(),
		pieces: pieces{model: model, asIDs: req.ReturnTokensAsTokenIDs},
	}
	settleTurn(&j.request, &req.Sampling, rec.arrived)
	if err := j.checkReceipts(); err != nil {
		return err
	}
	if req.Stream {
		return a.stream(w, r)
	}
	return a.whole(w, r)
}

// render turns messages into prompt text and its token ids: special tokens are parsed, since the template is the model's own, and BOS
// is added where the model wants one that the template has not written. most is that of encode.
func (s *Server) render(ctx context.Context, model *Model, messages []api.Message, tools []json.RawMessage, generate bool, extra map[string]any, most int) (string, []int32, error) {
	if model.Template == nil {
		return "", nil, fmt.Errorf("%s: %w", model.NoTemplate, errNoTemplate)
	}
	in := chat.Input{AddGenerationPrompt: generate, Timeout: s.o.TemplateTimeout}
	for i, m := range messages {
		plain, err := ordered(m)
		if err != nil {
			return "", nil, fmt.Errorf("%w: messages[%d]: %w", api.ErrBody, i, err)
		}
		in.Messages = append(in.Messages, plain)
	}
	for i, t := range tools {
		tool, err := chat.ParseJSON(t)
		if err != nil {
			return "", nil, fmt.Errorf("%w: tools[%d]: %w", api.ErrBody, i, err)
		}
		in.Tools = append(in.Tools, tool)
	}
	var err error
	if in.Extra, err = ordered(extra); err != nil {
		return "", nil, fmt.Errorf("%w: chat_template_kwargs: %w", api.ErrBody, err)
	}
	text, err := model.Template.Render(ctx, in)
	if err != nil {
		return "", nil, err
	}
	ids, err := s.encode(ctx, model, text, most, tokenizer.EncodeOptions{ParseSpecial: true})
	if err != nil {
		return "", nil, err
	}
	if bos, ok := model.Tokenizer.BOS(); ok && model.Tokenizer.AddsBOS() && (len(ids) == 0 || ids[0] != bos) {
		ids = append([]int32{bos}, ids...)
	}
	return text, ids, nil
}

// ordered copies an object, with the values that were left as JSON made into what a template can look into.
func ordered(m map[string]any) (map[string]any, error) {
	out := make(map[string]any, len(m))
	for name, v := range m {
		if raw, ok := v.(json.RawMessage); ok {
			parsed, err := chat.ParseJSON(raw)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", name, err)
			}
			v = parsed
		}
		out[name] = v
	}
	return out, nil
}

// chatAnswer writes one chat completion, whole or streamed.
type chatAnswer struct {
	s       *Server
	rec     *record
	req     *api.ChatRequest
	job     *job
	id      string
	created int64
	pieces  pieces
}

func (a *chatAnswer) whole(w http.ResponseWriter, r *http.Request) error {
	out := api.ChatCompletion{
		ID: a.id, Object: "chat.completion", Created: a.created, Model: a.job.model.Base.Name,
		Choices: make([]api.ChatChoice, a.job.choices()), SystemFingerprint: fingerprint(a.job.model),
	}
	texts := make([]strings.Builder, len(out.Choices))
	timings, err := a.s.generate(r.Context(), a.rec, a.job, func(ev event) error {
		c := &out.Choices[ev.choice]
		texts[ev.choice].WriteString(ev.text)
		if ev.token != nil && a.req.Logprobs {
			if c.Logprobs == nil {
				c.Logprobs = new(api.ChatLogprobs)
			}
			c.Logprobs.Content = append(c.Logprobs.Content, a.pieces.chat(ev.token))
		}
		if ev.token != nil && a.req.ReturnTokenIDs {
			c.TokenIDs = append(c.TokenIDs, ev.token.ID)
		}
		if ev.finish != "" {
			c.FinishReason = ev.finish
		}
		return nil
	})
	if err != nil {
		return err
	}
	for i := range out.Choices {
		out.Choices[i].Index = i
		out.Choices[i].Message = api.Reply{Role: "assistant", Content: texts[i].String()}
	}
	if a.req.ReturnTokenIDs {
		out.PromptTokenIDs = a.job.prompts[0]
	}
	out.Usage = a.job.usage(a.rec.completion)
	out.Weft = a.info(r.Context(), timings)
	return a.s.writeJSON(w, http.StatusOK, &out)
}

func (a *chatAnswer) stream(w http.ResponseWriter, r *http.Request) error {
	out := a.s.newEvents(w)
	defer out.close()
	chunk := func(c ...api.ChatChunkChoice) *api.ChatChunk {
		if c == nil {
			c = []api.ChatChunkChoice{}
		}
		return &api.ChatChunk{
			ID: a.id, Object: "chat.completion.chunk", Created: a.created, Model: a.job.model.Base.Name,
			Choices: c, SystemFingerprint: fingerprint(a.job.model),
		}
	}
	out.warm()
	var last event
	timings, err := a.s.generate(r.Context(), a.rec, a.job, func(ev event) error {
		if ev.first {
			empty := ""
			c := chunk(api.ChatChunkChoice{Index: ev.choice, Delta: api.Delta{Role: "assistant", Content: &empty}})
			if a.req.ReturnTokenIDs && ev.choice == 0 {
				c.PromptTokenIDs = a.job.prompts[0]
			}
			return out.send(c)
		}
		c := api.ChatChunkChoice{Index: ev.choice}
		if ev.text != "" {
			c.Delta.Content = &ev.text
		}
		if ev.token != nil && a.req.Logprobs {
			c.Logprobs = &api.ChatLogprobs{Content: []api.ChatLogprob{a.pieces.chat(ev.token)}}
		}
		if ev.token != nil && a.req.ReturnTokenIDs {
			c.TokenIDs = []int32{ev.token.ID}
		}
		if c.Delta.Content != nil || c.Logprobs != nil || c.TokenIDs != nil {
			if err := out.send(chunk(c)); err != nil {
				return err
			}
		}
		switch {
		case ev.last: // it waits for the timings
			last = ev
		case ev.finish != "":
			return out.send(chunk(api.ChatChunkChoice{Index: ev.choice, FinishReason: &ev.finish}))
		}
		return nil
	})
	if err == nil {
		c := chunk(api.ChatChunkChoice{Index: last.choice, FinishReason: &last.finish})
		if a.req.IncludeUsage() {
			if err = out.send(c); err == nil {
				c = chunk()
			}
			c.Usage = a.job.usage(a.rec.completion)
		}
		if err == nil {
			c.Weft = a.info(r.Context(), timings)
			err = out.send(c)
		}
	}
	return out.end(err)
}

// info says what produced a chat's answer: the template too, where it is not the model's own.
func (a *chatAnswer) info(ctx context.Context, timings api.Timings) *api.Info {
	info := a.s.info(ctx, a.job, a.rec, timings, a.req.Ignored)
	info.Template = a.job.model.TemplateNote
	return info
}

// info says what produced an answer. Where receipts are wanted it waits for what they need.
func (s *Server) info(ctx context.Context, j *job, rec *record, timings api.Timings, ignored []string) *api.Info {
	info := &api.Info{
		Base: j.model.Base, Adapters: append([]api.Adapter{}, j.model.Adapters...), Numerics: s.o.Numerics, Seed: j.request.Sampling.Seed, ReusedTokens: j.reused,
		DraftedTokens: j.drafted, AcceptedTokens: j.accepted,
		Timings: timings, Ignored: ignored, RequestID: rec.id, ContextLength: j.model.ContextLength,
		FinishDetail: j.detail,
	}
	if j.receipt {
		s.addReceipts(ctx, info, j)
	}
	return info
}

// fingerprint is OpenAI's word for what produced an answer: here the beginning of the file's header digest.
func fingerprint(m *Model) string {
	d := strings.TrimPrefix(m.Base.HeaderDigest, "sha256:")
	return "fp_" + d[:min(len(d), 12)]
}
