package chat

import (
	"fmt"
	"slices"

	"github.com/nikolalohinski/gonja/v2/exec"
)

// filters replace those of the library that differ from Jinja's on what templates give them.
var filters = map[string]exec.FilterFunction{
	"tojson":  toJSON,
	"default": filterDefault,
	"d":       filterDefault,
}

// tests replace those of the library: it takes none for undefined.
var tests = map[string]exec.TestFunction{
	"defined":   is(func(v *exec.Value) bool { return !v.IsNil() }),
	"undefined": is(func(v *exec.Value) bool { return v.IsNil() }),
	"none":      is(isNone),
	"mapping":   is(func(v *exec.Value) bool { return v.IsDict() }),
	"string":    is(func(v *exec.Value) bool { return v.IsString() }),
	"iterable":  is(func(v *exec.Value) bool { return !isNone(v) && v.IsIterable() }),
	"sequence":  is(func(v *exec.Value) bool { return !isNone(v) && v.IsIterable() }),
	"true":      is(func(v *exec.Value) bool { return v.IsBool() && v.Bool() }),
	"false":     is(func(v *exec.Value) bool { return v.IsBool() && !v.Bool() }),
}

func is(f func(v *exec.Value) bool) exec.TestFunction {
	return func(_ *exec.Context, in *exec.Value, _ *exec.VarArgs) (bool, error) { return f(in), nil }
}

func isNone(v *exec.Value) bool {
	_, ok := v.Interface().(none)
	return ok
}

// pairsOf returns the pairs of a mapping in their order.
func pairsOf(v *exec.Value) []*exec.Pair {
	if d, ok := v.Interface().(*exec.Dict); ok {
		return d.Pairs
	}
	var out []*exec.Pair
	v.Iterate(func(_, _ int, key, value *exec.Value) bool {
		out = append(out, &exec.Pair{Key: key, Value: value})
		return true
	}, func() {})
	return out
}

// bind puts positional and named arguments into the order of names; what is not given is nil.
func bind(fn string, params *exec.VarArgs, names ...string) ([]*exec.Value, error) {
	if len(params.Args) > len(names) {
		return nil, fmt.Errorf("%s() takes at most %d arguments, got %d", fn, len(names), len(params.Args))
	}
	out := make([]*exec.Value, len(names))
	copy(out, params.Args)
	for name, v := range params.KwArgs {
		i := slices.Index(names, name)
		if i < 0 {
			return nil, fmt.Errorf("%s() got an unexpected keyword argument '%s'", fn, name)
		}
		if out[i] != nil {
			return nil, fmt.Errorf("%s() got multiple values for argument '%s'", fn, name)
		}
		out[i] = v
	}
	return out, nil
}

func filterDefault(_ *exec.Evaluator, in *exec.Value, params *exec.VarArgs) *exec.Value {
	if in.IsError() {
		return in
	}
	a, err := bind("default", params, "default_value", "boolean")
	if err != nil {
		return exec.AsValue(err)
	}
	if !in.IsNil() && (a[1] == nil || !a[1].IsTrue() || in.IsTrue()) {
		return in
	}
	if a[0] == nil {
		return exec.AsValue("")
	}
	return a[0]
}
