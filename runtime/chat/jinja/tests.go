package jinja

import "fmt"

func noTest(name string) error { return fmt.Errorf("no test named '%s'", name) }

// test is x is name(args).
func (r *run) test(name string, x any, a *args) (bool, error) {
	t, ok := r.lib.tests[name]
	switch {
	case name == "filter":
		s, _ := x.(string)
		_, ok := r.lib.filters[s]
		return ok, nil
	case name == "test":
		s, _ := x.(string)
		_, ok := r.lib.tests[s]
		return ok, nil
	case !ok:
		return false, noTest(name)
	case len(a.names) > 0 || len(a.pos) != t.args:
		return false, fmt.Errorf("the test '%s' takes %d arguments, got %d", name, t.args, len(a.names)+len(a.pos))
	}
	if err := r.step(1); err != nil {
		return false, err
	}
	var y any
	if t.args == 1 {
		y = a.pos[0]
	}
	return t.run(r, x, y)
}

// testFunc is what may stand behind `is`, with no argument or one.
type testFunc struct {
	args int
	run  func(r *run, x, y any) (bool, error)
}

func testTable() map[string]testFunc {
	return map[string]testFunc{
		"filter": {}, "test": {}, // see test: they look into the tables themselves
		"defined":   is(func(v any) bool { return !isUndefined(v) }),
		"undefined": is(isUndefined),
		"none":      is(func(v any) bool { return v == nil }),
		"boolean":   is(func(v any) bool { _, ok := v.(bool); return ok }),
		"true":      is(func(v any) bool { return v == true }),
		"false":     is(func(v any) bool { return v == false }),
		"integer":   is(func(v any) bool { _, ok := v.(int); return ok }),
		"float":     is(func(v any) bool { _, ok := v.(float64); return ok }),
		"number":    is(func(v any) bool { _, ok := number(v); return ok }),
		"string":    is(func(v any) bool { _, ok := v.(string); return ok }),
		"mapping":   is(func(v any) bool { _, ok := v.(*Dict); return ok }),
		"sequence":  is(isSequence),
		"iterable": is(func(v any) bool {
			switch v.(type) {
			case view, *generator:
				return true
			}
			return isSequence(v)
		}),
		"callable": is(func(v any) bool {
			switch v.(type) {
			case *function, *loop, *undefined: // each has a method __call__
				return true
			}
			return false
		}),
		"escaped": is(func(any) bool { return false }),
		"lower":   {0, func(r *run, x, _ any) (bool, error) { return r.asksText("islower", x) }},
		"upper":   {0, func(r *run, x, _ any) (bool, error) { return r.asksText("isupper", x) }},
		"odd":     {0, func(r *run, x, _ any) (bool, error) { return r.leaves(x, 2, 1) }},
		"even":    {0, func(r *run, x, _ any) (bool, error) { return r.leaves(x, 2, 0) }},

		"divisibleby": {1, func(r *run, x, y any) (bool, error) { return r.leaves(x, y, 0) }},
		"sameas":      {1, func(_ *run, x, y any) (bool, error) { return same(x, y), nil }},
		"in":          comparing("in"),
		"==":          comparing("=="), "eq": comparing("=="), "equalto": comparing("=="),
		"!=": comparing("!="), "ne": comparing("!="),
		"<": comparing("<"), "lt": comparing("<"), "lessthan": comparing("<"),
		"<=": comparing("<="), "le": comparing("<="),
		">": comparing(">"), "gt": comparing(">"), "greaterthan": comparing(">"),
		">=": comparing(">="), "ge": comparing(">="),
	}
}

func isUndefined(v any) bool { _, ok := v.(*undefined); return ok }

func isSequence(v any) bool {
	switch v.(type) {
	case string, list, tuple, *Dict, numbers, *undefined:
		return true
	}
	return false
}

// same says whether two values are one. Lists are, if they are the same piece of memory.
func same(x, y any) bool {
	if typeName(x) != typeName(y) {
		return false
	}
	if a, ok := sequence(x); ok {
		b, _ := sequence(y)
		return len(a) == len(b) && len(a) > 0 && &a[0] == &b[0]
	}
	if _, ok := x.(view); ok {
		return false // each call makes a new one
	}
	return x == y
}

func is(f func(v any) bool) testFunc {
	return testFunc{0, func(_ *run, x, _ any) (bool, error) { return f(x), nil }}
}

func comparing(op string) testFunc {
	return testFunc{1, func(r *run, x, y any) (bool, error) { return r.compare(op, x, y) }}
}

// leaves says whether x modulo y is rest.
func (r *run) leaves(x, y any, rest int) (bool, error) {
	left, err := r.operate("%", x, y)
	if err != nil {
		return false, err
	}
	return r.equal(left, rest)
}

func (r *run) asksText(method string, x any) (bool, error) {
	s, err := r.str(x)
	if err != nil {
		return false, err
	}
	v, err := r.lib.text[method](r, s, &args{of: method})
	ok, _ := v.(bool)
	return ok, err
}
