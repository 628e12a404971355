package server

import (
	"fmt"
	"math"
	"net/http"
	"strings"

	"github.com/weft-run/weft/daemon/api"
	"github.com/weft-run/weft/runtime/engine"
	"github.com/weft-run/weft/runtime/sampler"
	"github.com/weft-run/weft/runtime/tokenizer"
)

// ask is the common course of a request about one model: read, decode, lease, answer.
func ask[In, Out any](s *Server, w http.ResponseWriter, r *http.Request, rec *record,
	decode func([]byte) (*In, error), name func(*In) string, do func(*In, *Model) (*Out, error),
) error {
	body, err := s.readBody(w, r, rec)
	if err != nil {
		return err
	}
	in, err := decode(body)
	if err != nil {
		return err
	}
	model, err := s.acquire(r.Context(), rec, Wanted{Model: name(in)})
	if err != nil {
		return err
	}
	defer model.Release()
	out, err := do(in, model)
	if err != nil {
		return err
	}
	return s.writeJSON(w, http.StatusOK, out)
}

func (s *Server) handleTokenize(w http.ResponseWriter, r *http.Request, rec *record) error {
	name := func(in *api.TokenizeRequest) string { return in.Model }
	return ask(s, w, r, rec, s.o.Limits.DecodeTokenize, name, func(in *api.TokenizeRequest, model *Model) (*api.TokenizeResponse, error) {
		ids, err := s.encode(r.Context(), model, in.Text, 0, tokenizer.EncodeOptions{
			ParseSpecial: in.ParseSpecial, AddSpecial: in.AddSpecial == nil || *in.AddSpecial,
		})
		if err != nil {
			return nil, err
		}
		out := &api.TokenizeResponse{Model: model.Base.Name, Tokens: ids, Count: len(ids)}
		if out.Tokens == nil {
			out.Tokens = []int32{}
		}
		if in.Pieces {
			p := pieces{model: model}
			out.Pieces = make([]string, len(ids))
			for i, id := range ids {
				out.Pieces[i] = p.text(id)
			}
		}
		return out, nil
	})
}

func (s *Server) handleDetokenize(w http.ResponseWriter, r *http.Request, rec *record) error {
	name := func(in *api.DetokenizeRequest) string { return in.Model }
	return ask(s, w, r, rec, s.o.Limits.DecodeDetokenize, name, func(in *api.DetokenizeRequest, model *Model) (*api.DetokenizeResponse, error) {
		if err := checkTokens(model, "tokens", in.Tokens); err != nil {
			return nil, err
		}
		text := strings.ToValidUTF8(string(model.Tokenizer.Decode(in.Tokens)), "\uFFFD")
		return &api.DetokenizeResponse{Model: model.Base.Name, Text: text}, nil
	})
}

func (s *Server) handleRender(w http.ResponseWriter, r *http.Request, rec *record) error {
	name := func(in *api.RenderRequest) string { return in.Model }
	return ask(s, w, r, rec, s.o.Limits.DecodeRender, name, func(in *api.RenderRequest, model *Model) (*api.RenderResponse, error) {
		generate := in.AddGenerationPrompt == nil || *in.AddGenerationPrompt
		text, ids, err := s.render(r.Context(), model, in.Messages, in.Tools, generate, in.TemplateArguments, 0)
		return &api.RenderResponse{Model: model.Base.Name, Text: text, Tokens: ids, Template: model.TemplateNote}, err
	})
}

func (s *Server) handlePerplexity(w http.ResponseWriter, r *http.Request, rec *record) error {
	name := func(in *api.PerplexityRequest) string { return in.Model }
	return ask(s, w, r, rec, s.o.Limits.DecodePerplexity, name, func(in *api.PerplexityRequest, model *Model) (*api.PerplexityResponse, error) {
		return s.perplexity(r, rec, in, model)
	})
}

// perplexity scores a text in windows that do not overlap. Where the model begins a text with BOS, so does every window; token ids
// that a request gives are scored as they are.
func (s *Server) perplexity(r *http.Request, rec *record, in *api.PerplexityRequest, model *Model) (*api.PerplexityResponse, error) {
	window := in.Window
	switch {
	case window == 0:
		window = model.ContextLength
	case window > model.ContextLength:
		return nil, &api.FieldError{Field: "window", Want: fmt.Sprintf("at most the context of %d tokens", model.ContextLength), Got: fmt.Sprintf("the number %d", window)}
	}
	content, lead := in.Tokens, []int32(nil)
	if content == nil {
		var err error
		if content, err = s.encode(r.Context(), model, in.Text, 0, tokenizer.EncodeOptions{}); err != nil {
			return nil, err
		}
		if bos, ok := model.Tokenizer.BOS(); ok && model.Tokenizer.AddsBOS() {
			lead = []int32{bos}
		}
	} else if err := checkTokens(model, "tokens", content); err != nil {
		return nil, err
	}
	out := &api.PerplexityResponse{Model: model.Base.Name, Tokens: len(content), Window: window}
	j := &job{model: model, n: 1, request: engine.Request{PromptOnly: true, PromptLogprobs: true, Sampling: sampler.Default()}}
	sum := 0.0
	var timings api.Timings
	for rest := content; len(rest) > 0; {
		n := min(len(rest), window-len(lead))
		prompt := append(append([]int32(nil), lead...), rest[:n]...)
		rest = rest[n:]
		if len(prompt) < 2 {
			break // a last token with nothing before it
		}
		j.prompts = [][]int32{prompt}
		one, err := s.generate(r.Context(), rec, j, func(ev event) error {
			for i, t := range ev.prompt {
				if i > 0 {
					sum -= t.Logprob
					out.Scored++
				}
			}
			return nil
		})
		if err != nil {
			return nil, err
		}
		out.Windows++
		timings.Queue, timings.Prefill, timings.Total = timings.Queue+one.Queue, timings.Prefill+one.Prefill, one.Total
	}
	if out.Scored == 0 {
		return nil, &api.FieldError{Field: "text", Want: "at least two tokens, BOS counted", Got: fmt.Sprintf("%d", len(lead)+len(content))}
	}
	rec.prompt = len(content)
	out.MeanNLL = sum / float64(out.Scored)
	out.Perplexity = math.Exp(out.MeanNLL)
	out.Weft = s.info(r.Context(), j, rec, timings, in.Ignored)
	return out, nil
}
