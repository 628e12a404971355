package jinja

import (
	"errors"
)

// filterMap applies a filter to each item, or takes an attribute of each.
func filterMap(r *run, x any, a *args) (any, error) {
	if !truth(x) { // none among them, as in Jinja
		return generated(nil), nil
	}
	if len(a.pos) == 0 {
		v, err := a.bind(1, "attribute", "default")
		if err != nil {
			return nil, err
		}
		out, err := r.follow(x, v[0], v[1])
		return generated(out), err
	}
	name, ok := a.pos[0].(string)
	if _, known := r.lib.filters[name]; !ok || !known {
		return nil, noFilter(name)
	}
	items, err := r.iterate(x)
	if err != nil {
		return nil, err
	}
	out := make([]any, len(items))
	for i, item := range items {
		rest := &args{pos: a.pos[1:], names: a.names, named: a.named}
		if out[i], err = r.filter(name, item, rest); err != nil {
			return nil, err
		}
	}
	return generated(out), nil
}

// selector makes select, reject, selectattr and rejectattr: keep the items (or those whose attribute) that pass, or fail, a test.
func selector(byAttr, keep bool) method {
	return func(r *run, x any, a *args) (any, error) {
		if !truth(x) { // none among them, as in Jinja
			return generated(nil), nil
		}
		items, err := r.iterate(x)
		if err != nil {
			return nil, err
		}
		subjects, rest := items, a.pos
		if byAttr {
			if len(rest) == 0 {
				return nil, errors.New("missing parameter for attribute name")
			}
			if subjects, err = r.follow(list(items), rest[0], absent{}); err != nil {
				return nil, err
			}
			rest = rest[1:]
		}
		var name string
		if len(rest) > 0 {
			var ok bool
			if name, ok = rest[0].(string); !ok {
				return nil, noTest(typeName(rest[0]))
			}
		}
		var out []any
		for i, subject := range subjects {
			ok := truth(subject)
			if len(rest) > 0 {
				if ok, err = r.test(name, subject, &args{pos: rest[1:]}); err != nil {
					return nil, err
				}
			}
			if ok == keep {
				out = append(out, items[i])
			}
		}
		return generated(out), nil
	}
}

// filterBatch cuts items into lists of n, the last filled up if there is something to fill with.
func filterBatch(r *run, x any, a *args) (any, error) {
	v, err := a.bind(1, "linecount", "fill_with")
	if err != nil {
		return nil, err
	}
	n, err := a.num(v[0], 0)
	if err != nil {
		return nil, err
	}
	if n < 1 {
		return nil, errors.New("batch() wants at least 1 item in each")
	}
	items, err := r.iterate(x)
	if err != nil {
		return nil, err
	}
	var out []any
	for len(items) > n {
		out, items = append(out, list(items[:n:n])), items[n:]
	}
	if len(items) > 0 {
		last := list(items[:len(items):len(items)])
		if some(v[1]) {
			if err := r.step(n - len(last)); err != nil {
				return nil, err
			}
			for len(last) < n {
				last = append(last, v[1])
			}
		}
		out = append(out, last)
	}
	return generated(out), nil
}

// filterSlice cuts items into n lists, as even as can be.
func filterSlice(r *run, x any, a *args) (any, error) {
	v, err := a.bind(1, "slices", "fill_with")
	if err != nil {
		return nil, err
	}
	n, err := a.num(v[0], 0)
	if err != nil {
		return nil, err
	}
	if n < 1 {
		return nil, errors.New("slice() wants at least 1 slice")
	}
	items, err := r.iterate(x)
	if err == nil {
		err = r.step(n)
	}
	if err != nil {
		return nil, err
	}
	size, longer := len(items)/n, len(items)%n
	out := make([]any, n)
	for i := range out {
		k := size
		if i < longer {
			k++
		}
		part := list(items[:k:k])
		items = items[k:]
		if i >= longer && some(v[1]) {
			part = append(part, v[1])
		}
		out[i] = part
	}
	return generated(out), nil
}
