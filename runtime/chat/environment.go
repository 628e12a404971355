package chat

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
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

// newEnvironment makes what a template finds beside its variables: our filters, and of the library its statements but for
// those that reach beyond the template.
func newEnvironment() *exec.Environment {
	return &exec.Environment{
		Context: exec.NewContext(map[string]any{
			"none": none{}, emptyName: map[string]any{},
			"range": rangeOf, "namespace": namespace, "dict": dict,
		}),
		Filters:           filterSet(),
		Tests:             exec.NewTestSet(map[string]exec.TestFunction{}),
		ControlStructures: statements(),
		Methods:           builtins.Methods,
	}
}

// statements are those a chat template has a use for: none that reads another template.
func statements() *exec.ControlStructureSet {
	set := map[string]parser.ControlStructureParser{"generation": parseGeneration}
	for _, name := range []string{"if", "for", "set", "macro", "call", "filter", "with", "raw", "break", "continue"} {
		parse, ok := builtins.ControlStructures.Get(name)
		if !ok {
			panic("BUG: chat: the library has no statement " + name)
		}
		set[name] = parse
	}
	for _, name := range []string{"for", "macro", "call"} {
		set[name] = counted(set[name])
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
	text   strings.Builder
	left   int
	budget *budget
}

func (l *limitedWriter) Write(p []byte) (int, error) {
	if l.left -= len(p); l.left < 0 {
		return 0, l.budget.refuse("bytes of output", maxOutputBytes)
	}
	return l.text.Write(p)
}

// raise is raise_exception.
func (r *rendering) raise(args *exec.VarArgs) (any, error) {
	message := text(r.budget, args.First())
	if r.raised == nil {
		r.raised = &RaisedError{Message: message}
	}
	return nil, errors.New(message)
}

func (r *rendering) strftimeNow(args *exec.VarArgs) (any, error) {
	if format := args.First(); format.IsString() {
		return strftime(r.now, format.String()), nil
	}
	return nil, errors.New("strftime_now() takes a format")
}

const maxRange = 100_000

// rangeOf is range within the bounds of Jinja's sandbox. The library's own feeds a channel from a goroutine that lives on
// when the loop is left early.
func rangeOf(e *exec.Evaluator, args *exec.VarArgs) (any, error) {
	n := [3]int{0, 0, 1}
	if len(args.Args) == 0 || len(args.Args) > 3 {
		return nil, errors.New("range() takes one to three integers")
	}
	for i, a := range args.Args {
		if !isIntegral(a) {
			return nil, errors.New("range() takes one to three integers")
		}
		n[i] = integer(a)
	}
	if len(args.Args) == 1 {
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
	return out, budgetOf(e.Environment.Context).steps(len(out))
}

// namespace is namespace, which the library would give no mapping to begin with.
func namespace(args *exec.VarArgs) (any, error) {
	ns := map[string]any{}
	for _, a := range args.Args {
		for _, p := range pairsOf(a) {
			ns[p.Key.String()] = p.Value.Interface()
		}
	}
	for name, v := range args.KwArgs {
		ns[name] = v.Interface()
	}
	return ns, nil
}

// dict is dict. Its keys come in sorted order, since the library does not keep that of arguments.
func dict(args *exec.VarArgs) (any, error) {
	d := exec.NewDict()
	for _, a := range args.Args {
		d.Pairs = append(d.Pairs, pairsOf(a)...)
	}
	for _, name := range slices.Sorted(maps.Keys(args.KwArgs)) {
		d.Pairs = append(d.Pairs, &exec.Pair{Key: exec.AsValue(name), Value: args.KwArgs[name]})
	}
	return d, nil
}
