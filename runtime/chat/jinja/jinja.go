// Package jinja renders the Jinja templates that models carry as Hugging Face's renderer does: Jinja2's immutable sandbox
// with trim_blocks, lstrip_blocks, break and continue, the tag generation (passed through), and its tojson.
//
// A template is parsed into a tree, which a rendering walks. Values, operators, filters, tests and methods follow Python's,
// byte for byte; what is left out is refused by name (statements that read another template, bytes, random, integers beyond
// 64 bits) and never rendered almost right.
//
// A template is not trusted. It reaches the values it is given and the functions of this package, nothing of Go, no file and
// no other template. Every step of a rendering asks its budget (see Limits) and, at intervals, its context, so that a
// rendering ends soon whatever the template says.
package jinja

import (
	"context"
	"fmt"
	"strings"
)

// Template is a parsed template. It is immutable and may render in any number of goroutines at once.
type Template struct {
	body body
	lib  *library
}

// library is what templates know by name. Entries look others up in it, as map does with filters.
type library struct {
	filters map[string]method
	tests   map[string]testFunc
	text    map[string]method // of str
}

// Parse reads a template. Its errors are an Error where there is a line to name.
func Parse(source string) (*Template, error) {
	lib := &library{filterTable(), testTable(), textMethods()}
	b, err := parse(source, lib)
	if err != nil {
		return nil, err
	}
	return &Template{b, lib}, nil
}

// Func is a function given to a template, with the values of its positional arguments as text.
type Func func(args []string) (string, error)

// Render runs the template. Variables are what JSON holds (nil, bool, int, int64, float64, json.Number, string, []any,
// map[string]any in the order of its sorted keys) or what ParseJSON gives; functions go by their names where no variable has
// them. Errors are an Error, which wraps ErrLimit or ErrStopped where the rendering was cut short.
func (t *Template) Render(ctx context.Context, l Limits, vars map[string]any, functions map[string]Func) (string, error) {
	r := &run{budget: newBudget(ctx, l), lib: t.lib, out: new(strings.Builder)}
	root := &scope{vars: map[string]any{}}
	for name, f := range globals {
		root.vars[name] = f
	}
	for name, f := range functions {
		root.vars[name] = given(name, f)
	}
	for name, v := range vars {
		var err error
		if root.vars[name], err = value(v, 0); err != nil {
			return "", fmt.Errorf("variable %q: %w", name, err)
		}
	}
	if err := t.body.exec(r, root); err != nil {
		return "", err
	}
	return r.out.String(), nil
}

// given makes a template's function of one of the caller's.
func given(name string, f Func) *function {
	return &function{name: name, call: func(r *run, a *args) (any, error) {
		texts := make([]string, len(a.pos))
		for i, v := range a.pos {
			var err error
			if texts[i], err = r.str(v); err != nil {
				return nil, err
			}
		}
		s, err := f(texts)
		if err != nil {
			return nil, err
		}
		return s, r.made(len(s))
	}}
}

// run is one rendering.
type run struct {
	*budget
	lib *library
	out *strings.Builder
}

// write writes to the output, or to what captures it.
func (r *run) write(s string) error {
	if err := r.made(len(s)); err != nil {
		return err
	}
	if r.out.Len()+len(s) > r.limits.OutputBytes {
		return r.refuse("bytes of output", r.limits.OutputBytes)
	}
	r.out.WriteString(s)
	return nil
}

// capture returns what f writes.
func (r *run) capture(f func() error) (string, error) {
	outer := r.out
	r.out = new(strings.Builder)
	defer func() { r.out = outer }()
	err := f()
	return r.out.String(), err
}

// eval evaluates an expression a level deeper.
func (r *run) eval(x expr, s *scope) (any, error) {
	v, err := r.marked(x, s)
	if m, ok := v.(markup); ok {
		v = string(m)
	}
	return v, err
}

// marked is eval for the few who ask whether a text is markup.
func (r *run) marked(x expr, s *scope) (any, error) {
	defer r.leave()
	if err := r.enter(); err != nil {
		return nil, err
	}
	return x.eval(r, s)
}

// scope holds names. The outermost has the variables; an inner one is made for each run of a loop's, a macro's or a block's body.
type scope struct {
	outer *scope
	vars  map[string]any // of the outermost
	names []string
	vals  []any
	depth int // of recursive loops around it
}

func (s *scope) inner() *scope { return &scope{outer: s, depth: s.depth} }

func (s *scope) get(name string) (any, bool) {
	for ; s.vars == nil; s = s.outer {
		for i, n := range s.names {
			if n == name {
				return s.vals[i], true
			}
		}
	}
	v, ok := s.vars[name]
	return v, ok
}

func (s *scope) set(name string, v any) {
	if s.vars != nil {
		s.vars[name] = v
		return
	}
	for i, n := range s.names {
		if n == name {
			s.vals[i] = v
			return
		}
	}
	s.names, s.vals = append(s.names, name), append(s.vals, v)
}
