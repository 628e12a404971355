package jinja

import (
	"errors"
	"fmt"
)

// What leaves a loop's body, or one run of it.
var (
	errBreak    = errors.New("BUG: jinja: break outside a loop")
	errContinue = errors.New("BUG: jinja: continue outside a loop")
)

func (b body) exec(r *run, s *scope) error {
	for _, n := range b {
		err := r.enter()
		if err == nil {
			err = n.exec(r, s)
		}
		r.leave()
		if err != nil {
			return err
		}
	}
	return nil
}

func (n text) exec(r *run, _ *scope) error { return r.write(n.s) }

func (n *output) exec(r *run, s *scope) error {
	v, err := r.eval(n.x, s)
	if err != nil {
		return at(n.line, err)
	}
	str, err := r.str(v)
	if err != nil {
		return at(n.line, err)
	}
	return at(n.line, r.write(str))
}

func (n *ifNode) exec(r *run, s *scope) error {
	for i, test := range n.tests {
		v, err := r.eval(test, s)
		if err != nil {
			return at(n.line, err)
		}
		if truth(v) {
			return n.bodies[i].exec(r, s)
		}
	}
	return n.other.exec(r, s)
}

// assign gives a value to a target.
func (t target) assign(r *run, s *scope, v any) error {
	switch {
	case t.many != nil:
		parts, err := r.unpack(v, len(t.many))
		if err != nil {
			return err
		}
		for i, t := range t.many {
			if err := t.assign(r, s, parts[i]); err != nil {
				return err
			}
		}
		return nil
	case t.attr != "":
		held, _ := s.get(t.name)
		ns, ok := held.(*namespace)
		if !ok {
			return errors.New("cannot assign attribute on non-namespace object")
		}
		return ns.attrs.set(t.attr, v)
	}
	s.set(t.name, v)
	return nil
}

// loop is what a loop's body sees as `loop`.
type loop struct {
	items   []any
	i       int
	depth   int
	last    any // what changed() saw
	watched bool
	again   func(v any) (string, error) // runs the loop over another value; nil unless it is recursive
}

func (n *forNode) exec(r *run, s *scope) error {
	v, err := r.eval(n.over, s)
	if err != nil {
		return at(n.line, err)
	}
	return n.runOver(r, s, v)
}

// runOver runs the loop over a value.
func (n *forNode) runOver(r *run, s *scope, v any) error {
	items, err := r.iterate(v)
	if err == nil {
		items, err = n.filter(r, s, items)
	}
	if err != nil {
		return at(n.line, err)
	}
	l := &loop{items: items, depth: s.depth + 1}
	if n.recursive {
		l.again = func(v any) (string, error) {
			inner := s.inner()
			inner.depth = l.depth
			return r.capture(func() error { return n.runOver(r, inner, v) })
		}
	}
	for l.i = range items {
		inner := s.inner()
		inner.depth = 0
		inner.set("loop", l)
		if err := n.to.assign(r, inner, items[l.i]); err != nil {
			return at(n.line, err)
		}
		switch err := n.body.exec(r, inner); {
		case errors.Is(err, errBreak):
			return nil
		case err != nil && !errors.Is(err, errContinue):
			return err
		}
		if err := r.step(1); err != nil {
			return at(n.line, err)
		}
	}
	if len(items) == 0 {
		return n.other.exec(r, s.inner())
	}
	return nil
}

// filter keeps the items for which the loop's condition holds.
func (n *forNode) filter(r *run, s *scope, items []any) ([]any, error) {
	if n.cond == nil {
		return items, nil
	}
	var kept []any
	for _, v := range items {
		inner := s.inner()
		if err := n.to.assign(r, inner, v); err != nil {
			return nil, err
		}
		ok, err := r.eval(n.cond, inner)
		if err != nil {
			return nil, err
		}
		if truth(ok) {
			kept = append(kept, v)
		}
	}
	return kept, nil
}

func (n *setNode) exec(r *run, s *scope) error {
	v, err := r.eval(n.x, s)
	if err == nil {
		err = n.to.assign(r, s, v)
	}
	return at(n.line, err)
}

