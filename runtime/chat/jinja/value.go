package jinja

import (
	"fmt"
	"unicode/utf8"
)

// A template's values are nil (None), bool, int, float64, string and the types below. Nothing else of Go is ever within its
// reach: there is no reflection here, and a name that no table of this package holds does not exist.
type (
	list  []any
	tuple []any

	// markup is a text that a filter called safe or escaped. It is seen by `+` alone, which escapes what is added to it, and by
	// the filters that make it; to all others it is a text.
	markup string

	// undefined is a name or an element that is not there. why is the error of using it.
	undefined struct{ why string }

	// generator hands its items out once, as Python's does, but has them all from the start.
	generator struct{ rest []any }

	// view is what keys(), values() and items() of a mapping give.
	view struct {
		of    string // "dict_keys", ...
		items []any
	}

	// numbers is a range, whose elements are never laid out unless something iterates over it.
	numbers struct{ start, stop, step int }

	// namespace is the one thing that a template can change.
	namespace struct{ attrs *Dict }

	// function is whatever may be called: a function, a method, a macro.
	function struct {
		name  string
		attrs map[string]any
		call  func(r *run, a *args) (any, error)
	}
)

func missing(format string, a ...any) *undefined { return &undefined{fmt.Sprintf(format, a...)} }

// fail is the error of an operation that an undefined value does not take.
func (u *undefined) fail() error { return fmt.Errorf("%s", u.why) }

// size is the number of elements.
func (n numbers) size() int {
	switch {
	case n.step > 0 && n.start < n.stop:
		return (n.stop-n.start-1)/n.step + 1
	case n.step < 0 && n.start > n.stop:
		return (n.start-n.stop-1)/-n.step + 1
	}
	return 0
}

func (n numbers) items() []any {
	out := make([]any, n.size())
	for i := range out {
		out[i] = n.start + i*n.step
	}
	return out
}

// take hands out the next n items at most.
func (g *generator) take(n int) []any {
	n = min(n, len(g.rest))
	out := g.rest[:n:n]
	g.rest = g.rest[n:]
	return out
}

// typeName is the name that Python has for a value's type.
func typeName(v any) string {
	switch v := v.(type) {
	case nil:
		return "NoneType"
	case bool:
		return "bool"
	case int:
		return "int"
	case float64:
		return "float"
	case string:
		return "str"
	case list:
		return "list"
	case tuple:
		return "tuple"
	case *Dict:
		return "dict"
	case *undefined:
		return "Undefined"
	case *generator:
		return "generator"
	case view:
		return v.of
	case numbers:
		return "range"
	case *namespace:
		return "Namespace"
	case *loop:
		return "LoopContext"
	case *function:
		return "function"
	}
	panic(fmt.Sprintf("BUG: jinja: a template has a %T", v))
}

// truth is Python's idea of what counts as true.
func truth(v any) bool {
	switch v := v.(type) {
	case nil, *undefined:
		return false
	case bool:
		return v
	case int:
		return v != 0
	case float64:
		return v != 0
	case string:
		return v != ""
	case list:
		return len(v) > 0
	case tuple:
		return len(v) > 0
	case *Dict:
		return len(v.keys) > 0
	case view:
		return len(v.items) > 0
	case numbers:
		return v.size() > 0
	}
	return true
}

// length is len().
func (r *run) length(v any) (int, error) {
	switch v := v.(type) {
	case *undefined:
		return 0, nil
	case string:
		return utf8.RuneCountInString(v), r.step(len(v) / textStep)
	case list:
		return len(v), nil
	case tuple:
		return len(v), nil
	case *Dict:
		return len(v.keys), nil
	case view:
		return len(v.items), nil
	case numbers:
		return v.size(), nil
	case *loop:
		return len(v.items), nil
	}
	return 0, fmt.Errorf("object of type '%s' has no len()", typeName(v))
}

// iterate returns what a loop over a value sees. The slice may be the value's own: nobody writes to it.
func (r *run) iterate(v any) ([]any, error) {
	n, err := r.length(v)
	if g, ok := v.(*generator); ok {
		n, err = len(g.rest), nil
	}
	if err != nil {
		return nil, fmt.Errorf("'%s' object is not iterable", typeName(v))
	}
	if err := r.step(n); err != nil {
		return nil, err
	}
	switch v := v.(type) {
	case string:
		out := make([]any, 0, n)
		for i, w := 0, 0; i < len(v); i += w {
			_, w = utf8.DecodeRuneInString(v[i:])
			out = append(out, v[i:i+w])
		}
		return out, nil
	case list:
		return v, nil
	case tuple:
		return v, nil
	case *Dict:
		return v.keys, nil
	case view:
		return v.items, nil
	case numbers:
		return v.items(), nil
	case *generator:
		return v.take(n), nil
	case *loop:
		return nil, fmt.Errorf("'%s' object is not iterable", typeName(v))
	}
	return nil, nil
}

// unpack returns the n parts of a value that n names take.
func (r *run) unpack(v any, n int) ([]any, error) {
	items, err := r.iterate(v)
	switch {
	case err != nil && r.spent == nil:
		return nil, fmt.Errorf("cannot unpack non-iterable %s object", typeName(v))
	case err != nil:
		return nil, err
	case len(items) < n:
		return nil, fmt.Errorf("not enough values to unpack (expected %d, got %d)", n, len(items))
	case len(items) > n:
		return nil, fmt.Errorf("too many values to unpack (expected %d)", n)
	}
	return items, nil
}

// sequence returns the elements of a list or a tuple.
func sequence(v any) ([]any, bool) {
	switch v := v.(type) {
	case list:
		return v, true
	case tuple:
		return v, true
	}
	return nil, false
}

// integer returns an int, or a bool, which counts as one.
func integer(v any) (int, bool) {
	switch v := v.(type) {
	case int:
		return v, true
	case bool:
		if v {
			return 1, true
		}
		return 0, true
	}
	return 0, false
}

func number(v any) (float64, bool) {
	if f, ok := v.(float64); ok {
		return f, true
	}
	n, ok := integer(v)
	return float64(n), ok
}
