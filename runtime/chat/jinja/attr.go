package jinja

import (
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"
)

// attr is x.name: an attribute, or else an element, or else undefined.
func (r *run) attr(x any, name string) (any, error) {
	if u, ok := x.(*undefined); ok {
		return nil, u.fail()
	}
	if v, ok := r.attribute(x, name); ok {
		return v, nil
	}
	if d, ok := x.(*Dict); ok {
		if v, ok := d.get(name); ok {
			return v, nil
		}
	}
	return absentFrom(x, name), nil
}

// item is x[key]: an element, or else an attribute, or else undefined.
func (r *run) item(x, key any) (any, error) {
	if u, ok := x.(*undefined); ok {
		return nil, u.fail()
	}
	if d, ok := x.(*Dict); ok {
		if v, ok := d.get(key); ok {
			return v, nil
		}
	}
	if i, ok := integer(key); ok {
		v, ok, err := r.element(x, i)
		if ok || err != nil {
			return v, err
		}
	}
	if name, ok := key.(string); ok {
		if v, ok := r.attribute(x, name); ok {
			return v, nil
		}
		return absentFrom(x, name), nil
	}
	return missing("'%s' has no such element", described(x)), nil
}

// element is the i-th element, from the end where i is below zero.
func (r *run) element(x any, i int) (any, bool, error) {
	if s, ok := x.(string); ok {
		n, err := r.length(s)
		if i < 0 {
			i += n
		}
		if err != nil || i < 0 || i >= n {
			return nil, false, err
		}
		for ; i > 0; i-- {
			_, w := utf8.DecodeRuneInString(s)
			s = s[w:]
		}
		_, w := utf8.DecodeRuneInString(s)
		return s[:w], true, nil
	}
	items, ok := sequence(x)
	if n, isRange := x.(numbers); isRange {
		items, ok = n.items(), true
		if err := r.step(len(items)); err != nil {
			return nil, false, err
		}
	}
	if i < 0 {
		i += len(items)
	}
	if !ok || i < 0 || i >= len(items) {
		return nil, false, nil
	}
	return items[i], true, nil
}

func described(x any) string {
	if x == nil {
		return "None"
	}
	return typeName(x) + " object"
}

// absentFrom is what an attribute is that is not there. Names that reach into Python, and methods that change a list or a
// mapping, are refused when they are used, as the sandbox does.
func absentFrom(x any, name string) *undefined {
	if strings.HasPrefix(name, "__") && strings.HasSuffix(name, "__") || changes(x, name) {
		return missing("access to attribute '%s' of '%s' object is unsafe", name, typeName(x))
	}
	return missing("'%s' has no attribute '%s'", described(x), name)
}

func changes(x any, name string) bool {
	switch x.(type) {
	case list:
		return strings.Contains(" append clear extend insert pop remove reverse sort ", " "+name+" ")
	case *Dict:
		return strings.Contains(" clear pop popitem setdefault update ", " "+name+" ")
	}
	return false
}

// attribute returns what a value has by a name of its type.
func (r *run) attribute(x any, name string) (any, bool) {
	var m method
	switch x := x.(type) {
	case string:
		m = r.lib.text[name]
	case *Dict:
		m = dictMethods[name]
	case list, tuple:
		m = listMethods[name]
	case *namespace:
		return x.attrs.get(name)
	case *loop:
		return x.attribute(r, name)
	case *function:
		v, ok := x.attrs[name]
		return v, ok
	case numbers:
		v, ok := map[string]any{"start": x.start, "stop": x.stop, "step": x.step}[name]
		return v, ok
	case int, bool:
		n, _ := integer(x)
		v, ok := map[string]any{"real": n, "imag": 0, "numerator": n, "denominator": 1}[name]
		return v, ok
	case float64:
		v, ok := map[string]any{"real": x, "imag": 0.0}[name]
		return v, ok
	}
	if m == nil {
		return nil, false
	}
	return &function{name: name, call: func(r *run, a *args) (any, error) { return m(r, x, a) }}, true
}

// method is a method of a type, called on x.
type method func(r *run, x any, a *args) (any, error)

var dictMethods = map[string]method{
	"get": func(_ *run, x any, a *args) (any, error) {
		v, err := a.bind(1, "key", "default")
		if err != nil {
			return nil, err
		}
		if _, err := hash(v[0]); err != nil {
			return nil, err
		}
		if got, ok := x.(*Dict).get(v[0]); ok {
			return got, nil
		}
		if has(v[1]) {
			return v[1], nil
		}
		return nil, nil
	},
	"keys":   ofDict("dict_keys", func(d *Dict) []any { return d.keys }),
	"values": ofDict("dict_values", func(d *Dict) []any { return d.vals }),
	"items":  ofDict("dict_items", (*Dict).pairs),
	"copy": func(r *run, x any, a *args) (any, error) {
		_, err := a.bind(0)
		return x, err // nothing can change either
	},
}

