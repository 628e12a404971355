package jinja

import (
	"errors"
	"sort"
	"strconv"
	"strings"
	"unicode"
)

func unicodeWord(c rune) bool { return unicode.IsLetter(c) || unicode.IsNumber(c) }

func generated(items []any) *generator { return &generator{items} }

func filterList(r *run, x any, a *args) (any, error) {
	if _, err := a.bind(0); err != nil {
		return nil, err
	}
	items, err := r.iterate(x)
	return list(items), err
}

func filterFirst(r *run, x any, a *args) (any, error) {
	if _, err := a.bind(0); err != nil {
		return nil, err
	}
	var items []any
	if g, ok := x.(*generator); ok {
		items = g.take(1)
	} else {
		var err error
		if items, err = r.iterate(x); err != nil {
			return nil, err
		}
	}
	if len(items) == 0 {
		return missing("No first item, sequence was empty."), nil
	}
	return items[0], nil
}

func filterLast(r *run, x any, a *args) (any, error) {
	if _, err := a.bind(0); err != nil {
		return nil, err
	}
	if _, ok := x.(*generator); ok {
		return nil, errors.New("'generator' object is not reversible")
	}
	items, err := r.iterate(x)
	if err != nil {
		return nil, err
	}
	if len(items) == 0 {
		return missing("No last item, sequence was empty."), nil
	}
	return items[len(items)-1], nil
}

func filterReverse(r *run, x any, a *args) (any, error) {
	if _, err := a.bind(0); err != nil {
		return nil, err
	}
	if s, ok := x.(string); ok {
		return r.slice(s, [3]any{nil, nil, -1})
	}
	items, err := r.iterate(x)
	if err != nil {
		return nil, err
	}
	out := make([]any, len(items))
	for i, v := range items {
		out[len(items)-1-i] = v
	}
	return generated(out), nil
}

func filterItems(_ *run, x any, a *args) (any, error) {
	if _, err := a.bind(0); err != nil {
		return nil, err
	}
	switch x := x.(type) {
	case *undefined:
		return generated(nil), nil
	case *Dict:
		return generated(x.pairs()), nil
	}
	return nil, errors.New("can only get item pairs from a mapping")
}

func filterJoin(r *run, x any, a *args) (any, error) {
	v, err := a.bind(0, "d", "attribute")
	if err != nil {
		return nil, err
	}
	items, err := r.follow(x, v[1], absent{})
	if err != nil {
		return nil, err
	}
	sep := ""
	if has(v[0]) {
		if sep, err = r.str(v[0]); err != nil {
			return nil, err
		}
	}
	return r.joinAll(sep, items)
}

// follow returns, for each item, what lies at the end of an attribute's path ("a.b.0"); no attribute leads nowhere. def
// stands in for what is undefined.
func (r *run) follow(x, attribute, def any) ([]any, error) {
	items, err := r.iterate(x)
	if err != nil || !some(attribute) {
		return items, err
	}
	path := []any{attribute}
	if s, ok := attribute.(string); ok {
		path = nil
		for _, part := range strings.Split(s, ".") {
			if n, err := strconv.Atoi(part); err == nil {
				path = append(path, n)
			} else {
				path = append(path, part)
			}
		}
	}
	if err := r.step(len(items)); err != nil {
		return nil, err
	}
	out := make([]any, len(items))
	for i, v := range items {
		for _, key := range path {
			if err := r.step(1); err != nil {
				return nil, err
			}
			if v, err = r.item(v, key); err != nil {
				return nil, err
			}
			if isUndefined(v) && some(def) {
				v = def
			}
		}
		out[i] = v
	}
	return out, nil
}

// caseless makes texts lower case, for comparisons without case.
func (r *run) caseless(keys []any, sensitive bool) ([]any, error) {
	if sensitive {
		return keys, nil
	}
	out := make([]any, len(keys))
	for i, k := range keys {
		if s, ok := k.(string); ok {
			if err := r.made(len(s)); err != nil {
				return nil, err
			}
			k = strings.ToLower(s)
		}
		out[i] = k
	}
	return out, nil
}

// sorted returns items in the order of their keys; equal ones stay as they were.
func (r *run) sorted(items, keys []any, reverse bool) (list, error) {
	perm := make([]int, len(items))
	for i := range perm {
		perm[i] = i
	}
	var failed error
	sort.SliceStable(perm, func(i, j int) bool {
		if failed != nil {
			return false
		}
		x, y := keys[perm[i]], keys[perm[j]]
		if reverse {
			x, y = y, x
		}
		lt, err := r.less("<", x, y)
		failed = err
		return lt
	})
	out := make(list, len(items))
	for i, p := range perm {
		out[i] = items[p]
	}
	return out, failed
}

