package chat

import (
	"errors"
	"fmt"
	"sort"
	"strconv"
	"strings"

	"github.com/nikolalohinski/gonja/v2/exec"
)

// sequenceFilters are the filters on lists and mappings. Where Jinja gives a generator, they give a list.
func sequenceFilters() map[string]filterFunc {
	return map[string]filterFunc{
		"list": func(c *call, x *exec.Value) (any, error) {
			items, err := iterate(c.budget, x)
			return interfaces(items), err
		},
		"first": end(0), "last": end(-1), "reverse": filterReverse, "items": filterItems, "join": filterJoin, "map": filterMap,
		"select": selector(false, true), "reject": selector(false, false), "selectattr": selector(true, true), "rejectattr": selector(true, false),
		"sort": filterSort, "dictsort": filterDictSort, "unique": filterUnique, "max": extreme(false), "min": extreme(true), "sum": filterSum,
	}
}

func end(i int) filterFunc {
	return func(c *call, x *exec.Value) (any, error) {
		items, err := iterate(c.budget, x)
		return at(items, i), err
	}
}

func filterReverse(c *call, x *exec.Value) (any, error) {
	none := exec.AsValue(none{})
	return slice(c.budget, x, []*exec.Value{none, none, exec.AsValue(-1)})
}

func filterItems(c *call, x *exec.Value) (any, error) {
	if x.IsNil() {
		return []any{}, nil
	}
	if !x.IsDict() {
		return nil, errors.New("can only get item pairs from a mapping")
	}
	return dictMethod(&call{c.budget, "items", c.args}, x)
}

func filterJoin(c *call, x *exec.Value) (any, error) {
	a, err := c.bind(0, "d", "attribute")
	if err != nil {
		return nil, err
	}
	items, err := iterate(c.budget, x)
	if err != nil {
		return nil, err
	}
	parts := make([]string, len(items))
	for i, v := range items {
		if v, err = follow(c.budget, v, a[1], nil); err != nil {
			return nil, err
		}
		parts[i] = text(c.budget, v)
	}
	sep := ""
	if a[0] != nil {
		sep = text(c.budget, a[0])
	}
	return c.join(sep, parts...)
}

// follow goes along an attribute's path ("a.b.0"); no attribute leads nowhere. def stands in for what is undefined.
func follow(b *budget, v, attribute, def *exec.Value) (*exec.Value, error) {
	if !given(attribute) {
		return v, nil
	}
	path := []string{""}
	if attribute.IsString() {
		path = strings.Split(attribute.String(), ".")
	}
	for _, part := range path {
		key := attribute
		if attribute.IsString() {
			key = exec.AsValue(part)
			if n, err := strconv.Atoi(part); err == nil {
				key = exec.AsValue(n)
			}
		}
		var err error
		if v, err = subscript(b, v, key); err != nil {
			return nil, err
		}
		if v.IsNil() && given(def) {
			v = def
		}
		if err := b.steps(1); err != nil {
			return nil, err
		}
	}
	return v, nil
}

// caseless makes a text lower case, for comparisons without case.
func caseless(v *exec.Value, sensitive bool) *exec.Value {
	if v.IsString() && !sensitive {
		return exec.AsValue(strings.ToLower(v.String()))
	}
	return v
}

// sorted returns items in the order of their keys; equal ones stay as they were.
func sorted(b *budget, items, keys []*exec.Value, reverse bool) ([]any, error) {
	perm := make([]int, len(items))
	for i := range perm {
		perm[i] = i
	}
	var failed error
	sort.SliceStable(perm, func(i, j int) bool {
		x, y := keys[perm[i]], keys[perm[j]]
		if reverse {
			x, y = y, x
		}
		lt, err := less(b, x, y)
		if err != nil && failed == nil {
			failed = err
		}
		return lt
	})
	out := make([]any, len(items))
	for i, p := range perm {
		out[i] = items[p].Interface()
	}
	return out, failed
}

func filterSort(c *call, x *exec.Value) (any, error) {
	a, err := c.bind(0, "reverse", "case_sensitive", "attribute")
	if err != nil {
		return nil, err
	}
	items, err := iterate(c.budget, x)
	if err != nil {
		return nil, err
	}
	attrs := []*exec.Value{a[2]}
	if given(a[2]) && a[2].IsString() {
		attrs = nil
		for _, part := range strings.Split(a[2].String(), ",") {
			attrs = append(attrs, exec.AsValue(part))
		}
	}
	keys := make([]*exec.Value, len(items))
	for i, v := range items {
		key := make([]any, len(attrs))
		for k, attr := range attrs {
			part, err := follow(c.budget, v, attr, nil)
			if err != nil {
				return nil, err
			}
			key[k] = caseless(part, isTrue(a[1])).Interface()
		}
		keys[i] = exec.AsValue(key)
	}
	return sorted(c.budget, items, keys, isTrue(a[0]))
}

