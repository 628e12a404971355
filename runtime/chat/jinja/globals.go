package jinja

import (
	"errors"
	"fmt"
)

// MaxRange is the length of the longest range, as in Jinja's sandbox.
const MaxRange = 100_000

// globals are the functions that every template finds.
var globals = map[string]*function{
	"range":     {name: "range", call: rangeOf},
	"dict":      {name: "dict", call: dictOf},
	"namespace": {name: "namespace", call: namespaceOf},
	"cycler":    {name: "cycler", call: cycler},
	"joiner":    {name: "joiner", call: joiner},
	// The template itself: it has no blocks, so there is nothing in it.
	"self": {name: "self", call: func(*run, *args) (any, error) {
		return nil, errors.New("'TemplateReference' object is not callable")
	}},
}

func rangeOf(_ *run, a *args) (any, error) {
	n := [3]int{0, 0, 1}
	if len(a.pos) == 0 || len(a.pos) > 3 || len(a.names) > 0 {
		return nil, errors.New("range() takes one to three integers")
	}
	for i, v := range a.pos {
		var ok bool
		if n[i], ok = integer(v); !ok {
			return nil, fmt.Errorf("'%s' object cannot be interpreted as an integer", typeName(v))
		}
		if n[i] > 1<<61 || n[i] < -1<<61 { // so that no difference overflows
			return nil, errors.New("range() takes no integers beyond 61 bits")
		}
	}
	if len(a.pos) == 1 {
		n[0], n[1] = 0, n[0]
	}
	out := numbers{n[0], n[1], n[2]}
	if out.step == 0 {
		return nil, errors.New("range() arg 3 must not be zero")
	}
	if out.size() > MaxRange {
		return nil, fmt.Errorf("Range too big. The sandbox blocks ranges larger than MAX_RANGE (%d).", MaxRange) //nolint:revive,staticcheck // Jinja's own sentence
	}
	return out, nil
}

// dictOf is dict(mapping or pairs, **more).
func dictOf(r *run, a *args) (any, error) {
	if len(a.pos) > 1 {
		return nil, fmt.Errorf("dict expected at most 1 argument, got %d", len(a.pos))
	}
	d := newDict(len(a.names))
	if len(a.pos) == 1 {
		if from, ok := a.pos[0].(*Dict); ok {
			d = from.copied()
		} else {
			pairs, err := r.iterate(a.pos[0])
			if err != nil {
				return nil, err
			}
			for _, p := range pairs {
				kv, err := r.unpack(p, 2)
				if err != nil {
					return nil, err
				}
				if err := d.set(kv[0], kv[1]); err != nil {
					return nil, err
				}
			}
		}
	}
	for i, name := range a.names {
		if err := d.set(name, a.named[i]); err != nil {
			return nil, err
		}
	}
	return d, r.step(len(d.keys))
}

func namespaceOf(r *run, a *args) (any, error) {
	d, err := dictOf(r, a)
	if err != nil {
		return nil, err
	}
	attrs, _ := d.(*Dict)
	return &namespace{attrs}, nil
}

// cycler hands its items out in turn.
func cycler(_ *run, a *args) (any, error) {
	if len(a.pos) == 0 || len(a.names) > 0 {
		return nil, errors.New("at least one item has to be provided")
	}
	items, i := a.pos, 0
	attrs := newDict(0)
	current := func() error { return attrs.set("current", items[i]) }
	step := func(name string, to func() int) error {
		return attrs.set(name, &function{name: name, call: func(_ *run, a *args) (any, error) {
			v := items[i]
			if _, err := a.bind(0); err != nil {
				return nil, err
			}
			i = to()
			return v, current()
		}})
	}
	return &namespace{attrs}, errors.Join(
		step("next", func() int { return (i + 1) % len(items) }),
		step("reset", func() int { return 0 }),
		current())
}

// joiner gives nothing when it is first called, and its separator from then on.
func joiner(_ *run, a *args) (any, error) {
	v, err := a.bind(0, "sep")
	if err != nil {
		return nil, err
	}
	sep, err := a.str(v[0], ", ")
	used := false
	return &function{name: "joiner", call: func(*run, *args) (any, error) {
		if !used {
			used = true
			return "", nil
		}
		return sep, nil
	}}, err
}