func filterSort(r *run, x any, a *args) (any, error) {
	v, err := a.bind(0, "reverse", "case_sensitive", "attribute")
	if err != nil {
		return nil, err
	}
	items, err := r.iterate(x)
	if err != nil {
		return nil, err
	}
	attrs := []any{v[2]}
	if s, ok := v[2].(string); ok {
		attrs = nil
		for _, part := range strings.Split(s, ",") {
			attrs = append(attrs, part)
		}
	}
	var keys []any
	for n, attr := range attrs {
		part, err := r.follow(list(items), attr, absent{})
		if err == nil {
			part, err = r.caseless(part, flag(v[1]))
		}
		if err != nil {
			return nil, err
		}
		if len(attrs) == 1 {
			keys = part
			break
		}
		if n == 0 {
			keys = make([]any, len(items))
		}
		for i := range items {
			t, _ := keys[i].(tuple)
			keys[i] = append(t, part[i])
		}
	}
	return r.sorted(items, keys, flag(v[0]))
}

func filterDictSort(r *run, x any, a *args) (any, error) {
	v, err := a.bind(0, "case_sensitive", "by", "reverse")
	if err != nil {
		return nil, err
	}
	by, err := a.str(v[1], "key")
	if err != nil {
		return nil, err
	}
	d, ok := x.(*Dict)
	if !ok || by != "key" && by != "value" {
		return nil, errors.New("dictsort() takes a mapping and sorts by key or value")
	}
	keys := d.keys
	if by == "value" {
		keys = d.vals
	}
	if keys, err = r.caseless(keys, flag(v[0])); err != nil {
		return nil, err
	}
	return r.sorted(d.pairs(), keys, flag(v[2]))
}

func filterGroupBy(r *run, x any, a *args) (any, error) {
	v, err := a.bind(1, "attribute", "default", "case_sensitive")
	if err != nil {
		return nil, err
	}
	items, err := r.iterate(x)
	if err != nil {
		return nil, err
	}
	plain, err := r.follow(list(items), v[0], v[1])
	if err != nil {
		return nil, err
	}
	keys, err := r.caseless(plain, flag(v[2]))
	if err != nil {
		return nil, err
	}
	order := make([]any, len(items))
	for i := range order {
		order[i] = i
	}
	if order, err = r.sorted(order, keys, false); err != nil {
		return nil, err
	}
	var out list
	last := -1
	for _, o := range order {
		i, _ := o.(int)
		if last >= 0 {
			eq, err := r.equal(keys[i], keys[last])
			if err != nil {
				return nil, err
			}
			if eq {
				group, _ := out[len(out)-1].(tuple)
				members, _ := group[1].(list)
				group[1] = append(members, items[i])
				continue
			}
		}
		out, last = append(out, tuple{plain[i], list{items[i]}}), i
	}
	return out, nil
}

func filterUnique(r *run, x any, a *args) (any, error) {
	v, err := a.bind(0, "case_sensitive", "attribute")
	if err != nil {
		return nil, err
	}
	items, err := r.iterate(x)
	if err != nil {
		return nil, err
	}
	keys, err := r.follow(list(items), v[1], absent{})
	if err == nil {
		keys, err = r.caseless(keys, flag(v[0]))
	}
	if err != nil {
		return nil, err
	}
	seen := newDict(0)
	var out []any
	for i, k := range keys {
		if _, known := seen.get(k); known {
			continue
		}
		if err := seen.set(k, nil); err != nil {
			return nil, err
		}
		out = append(out, items[i])
	}
	return generated(out), nil
}

func extreme(least bool) method {
	return func(r *run, x any, a *args) (any, error) {
		v, err := a.bind(0, "case_sensitive", "attribute")
		if err != nil {
			return nil, err
		}
		items, err := r.iterate(x)
		if err != nil {
			return nil, err
		}
		keys, err := r.follow(list(items), v[1], absent{})
		if err == nil {
			keys, err = r.caseless(keys, flag(v[0]))
		}
		if err != nil {
			return nil, err
		}
		best := 0
		for i := range items {
			lo, hi := keys[best], keys[i]
			if least {
				lo, hi = hi, lo
			}
			better, err := r.less("<", lo, hi)
			if err != nil {
				return nil, err
			}
			if better {
				best = i
			}
		}
		if len(items) == 0 {
			return missing("No aggregated item, sequence was empty."), nil
		}
		return items[best], nil
	}
}

func filterSum(r *run, x any, a *args) (any, error) {
	v, err := a.bind(0, "attribute", "start")
	if err != nil {
		return nil, err
	}
	items, err := r.follow(x, v[0], absent{})
	if err != nil {
		return nil, err
	}
	total := any(0)
	if has(v[1]) {
		total = v[1]
	}
	if _, ok := total.(string); ok {
		return nil, errors.New("sum() can't sum strings [use ''.join(seq) instead]")
	}
	for _, item := range items {
		if total, err = r.operate("+", total, item); err != nil {
			return nil, err
		}
	}
	return total, nil
}