func (n *setBlock) exec(r *run, s *scope) error {
	out, err := r.capture(func() error { return n.body.exec(r, s.inner()) })
	if err != nil {
		return err
	}
	v := any(out)
	if n.filters != nil {
		if v, err = n.filters.apply(r, s, out); err != nil {
			return err
		}
	}
	return at(n.line, n.to.assign(r, s, v))
}

func (n *filterBlock) exec(r *run, s *scope) error {
	out, err := r.capture(func() error { return n.body.exec(r, s.inner()) })
	if err != nil {
		return err
	}
	v, err := n.filters.apply(r, s, out)
	if err != nil {
		return err
	}
	str, err := r.str(v)
	if err == nil {
		err = r.write(str)
	}
	return at(n.line, err)
}

func (n *withNode) exec(r *run, s *scope) error {
	inner := s.inner()
	for i, x := range n.vals {
		v, err := r.eval(x, s)
		if err == nil {
			err = n.to[i].assign(r, inner, v)
		}
		if err != nil {
			return at(n.line, err)
		}
	}
	return n.body.exec(r, inner)
}

func (n *scopeNode) exec(r *run, s *scope) error { return n.body.exec(r, s.inner()) }

func (n *leave) exec(*run, *scope) error { return n.why }

func (n *macroNode) exec(_ *run, s *scope) error {
	s.set(n.name, n.function(s))
	return nil
}

func (n *callBlock) exec(r *run, s *scope) error {
	a, err := n.call.args.eval(r, s)
	if err != nil {
		return at(n.line, err)
	}
	a.names, a.named = append(a.names, "caller"), append(a.named, any(n.block.function(s)))
	f, err := r.eval(n.call.f, s)
	if err != nil {
		return at(n.line, err)
	}
	v, err := r.call(f, a)
	if err != nil {
		return at(n.line, err)
	}
	str, err := r.str(v)
	if err == nil {
		err = r.write(str)
	}
	return at(n.line, err)
}

// function makes of a macro what can be called. The body sees the names of the place where the macro stands.
func (n *macroNode) function(s *scope) *function {
	names := make(list, len(n.params))
	for i, p := range n.params {
		names[i] = p
	}
	attrs := map[string]any{"name": n.name, "arguments": names, "caller": n.caller, "catch_varargs": n.varargs, "catch_kwargs": n.kwargs}
	return &function{name: n.name, attrs: attrs, call: func(r *run, a *args) (any, error) {
		inner := s.inner()
		inner.depth = 0
		if err := n.bind(r, inner, a); err != nil {
			return nil, err
		}
		return r.capture(func() error { return n.body.exec(r, inner) })
	}}
}

// bind gives the parameters of a macro their values.
func (n *macroNode) bind(r *run, s *scope, a *args) error {
	used := make([]bool, len(a.names))
	for i, p := range n.params {
		if err := r.step(1 + len(a.names)); err != nil {
			return err
		}
		var v any = missing("parameter '%s' was not provided", p)
		has := i < len(a.pos)
		if has {
			v = a.pos[i]
		}
		for k, name := range a.names {
			if name == p && !has {
				v, used[k], has = a.named[k], true, true
			}
		}
		if d := i - (len(n.params) - len(n.defaults)); !has && d >= 0 {
			var err error
			if v, err = r.eval(n.defaults[d], s); err != nil {
				return err
			}
		}
		s.set(p, v)
	}
	rest := newDict(0)
	var caller any = missing("'caller' is undefined: no call block is around")
	for k, name := range a.names {
		switch {
		case used[k]:
		case name == "caller" && n.caller:
			caller = a.named[k]
		case n.kwargs:
			if err := rest.set(name, a.named[k]); err != nil {
				return err
			}
		default:
			return fmt.Errorf("macro '%s' takes no keyword argument '%s'", n.name, name)
		}
	}
	if n.caller {
		s.set("caller", caller)
	}
	if n.kwargs {
		s.set("kwargs", rest)
	}
	more := tuple{}
	if len(a.pos) > len(n.params) {
		more = a.pos[len(n.params):]
	}
	if n.varargs {
		s.set("varargs", more)
	} else if len(more) > 0 {
		return fmt.Errorf("macro '%s' takes not more than %d argument(s)", n.name, len(n.params))
	}
	return nil
}
