package chat

import (
	"fmt"

	"github.com/nikolalohinski/gonja/v2/exec"
)

// test is what may stand behind `is`, with so many arguments.
type test struct {
	args int
	run  func(b *budget, x *exec.Value, args []*exec.Value) (bool, error)
}

func runTest(b *budget, name string, x *exec.Value, args []*exec.Value) (bool, error) {
	t, ok := tests[name]
	if !ok {
		return false, fmt.Errorf("no test named '%s'", name)
	}
	if len(args) != t.args {
		return false, fmt.Errorf("the test '%s' takes %d arguments, got %d", name, t.args, len(args))
	}
	if err := b.steps(1); err != nil {
		return false, err
	}
	return t.run(b, x, args)
}

var tests = map[string]test{
	"defined":   is(func(v *exec.Value) bool { return !v.IsNil() }),
	"undefined": is(func(v *exec.Value) bool { return v.IsNil() }),
	"none":      is(isNone),
	"boolean":   is(func(v *exec.Value) bool { return v.IsBool() }),
	"true":      is(func(v *exec.Value) bool { return v.IsBool() && v.Bool() }),
	"false":     is(func(v *exec.Value) bool { return v.IsBool() && !v.Bool() }),
	"integer":   is(func(v *exec.Value) bool { return v.IsInteger() }),
	"float":     is(func(v *exec.Value) bool { return v.IsFloat() }),
	"number":    is(isNumber),
	"string":    is(func(v *exec.Value) bool { return v.IsString() }),
	"mapping":   is(func(v *exec.Value) bool { return v.IsDict() }),
	"sequence":  is(func(v *exec.Value) bool { return v.IsNil() || v.IsString() || v.IsDict() || isList(v) }),
	"iterable":  is(func(v *exec.Value) bool { return v.IsNil() || v.IsString() || v.IsDict() || isList(v) }),
	"callable":  is(func(v *exec.Value) bool { _, ok := v.Interface().(method); return ok || v.IsCallable() }),
	"escaped":   is(func(*exec.Value) bool { return false }),
	"lower":     cases("islower"),
	"upper":     cases("isupper"),
	"odd":       remainder(1),
	"even":      remainder(0),
	"divisibleby": {1, func(b *budget, x *exec.Value, args []*exec.Value) (bool, error) {
		return leaves(b, x, args[0], 0)
	}},
	"sameas": {1, func(b *budget, x *exec.Value, args []*exec.Value) (bool, error) {
		if typeName(x) != typeName(args[0]) || isList(x) || x.IsDict() {
			return false, nil
		}
		return equal(b, x, args[0])
	}},
	"in": {1, func(b *budget, x *exec.Value, args []*exec.Value) (bool, error) { return contains(b, args[0], x) }},
	"==": comparison("=="), "eq": comparison("=="), "equalto": comparison("=="),
	"!=": comparison("!="), "ne": comparison("!="),
	"<": comparison("<"), "lt": comparison("<"), "lessthan": comparison("<"),
	"<=": comparison("<="), "le": comparison("<="),
	">": comparison(">"), "gt": comparison(">"), "greaterthan": comparison(">"),
	">=": comparison(">="), "ge": comparison(">="),
}

func is(f func(v *exec.Value) bool) test {
	return test{0, func(_ *budget, x *exec.Value, _ []*exec.Value) (bool, error) { return f(x), nil }}
}

func comparison(op string) test {
	return test{1, func(b *budget, x *exec.Value, args []*exec.Value) (bool, error) { return compare(b, op, x, args[0]) }}
}

func remainder(want int) test {
	return test{0, func(b *budget, x *exec.Value, _ []*exec.Value) (bool, error) {
		return leaves(b, x, exec.AsValue(2), want)
	}}
}

func leaves(b *budget, x, by *exec.Value, want int) (bool, error) {
	rest, err := operate(b, "%", x, by)
	if err != nil {
		return false, err
	}
	return equal(b, exec.ToValue(rest), exec.AsValue(want))
}

func cases(name string) test {
	return test{0, func(b *budget, x *exec.Value, _ []*exec.Value) (bool, error) {
		v, err := stringMethods[name](&call{b, name, exec.NewVarArgs()}, text(b, x))
		ok, _ := v.(bool)
		return ok, err
	}}
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
	if m, ok := v.Interface().(map[string]any); ok && len(m) > 0 { // a namespace
		v.Iterate(func(_, _ int, key, value *exec.Value) bool {
			out = append(out, &exec.Pair{Key: key, Value: value})
			return true
		}, func() {})
	}
	return out
}