func filterDictSort(c *call, x *exec.Value) (any, error) {
	a, err := c.bind(0, "case_sensitive", "by", "reverse")
	if err != nil {
		return nil, err
	}
	by, err := c.str(a[1], "key")
	if err != nil {
		return nil, err
	}
	if !x.IsDict() || by != "key" && by != "value" {
		return nil, errors.New("dictsort() takes a mapping and sorts by key or value")
	}
	var items, keys []*exec.Value
	for _, p := range pairsOf(x) {
		items = append(items, exec.AsValue([]any{p.Key.Interface(), p.Value.Interface()}))
		key := p.Key
		if by == "value" {
			key = p.Value
		}
		keys = append(keys, caseless(key, isTrue(a[0])))
	}
	return sorted(c.budget, items, keys, isTrue(a[2]))
}

func filterUnique(c *call, x *exec.Value) (any, error) {
	a, err := c.bind(0, "case_sensitive", "attribute")
	if err != nil {
		return nil, err
	}
	items, err := iterate(c.budget, x)
	if err != nil {
		return nil, err
	}
	out, seen := []any{}, []any{}
	for _, v := range items {
		key, err := follow(c.budget, v, a[1], nil)
		if err != nil {
			return nil, err
		}
		key = caseless(key, isTrue(a[0]))
		known, err := contains(c.budget, exec.AsValue(seen), key)
		if err != nil {
			return nil, err
		}
		if !known {
			seen = append(seen, key.Interface())
			out = append(out, v.Interface())
		}
	}
	return out, nil
}

func extreme(least bool) filterFunc {
	return func(c *call, x *exec.Value) (any, error) {
		a, err := c.bind(0, "case_sensitive", "attribute")
		if err != nil {
			return nil, err
		}
		items, err := iterate(c.budget, x)
		if err != nil {
			return nil, err
		}
		var best, bestKey *exec.Value
		for _, v := range items {
			key, err := follow(c.budget, v, a[1], nil)
			if err != nil {
				return nil, err
			}
			key = caseless(key, isTrue(a[0]))
			better := best == nil
			if !better {
				lo, hi := key, bestKey
				if !least {
					lo, hi = bestKey, key
				}
				if better, err = less(c.budget, lo, hi); err != nil {
					return nil, err
				}
			}
			if better {
				best, bestKey = v, key
			}
		}
		if best == nil {
			return nil, nil
		}
		return best, nil
	}
}

func filterSum(c *call, x *exec.Value) (any, error) {
	a, err := c.bind(0, "attribute", "start")
	if err != nil {
		return nil, err
	}
	items, err := iterate(c.budget, x)
	if err != nil {
		return nil, err
	}
	total := exec.AsValue(0)
	if a[1] != nil {
		total = a[1]
	}
	for _, v := range items {
		if v, err = follow(c.budget, v, a[0], nil); err != nil {
			return nil, err
		}
		sum, err := operate(c.budget, "+", total, v)
		if err != nil {
			return nil, err
		}
		total = exec.ToValue(sum)
	}
	return total, nil
}

// filterMap applies a filter to each item, or takes an attribute of each.
func filterMap(c *call, x *exec.Value) (any, error) {
	items, err := iterate(c.budget, x)
	if err != nil {
		return nil, err
	}
	var f func(v *exec.Value) (any, error)
	if len(c.args.Args) == 0 {
		a, err := bind("map", c.args, "attribute", "default")
		if err != nil {
			return nil, err
		}
		f = func(v *exec.Value) (any, error) { return follow(c.budget, v, a[0], a[1]) }
	} else {
		name := c.args.First().String()
		filter, ok := allFilters()[name]
		if !ok {
			return nil, fmt.Errorf("no filter named '%s'", name)
		}
		f = func(v *exec.Value) (any, error) {
			rest := &exec.VarArgs{Args: append([]*exec.Value(nil), c.args.Args[1:]...), KwArgs: c.args.KwArgs}
			return filter(&call{c.budget, name, rest}, v)
		}
	}
	out := make([]any, len(items))
	for i, v := range items {
		got, err := f(v)
		if err != nil {
			return nil, err
		}
		out[i] = exec.ToValue(got).Interface()
	}
	return out, nil
}

// selector makes select, reject, selectattr and rejectattr: keep the items (or those whose attribute) that pass, or fail, a test.
func selector(byAttr, keep bool) filterFunc {
	return func(c *call, x *exec.Value) (any, error) {
		items, err := iterate(c.budget, x)
		if err != nil {
			return nil, err
		}
		rest := c.args.Args
		var attribute *exec.Value
		if byAttr {
			if len(rest) == 0 {
				return nil, fmt.Errorf("%s(): missing parameter for attribute name", c.name)
			}
			attribute, rest = rest[0], rest[1:]
		}
		out := []any{}
		for _, item := range items {
			v, err := follow(c.budget, item, attribute, nil)
			if err != nil {
				return nil, err
			}
			ok := v.IsTrue()
			if len(rest) > 0 {
				if ok, err = runTest(c.budget, rest[0].String(), v, rest[1:]); err != nil {
					return nil, err
				}
			}
			if ok == keep {
				out = append(out, item.Interface())
			}
		}
		return out, nil
	}
}