func ofDict(of string, items func(d *Dict) []any) method {
	return func(r *run, x any, a *args) (any, error) {
		if _, err := a.bind(0); err != nil {
			return nil, err
		}
		d, _ := x.(*Dict)
		if err := r.step(len(d.keys)); err != nil {
			return nil, err
		}
		return view{of, items(d)}, nil
	}
}

var listMethods = map[string]method{
	"count": func(r *run, x any, a *args) (any, error) {
		n, _, err := r.count(x, a)
		return n, err
	},
	"index": func(r *run, x any, a *args) (any, error) {
		_, first, err := r.count(x, a)
		if err == nil && first < 0 {
			err = errors.New("the value is not in the list")
		}
		return first, err
	},
	"copy": func(_ *run, x any, a *args) (any, error) {
		_, err := a.bind(0)
		return x, err
	},
}

// count says how often a list has a value, and where first.
func (r *run) count(x any, a *args) (n, first int, err error) {
	v, err := a.bind(1, "value")
	if err != nil {
		return 0, 0, err
	}
	items, _ := sequence(x)
	first = -1
	for i, item := range items {
		eq, err := r.equal(item, v[0])
		if err != nil {
			return 0, 0, err
		}
		if eq {
			if n++; first < 0 {
				first = i
			}
		}
	}
	return n, first, nil
}

// attribute returns what a template knows of the loop around it.
func (l *loop) attribute(r *run, name string) (any, bool) {
	neighbour := func(i int, which string) (any, bool) {
		if i < 0 || i >= len(l.items) {
			return missing("there is no %s item", which), true
		}
		return l.items[i], true
	}
	n := len(l.items)
	switch name {
	case "index":
		return l.i + 1, true
	case "index0":
		return l.i, true
	case "revindex":
		return n - l.i, true
	case "revindex0":
		return n - l.i - 1, true
	case "first":
		return l.i == 0, true
	case "last":
		return l.i == n-1, true
	case "length":
		return n, true
	case "depth":
		return l.depth, true
	case "depth0":
		return l.depth - 1, true
	case "previtem":
		return neighbour(l.i-1, "previous")
	case "nextitem":
		return neighbour(l.i+1, "next")
	case "cycle":
		return &function{name: name, call: func(_ *run, a *args) (any, error) {
			if len(a.pos) == 0 {
				return nil, errors.New("no items for cycling given")
			}
			return a.pos[l.i%len(a.pos)], nil
		}}, true
	case "changed":
		return &function{name: name, call: func(r *run, a *args) (any, error) {
			same, err := r.equal(l.last, tuple(a.pos))
			changed := !l.watched || !same
			l.last, l.watched = tuple(a.pos), true
			return changed, err
		}}, true
	}
	return nil, false
}

// slice is x[start:stop:step], nil standing for a bound that is not given.
func (r *run) slice(x any, bounds [3]any) (any, error) {
	if u, ok := x.(*undefined); ok {
		return nil, u.fail()
	}
	items, ok := sequence(x)
	s, isText := x.(string)
	var starts []int // of the characters
	size := len(items)
	if isText {
		n, err := r.length(s)
		if err == nil {
			err = r.step(n / 16)
		}
		if err != nil {
			return nil, err
		}
		starts = make([]int, 0, n+1)
		for i := range s {
			starts = append(starts, i)
		}
		size, starts = n, append(starts, len(s))
	} else if !ok {
		return missing("'%s' has no such element", described(x)), nil
	}
	start, stop, step, err := sliceBounds(bounds, size)
	if err != nil {
		return nil, err
	}
	if isText && step == 1 {
		return r.join("", s[starts[start]:starts[max(start, stop)]])
	}
	var out []any
	for i := start; step > 0 && i < stop || step < 0 && i > stop; i += step {
		if err := r.step(1); err != nil {
			return nil, err
		}
		if isText {
			out = append(out, s[starts[i]:starts[i+1]])
		} else {
			out = append(out, items[i])
		}
		if step > size || step < -size {
			break // the next one lies outside, and the sum might overflow
		}
	}
	if isText {
		return r.joinAll("", out)
	}
	if _, ok := x.(tuple); ok {
		return tuple(out), nil
	}
	return list(out), nil
}

// sliceBounds are Python's rules: a bound below zero counts from the end; what lies beyond an end is that end.
func sliceBounds(bounds [3]any, size int) (start, stop, step int, err error) {
	step = 1
	lo, hi := 0, size
	if bounds[2] != nil {
		var ok bool
		if step, ok = integer(bounds[2]); !ok {
			return 0, 0, 0, fmt.Errorf("slice indices must be integers or None")
		}
	}
	start, stop = lo, hi
	switch {
	case step == 0:
		return 0, 0, 0, errors.New("slice step cannot be zero")
	case step < 0:
		lo, hi = -1, size-1
		start, stop = hi, lo
	}
	for i, to := range []*int{&start, &stop} {
		if bounds[i] == nil {
			continue
		}
		v, ok := integer(bounds[i])
		if !ok {
			return 0, 0, 0, fmt.Errorf("slice indices must be integers or None")
		}
		if v < 0 {
			v += size
		}
		*to = max(lo, min(v, hi))
	}
	return start, stop, step, nil
}
