package chat

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"strings"

	"github.com/nikolalohinski/gonja/v2/builtins"
	"github.com/nikolalohinski/gonja/v2/exec"
	"github.com/nikolalohinski/gonja/v2/loaders"
	"github.com/nikolalohinski/gonja/v2/nodes"
	"github.com/nikolalohinski/gonja/v2/parser"
	"github.com/nikolalohinski/gonja/v2/tokens"
)

const (
	rootName       = "chat template"
	maxOutputBytes = 32 << 20
)

// newEnvironment makes what a template finds beside its variables: the library's own filters, tests, methods and
// statements, with those replaced that differ from Python's and those left out that reach beyond the template.
func newEnvironment() *exec.Environment {
	env := &exec.Environment{
		Context:           exec.EmptyContext().Update(builtins.GlobalFunctions),
		Filters:           exec.NewFilterSet(map[string]exec.FilterFunction{}).Update(builtins.Filters),
		Tests:             exec.NewTestSet(map[string]exec.TestFunction{}).Update(builtins.Tests),
		ControlStructures: statements(),
		Methods:           builtins.Methods,
	}
	env.Filters.Update(exec.NewFilterSet(maps.Clone(filters)))
	env.Tests.Update(exec.NewTestSet(maps.Clone(tests)))
	env.Context.Set("none", none{})
	env.Context.Set("range", rangeOf)
	return env
}

// statements are those a chat template has a use for: none that reads another template.
func statements() *exec.ControlStructureSet {
	set := map[string]parser.ControlStructureParser{"generation": parseGeneration}
	for _, name := range []string{"if", "for", "set", "macro", "call", "filter", "with", "raw", "break", "continue"} {
		if p, ok := builtins.ControlStructures.Get(name); ok {
			set[name] = p
		}
	}
	return exec.NewControlStructureSet(set)
}

// generation marks what the assistant says, for training; a rendering passes it through.
type generation struct {
	at   *tokens.Token
	body *nodes.Wrapper
}

func parseGeneration(p, _ *parser.Parser) (nodes.ControlStructure, error) {
	g := &generation{at: p.Current()}
	var err error
	g.body, _, err = p.WrapUntil("endgeneration")
	return g, err
}

func (g *generation) Position() *tokens.Token { return g.at }
func (g *generation) String() string          { return "generation" }

// Execute renders the body.
func (g *generation) Execute(r *exec.Renderer, _ *nodes.ControlStructureBlock) error {
	return r.ExecuteWrapper(g.body)
}

// soleLoader knows one template and no file.
type soleLoader struct{ source string }

var errAlone = errors.New("a chat template stands alone: it reads no other")

func (l soleLoader) Read(path string) (io.Reader, error) {
	if path != rootName {
		return nil, errAlone
	}
	return strings.NewReader(l.source), nil
}

func (l soleLoader) Resolve(path string) (string, error) {
	if path != rootName {
		return "", errAlone
	}
	return path, nil
}

func (l soleLoader) Inherit(string) (loaders.Loader, error) { return nil, errAlone }

// limitedWriter ends a rendering whose output grows beyond all measure.
type limitedWriter struct {
	w    io.Writer
	left int
}

func (l *limitedWriter) Write(p []byte) (int, error) {
	if l.left -= len(p); l.left < 0 {
		return 0, ErrBudget
	}
	return l.w.Write(p)
}

func (r *rendering) raise(message string) (any, error) {
	if r.raised == nil {
		r.raised = &RaisedError{Message: message}
	}
	return nil, errors.New(message)
}

func (r *rendering) strftimeNow(format string) string { return strftime(r.now, format) }

const maxRange = 100_000

// rangeOf is range within the bounds of Jinja's sandbox. The library's own feeds a channel from a goroutine that lives on
// when the loop is left early.
func rangeOf(args *exec.VarArgs) (any, error) {
	n := [3]int{0, 0, 1}
	for i, a := range args.Args {
		if i >= 3 || !a.IsInteger() {
			return nil, errors.New("range() takes one to three integers")
		}
		n[i] = a.Integer()
	}
	switch len(args.Args) {
	case 0:
		return nil, errors.New("range() takes one to three integers")
	case 1:
		n[0], n[1] = 0, n[0]
	}
	start, stop, step := n[0], n[1], n[2]
	if step == 0 {
		return nil, errors.New("range() arg 3 must not be zero")
	}
	out := []any{}
	for i := start; step > 0 && i < stop || step < 0 && i > stop; i += step {
		if len(out) == maxRange {
			return nil, fmt.Errorf("range is longer than %d", maxRange)
		}
		out = append(out, i)
	}
	return out, nil
}
