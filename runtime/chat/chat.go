// Package chat turns messages into the prompt text that a model was trained on, with the Jinja template the model itself
// carries. It knows no tokens and no HTTP: the caller encodes the text, and maps a RaisedError, an error of class ErrTemplate
// or ErrBudget to its own answers.
//
// Templates run in runtime/chat/jinja, which renders them as Hugging Face's renderer does. Here stand the variables and the
// functions that a chat template expects, the time that a rendering may take, and the templates for models that carry none.
package chat

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"time"

	"github.com/weft-run/weft/runtime/chat/jinja"
)

// Options says what a template is called and which special tokens it may name.
type Options struct {
	Name string // for errors: the model's; "" means "template"
	BOS  string // text of the token that begins a sequence, "" when the model has none
	EOS  string // text of the token that ends one
}

// DefaultTimeout is far above what renderings take, which are fractions of a millisecond to a few for long conversations.
const DefaultTimeout = 2 * time.Second

// Input is one conversation. Values are what JSON holds: nil, bool, numbers (int, int64, float64, json.Number), string,
// []any, map[string]any (seen in the order of its sorted keys), or what ParseJSON gives, which keeps the order of keys.
// Nothing of it is changed.
type Input struct {
	Messages            []any // each an object with at least "role"
	Tools               []any // nil: none, and `tools` is none in the template
	Documents           []any // as Tools
	AddGenerationPrompt bool
	Now                 time.Time      // what strftime_now sees; the zero time means the time of the call
	Extra               map[string]any // chat_template_kwargs: further variables, which win over those above
	Timeout             time.Duration  // how long the rendering may take; 0: DefaultTimeout
}

// Template is a parsed template. It is immutable and may be used by any number of goroutines at once.
type Template struct {
	o      Options
	source string
	limits jinja.Limits
	parsed *jinja.Template
	turns  chan struct{} // holds one message for each rendering that is going on
}

// maxRenderings is how many renderings of one template go on at once: each may hold all the text that its budget allows.
const maxRenderings = 4

// New parses a template. The error is of class ErrTemplate.
func New(source string, o Options) (*Template, error) {
	if o.Name == "" {
		o.Name = "template"
	}
	t := &Template{o: o, source: source, limits: jinja.DefaultLimits(), turns: make(chan struct{}, maxRenderings)}
	var err error
	if t.parsed, err = jinja.Parse(source); err != nil {
		return nil, t.fail(ErrTemplate, err)
	}
	return t, nil
}

// Source returns the template's text.
func (t *Template) Source() string { return t.source }

// Render writes the prompt of a conversation. It ends with the context, and after the timeout at the latest, which begins when it has its turn.
func (t *Template) Render(ctx context.Context, in Input) (string, error) {
	select {
	case t.turns <- struct{}{}:
		defer func() { <-t.turns }()
	case <-ctx.Done():
		return "", fmt.Errorf("chat: template of %q: %w", t.o.Name, ctx.Err())
	}
	if in.Timeout <= 0 {
		in.Timeout = DefaultTimeout
	}
	slow := fmt.Errorf("it took longer than %v", in.Timeout)
	ctx, cancel := context.WithTimeoutCause(ctx, in.Timeout, slow)
	defer cancel()
	if in.Now.IsZero() {
		in.Now = time.Now()
	}
	prompt, err := t.parsed.Render(ctx, t.limits, t.variables(in), map[string]jinja.Func{
		"raise_exception": raise,
		"strftime_now": func(args []string) (string, error) {
			if len(args) != 1 || len(args[0]) > maxTimeFormat {
				return "", fmt.Errorf("strftime_now() takes a format of at most %d bytes", maxTimeFormat)
			}
			return strftime(in.Now, args[0]), nil
		},
	})
	var raised *RaisedError
	switch {
	case err == nil:
		return prompt, nil
	case errors.As(err, &raised):
		raised.Template, raised.Line = t.o.Name, line(err)
		return "", raised
	case errors.Is(err, slow), errors.Is(err, jinja.ErrLimit):
		return "", t.fail(ErrBudget, err)
	case errors.Is(err, jinja.ErrStopped): // the caller's context ended: nobody waits for this
		return "", fmt.Errorf("chat: template of %q: %w", t.o.Name, err)
	}
	return "", t.fail(ErrTemplate, err)
}

func (t *Template) variables(in Input) map[string]any {
	messages := make([]any, len(in.Messages))
	for i, m := range in.Messages {
		messages[i] = withReasoning(m)
	}
	vars := map[string]any{
		"bos_token":             t.o.BOS,
		"eos_token":             t.o.EOS,
		"add_generation_prompt": in.AddGenerationPrompt,
		"messages":              messages,
		"tools":                 nil,
		"documents":             nil,
	}
	if in.Tools != nil {
		vars["tools"] = in.Tools
	}
	if in.Documents != nil {
		vars["documents"] = in.Documents
	}
	for name, v := range in.Extra {
		vars[name] = v
	}
	return vars
}

// reasoningNames are the names by which clients send what a model thought before it answered, as Hugging Face's renderer
// knows them: it gives templates the first there is as reasoning_content, and as thinking, unless that is there.
var reasoningNames = []string{"reasoning_content", "thinking", "reasoning"}

// withReasoning returns a message with its reasoning under the names that templates read.
func withReasoning(message any) any {
	switch m := message.(type) {
	case *jinja.Dict:
		for _, name := range reasoningNames {
			if v, _ := m.Get(name); v != nil {
				if _, ok := m.Get("thinking"); !ok {
					m = m.With("thinking", v)
				}
				return m.With("reasoning_content", v)
			}
		}
	case map[string]any:
		for _, name := range reasoningNames {
			if v := m[name]; v != nil {
				m = maps.Clone(m)
				if _, ok := m["thinking"]; !ok {
					m["thinking"] = v
				}
				m["reasoning_content"] = v
				return m
			}
		}
	}
	return message
}

// ParseJSON reads one JSON value for Input: objects keep the order of their keys, and integers stay integers.
func ParseJSON(data []byte) (any, error) {
	v, err := jinja.ParseJSON(data)
	if err != nil {
		return nil, fmt.Errorf("chat: %w", err)
	}
	return v, nil
}

// maxRaised is the length of the longest message that a template raises, in bytes.
const maxRaised = 4096

// raise is raise_exception.
func raise(args []string) (string, error) {
	e := &RaisedError{}
	if len(args) > 0 {
		e.Message = args[0][:min(len(args[0]), maxRaised)]
	}
	return "", e
}
