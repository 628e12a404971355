package jinja

import "fmt"

func (x literal) eval(*run, *scope) (any, error) { return x.v, nil }

func (x name) eval(_ *run, s *scope) (any, error) {
	if v, ok := s.get(x.name); ok {
		return v, nil
	}
	return missing("'%s' is undefined", x.name), nil
}

func (r *run) evalAll(xs []expr, s *scope) ([]any, error) {
	out := make([]any, len(xs))
	for i, x := range xs {
		var err error
		if out[i], err = r.eval(x, s); err != nil {
			return nil, err
		}
	}
	return out, nil
}

func (x *sequenceExpr) eval(r *run, s *scope) (any, error) {
	items, err := r.evalAll(x.items, s)
	if err != nil {
		return nil, err
	}
	switch x.kind {
	case '[':
		return list(items), nil
	case '(':
		return tuple(items), nil
	}
	parts := make([]string, len(items))
	for i, v := range items {
		if parts[i], err = r.str(v); err != nil {
			return nil, err
		}
	}
	return r.join("", parts...)
}

func (x *dictExpr) eval(r *run, s *scope) (any, error) {
	d := newDict(len(x.keys))
	for i := range x.keys {
		k, err := r.eval(x.keys[i], s)
		if err != nil {
			return nil, err
		}
		v, err := r.eval(x.vals[i], s)
		if err != nil {
			return nil, err
		}
		if err := d.set(k, v); err != nil {
			return nil, err
		}
	}
	return d, nil
}

func (x *binary) eval(r *run, s *scope) (any, error) {
	a, err := r.marked(x.x, s)
	if err != nil {
		return nil, err
	}
	b, err := r.marked(x.y, s)
	if err != nil {
		return nil, err
	}
	m, left := a.(markup)
	n, right := b.(markup)
	if left {
		a = string(m)
	}
	if right {
		b = string(n)
	}
	if x.op == "+" && left != right {
		if left {
			b, err = r.escaped(b)
		} else {
			a, err = r.escaped(a)
		}
		if err != nil {
			return nil, at(x.line, err)
		}
	}
	v, err := r.operate(x.op, a, b)
	if sum, ok := v.(string); ok && x.op == "+" && (left || right) {
		v = markup(sum)
	}
	return v, at(x.line, err)
}

// escaped is a text as markup takes it; what is no text stays as it is.
func (r *run) escaped(v any) (any, error) {
	s, ok := v.(string)
	if !ok {
		return v, nil
	}
	if err := r.room(len(s) * escapeGrowth); err != nil {
		return nil, err
	}
	return escape(s), nil
}

func (x *logic) eval(r *run, s *scope) (any, error) {
	v, err := r.eval(x.x, s)
	if err != nil || truth(v) == x.or {
		return v, err
	}
	return r.eval(x.y, s)
}

func (x *not) eval(r *run, s *scope) (any, error) {
	v, err := r.eval(x.x, s)
	return !truth(v), err
}

func (x *negate) eval(r *run, s *scope) (any, error) {
	v, err := r.eval(x.x, s)
	if err != nil {
		return nil, err
	}
	if u, ok := v.(*undefined); ok {
		return nil, u.fail()
	}
	if n, ok := integer(v); ok {
		return intOperate(x.op, 0, n)
	}
	if f, ok := v.(float64); ok {
		if x.op == "-" {
			return -f, nil
		}
		return f, nil
	}
	return nil, fmt.Errorf("bad operand type for unary %s: '%s'", x.op, typeName(v))
}

func (x *comparison) eval(r *run, s *scope) (any, error) {
	a, err := r.eval(x.first, s)
	if err != nil {
		return nil, err
	}
	for i, op := range x.ops {
		b, err := r.eval(x.rest[i], s)
		if err != nil {
			return nil, err
		}
		ok, err := r.compare(op, a, b)
		if !ok || err != nil {
			return false, at(x.line, err)
		}
		a = b
	}
	return true, nil
}

func (x *conditional) eval(r *run, s *scope) (any, error) {
	v, err := r.eval(x.test, s)
	switch {
	case err != nil:
		return nil, err
	case truth(v):
		return r.eval(x.yes, s)
	case x.no == nil:
		return missing("the inline if-expression evaluated to false and no else section was defined"), nil
	}
	return r.eval(x.no, s)
}

func (x *attribute) eval(r *run, s *scope) (any, error) {
	v, err := r.eval(x.x, s)
	if err != nil {
		return nil, err
	}
	got, err := r.attr(v, x.name)
	return got, at(x.line, err)
}

