package jinja

import (
	"fmt"
	"slices"
)

// args are the arguments of one call.
type args struct {
	of    string // what is called, for errors
	pos   []any
	names []string
	named []any
}

// absent stands for an argument that is not given.
type absent struct{}

// bind puts the arguments into the order of names, the first required of which must be given; others may be absent.
func (a *args) bind(required int, names ...string) ([]any, error) {
	if len(a.pos) > len(names) {
		return nil, fmt.Errorf("%s() takes at most %d arguments, got %d", a.of, len(names), len(a.pos))
	}
	out := make([]any, len(names))
	for i := range out {
		out[i] = absent{}
	}
	copy(out, a.pos)
	for k, name := range a.names {
		i := slices.Index(names, name)
		if i < 0 {
			return nil, fmt.Errorf("%s() got an unexpected keyword argument '%s'", a.of, name)
		}
		if out[i] != any(absent{}) {
			return nil, fmt.Errorf("%s() got multiple values for argument '%s'", a.of, name)
		}
		out[i] = a.named[k]
	}
	for i := range required {
		if !has(out[i]) {
			return nil, fmt.Errorf("%s() is missing the argument '%s'", a.of, names[i])
		}
	}
	return out, nil
}

// has says whether an argument was given.
func has(v any) bool {
	_, no := v.(absent)
	return !no
}

// some says whether an argument was given and is not none.
func some(v any) bool { return has(v) && v != nil }

func flag(v any) bool { return has(v) && truth(v) }

// str reads an argument that must be a string; one not given is def.
func (a *args) str(v any, def string) (string, error) {
	if !has(v) {
		return def, nil
	}
	s, ok := v.(string)
	if !ok {
		return "", fmt.Errorf("%s() expected a string, got '%s'", a.of, typeName(v))
	}
	return s, nil
}

// num reads an argument that must be an integer; none or one not given is def.
func (a *args) num(v any, def int) (int, error) {
	if !some(v) {
		return def, nil
	}
	n, ok := integer(v)
	if !ok {
		return 0, fmt.Errorf("%s() expected an integer, got '%s'", a.of, typeName(v))
	}
	return n, nil
}
