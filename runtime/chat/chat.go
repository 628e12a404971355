// Package chat turns messages into the prompt text that a model was trained on, with the Jinja template the model itself
// carries. It knows no tokens and no HTTP: the caller encodes the text, and maps a RaisedError or ErrTemplate to its own
// answers.
//
// Templates run as Hugging Face's renderer runs them: Jinja2's immutable sandbox with trim_blocks, lstrip_blocks, break and
// continue, the tag generation (passed through), the functions raise_exception and strftime_now, and its tojson. The
// library, gonja, supplies statements, scopes and evaluation; its expressions and its whitespace control differ from
// Jinja's in ways that change prompts, so a template is first translated (see rewrite and translator) into what it does
// right, with filters of ours for the operations. What is still not as in Jinja2 stands in the test's list of differences:
// tuples are lists and filters give lists, a macro's default does not see the parameters before it, and a few statements,
// methods and filters that chat templates have no use for are refused by name.
//
// A template is not trusted. It reaches the conversation and nothing of Go, reads no file and no other template, and a
// rendering is bounded in steps, in the text it makes, in its output and in recursion (see budget). Time is bounded by the
// steps alone: there is no deadline, so a slow machine takes longer to give up, and none of it can be cancelled.
package chat

import (
	"fmt"
	"time"

	"github.com/nikolalohinski/gonja/v2/config"
	"github.com/nikolalohinski/gonja/v2/exec"
)

// Options says what a template is called and which special tokens it may name.
type Options struct {
	Name string // for errors; "" means "template"
	BOS  string // text of the token that begins a sequence, "" when the model has none
	EOS  string // text of the token that ends one
}

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
}

// Template is a parsed template. It is immutable and may render in any number of goroutines at once.
type Template struct {
	name   string
	source string
	bos    string
	eos    string
	steps  int // of one rendering

	translated *rewritten
	parsed     *exec.Template
}

// MaxSourceBytes is the length of the longest template that is read.
const MaxSourceBytes = 1 << 20

// New parses a template.
func New(source string, o Options) (t *Template, err error) {
	t = &Template{name: o.Name, source: source, bos: o.BOS, eos: o.EOS, steps: maxSteps}
	if t.name == "" {
		t.name = "template"
	}
	if len(source) > MaxSourceBytes {
		return nil, t.fail(fmt.Sprintf("it is %d bytes long, at most %d are allowed", len(source), MaxSourceBytes))
	}
	defer t.recovered(&err)
	cfg := config.New()
	cfg.KeepTrailingNewline = true
	env := newEnvironment()
	t.translated, err = rewrite(source, env.Filters.Exists)
	if err != nil {
		return nil, t.fail(err.Error())
	}
	t.parsed, err = exec.NewTemplate(rootName, cfg, soleLoader{t.translated.text.String()}, env)
	if err != nil {
		return nil, t.fail(t.reason(err, nil))
	}
	return t, nil
}

// Name returns the template's name, as Options gave it or Fallback was asked for.
func (t *Template) Name() string { return t.name }

// Source returns the template's text.
func (t *Template) Source() string { return t.source }

// Render writes the prompt of a conversation.
func (t *Template) Render(in Input) (prompt string, err error) {
	r := &rendering{now: in.Now, budget: newBudget(t.steps)}
	if r.now.IsZero() {
		r.now = time.Now()
	}
	vars, err := t.variables(in, r)
	if err != nil {
		return "", t.fail(err.Error())
	}
	defer t.recovered(&err)
	out := &limitedWriter{left: maxOutputBytes, budget: r.budget}
	err = t.parsed.Execute(out, exec.NewContext(vars))
	// The library drops an error here and there, in the condition of a loop for one; what refused says so itself.
	switch {
	case r.spent != nil:
		return "", fmt.Errorf("template %q: %w", t.name, r.spent)
	case r.raised != nil:
		r.raised.Template = t.name
		if err != nil {
			r.raised.Line = t.translated.sourceLine(lineOf(err.Error()))
		}
		return "", r.raised
	case err != nil:
		return "", t.fail(t.reason(err, r.failure))
	}
	return out.text.String(), nil
}

// rendering is what one call of Render shares with the functions it gives the template.
type rendering struct {
	*budget
	now    time.Time
	raised *RaisedError // by raise_exception
}

func (t *Template) variables(in Input, r *rendering) (map[string]any, error) {
	vars := map[string]any{
		"bos_token":             t.bos,
		"eos_token":             t.eos,
		"add_generation_prompt": in.AddGenerationPrompt,
		"raise_exception":       r.raise,
		"strftime_now":          r.strftimeNow,
		budgetKey:               r.budget,
	}
	given := map[string]any{"messages": in.Messages, "tools": nil, "documents": nil}
	if in.Tools != nil {
		given["tools"] = in.Tools
	}
	if in.Documents != nil {
		given["documents"] = in.Documents
	}
	for name, v := range in.Extra {
		given[name] = v
	}
	for name, v := range given {
		val, err := toValue(v, 0)
		if err != nil {
			return nil, fmt.Errorf("variable %q: %w", name, err)
		}
		vars[name] = val
	}
	return vars, nil
}

// recovered turns a panic of the library into an error: an arithmetic one, say, that a template provoked.
func (t *Template) recovered(err *error) {
	if p := recover(); p != nil {
		*err = t.fail(fmt.Sprint(p))
	}
}

func (t *Template) fail(why string) error {
	return fmt.Errorf("%w: %q: %s", ErrTemplate, t.name, why)
}