func (x *subscript) eval(r *run, s *scope) (any, error) {
	v, err := r.eval(x.x, s)
	if err != nil {
		return nil, err
	}
	key, err := r.eval(x.key, s)
	if err != nil {
		return nil, err
	}
	got, err := r.item(v, key)
	return got, at(x.line, err)
}

func (x *slice) eval(r *run, s *scope) (any, error) {
	v, err := r.eval(x.x, s)
	if err != nil {
		return nil, err
	}
	var bounds [3]any
	for i, b := range x.bounds {
		if b == nil {
			continue
		}
		if bounds[i], err = r.eval(b, s); err != nil {
			return nil, err
		}
	}
	got, err := r.slice(v, bounds)
	return got, at(x.line, err)
}

func (x *callExpr) eval(r *run, s *scope) (any, error) {
	f, err := r.eval(x.f, s)
	if err != nil {
		return nil, err
	}
	a, err := x.args.eval(r, s)
	if err != nil {
		return nil, err
	}
	v, err := r.call(f, a)
	return v, at(x.line, err)
}

// call calls a value.
func (r *run) call(f any, a *args) (any, error) {
	switch f := f.(type) {
	case *function:
		a.of = f.name
		return f.call(r, a)
	case *undefined:
		return nil, f.fail()
	case *loop:
		if f.again == nil {
			return nil, fmt.Errorf("the loop must have the 'recursive' marker to be called recursively")
		}
		a.of = "loop"
		v, err := a.bind(1, "iterable")
		if err != nil {
			return nil, err
		}
		return f.again(v[0])
	}
	return nil, fmt.Errorf("'%s' object is not callable", typeName(f))
}

func (a *arguments) eval(r *run, s *scope) (*args, error) {
	pos, err := r.evalAll(a.pos, s)
	if err != nil {
		return nil, err
	}
	named, err := r.evalAll(a.named, s)
	if err != nil {
		return nil, err
	}
	out := &args{pos: pos, named: named, names: a.names}
	if a.spread != nil {
		v, err := r.eval(a.spread, s)
		if err != nil {
			return nil, err
		}
		more, err := r.iterate(v)
		if err != nil {
			return nil, err
		}
		out.pos = append(out.pos, more...)
	}
	if a.pairs != nil {
		v, err := r.eval(a.pairs, s)
		if err != nil {
			return nil, err
		}
		d, ok := v.(*Dict)
		if !ok {
			return nil, fmt.Errorf("argument after ** must be a mapping, not %s", typeName(v))
		}
		out.names = append([]string(nil), out.names...)
		for i, k := range d.keys {
			name, ok := k.(string)
			if !ok {
				return nil, fmt.Errorf("keywords must be strings")
			}
			out.names, out.named = append(out.names, name), append(out.named, d.vals[i])
		}
	}
	out.names = out.names[:len(out.names):len(out.names)] // what is appended is not the template's
	return out, nil
}

func (x *filterExpr) eval(r *run, s *scope) (any, error) {
	v, err := r.marked(x.x, s)
	if err != nil {
		return nil, err
	}
	return x.filter(r, s, v)
}

// apply filters what a block captured: the innermost filter of the chain has no value of its own.
func (x *filterExpr) apply(r *run, s *scope, v any) (any, error) {
	defer r.leave()
	if err := r.enter(); err != nil {
		return nil, err
	}
	if before, ok := x.x.(*filterExpr); ok {
		var err error
		if v, err = before.apply(r, s, v); err != nil {
			return nil, err
		}
	}
	v, err := x.filter(r, s, v)
	if m, ok := v.(markup); ok {
		v = string(m)
	}
	return v, err
}

func (x *filterExpr) filter(r *run, s *scope, v any) (any, error) {
	a, err := x.args.eval(r, s)
	if err != nil {
		return nil, err
	}
	m, safe := v.(markup)
	if safe {
		v = string(m)
	}
	makes := x.name == "safe" || x.name == "e" || x.name == "escape"
	if safe && makes {
		return m, nil
	}
	got, err := r.filter(x.name, v, a)
	if made, ok := got.(string); ok && makes {
		got = markup(made)
	}
	return got, at(x.line, err)
}

func (x *testExpr) eval(r *run, s *scope) (any, error) {
	v, err := r.eval(x.x, s)
	if err != nil {
		return nil, err
	}
	a, err := x.args.eval(r, s)
	if err != nil {
		return nil, err
	}
	ok, err := r.test(x.name, v, a)
	return ok != x.negated, at(x.line, err)
}
