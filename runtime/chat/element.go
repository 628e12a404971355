package chat

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/nikolalohinski/gonja/v2/builtins/control_structures"
	"github.com/nikolalohinski/gonja/v2/exec"
)

// element returns the value of a key of a mapping.
func element(d, key *exec.Value) (*exec.Value, bool) {
	switch m := d.Interface().(type) {
	case *exec.Dict:
		for _, p := range m.Pairs {
			if sameKey(p.Key, key) {
				return exec.ToValue(p.Value), true
			}
		}
		return nil, false
	case map[string]any: // a namespace, or an empty object
		if !key.IsString() {
			return nil, false
		}
		v, ok := m[key.String()]
		return exec.ToValue(v), ok
	}
	return nil, false
}

func sameKey(a, b *exec.Value) bool {
	switch {
	case a.IsString() || b.IsString():
		return a.IsString() && b.IsString() && a.String() == b.String()
	case isNumber(a) && isNumber(b):
		return float(a) == float(b)
	}
	return isNone(a) && isNone(b)
}

func at(items []*exec.Value, i int) *exec.Value {
	if i < 0 {
		i += len(items)
	}
	if i < 0 || i >= len(items) {
		return exec.AsValue(nil)
	}
	return items[i]
}

// subscript is x[key]: an element, or else an attribute, or else undefined.
func subscript(b *budget, x, key *exec.Value) (*exec.Value, error) {
	switch {
	case x.IsNil():
		return nil, errUndefined
	case x.IsDict():
		if v, ok := element(x, key); ok {
			return v, nil
		}
	case isIntegral(key) && (x.IsString() || isList(x)):
		items, err := iterate(b, x)
		if err != nil {
			return nil, err
		}
		return at(items, integer(key)), nil
	}
	if key.IsString() {
		return attributeOf(x, key.String()), nil
	}
	return exec.AsValue(nil), nil
}

// attr is x.name: an attribute, or else an element, or else undefined.
func attr(x *exec.Value, name string) (*exec.Value, error) {
	if x.IsNil() {
		return nil, fmt.Errorf("%w: it has no attribute '%s'", errUndefined, name)
	}
	if v := attributeOf(x, name); !v.IsNil() {
		return v, nil
	}
	if v, ok := element(x, exec.AsValue(name)); ok {
		return v, nil
	}
	return exec.AsValue(nil), nil
}

// method is a method of a value as a template sees it that does not call it: something that is there.
type method struct{ name string }

func (m method) String() string { return "<method " + m.name + ">" }

// attributeOf returns what a value has by a name of its type: the fields of loop, or the fact that there is such a method.
// No name reaches a field or a method of a Go type.
func attributeOf(x *exec.Value, name string) *exec.Value {
	if l, ok := x.Interface().(*controlStructures.LoopInfos); ok {
		return loopAttribute(l, name)
	}
	_, isNamespace := x.Interface().(map[string]any)
	if (x.IsString() && stringMethods[name] != nil) || (x.IsDict() && !isNamespace && slices.Contains(dictMethods, name)) ||
		(isList(x) && slices.Contains(listMethods, name)) {
		return exec.AsValue(method{name})
	}
	return exec.AsValue(nil)
}

// loopAttribute returns what a template knows of the loop around it.
func loopAttribute(l *controlStructures.LoopInfos, name string) *exec.Value {
	switch name {
	case "index", "index0", "revindex", "revindex0", "first", "last", "length", "previtem", "nextitem":
		v, _ := l.GetAttribute(name)
		return v
	case "depth": // of recursion, which the library takes for nesting
		return exec.AsValue(1)
	case "depth0":
		return exec.AsValue(0)
	case "cycle":
		i, _ := l.GetAttribute("index0")
		return exec.AsValue(func(args *exec.VarArgs) *exec.Value {
			if len(args.Args) == 0 {
				return exec.AsValue(errors.New("no items for cycling given"))
			}
			return args.Args[i.Integer()%len(args.Args)]
		})
	}
	return exec.AsValue(nil)
}

// iterate returns what iterating over a value gives.
func iterate(b *budget, x *exec.Value) ([]*exec.Value, error) {
	var out []*exec.Value
	switch {
	case x.IsNil():
	case x.IsString():
		for _, r := range x.String() {
			out = append(out, exec.AsValue(string(r)))
		}
	case x.IsDict():
		for _, p := range pairsOf(x) {
			out = append(out, p.Key)
		}
	case isList(x):
		for i := range x.Len() {
			out = append(out, x.Index(i))
		}
	default:
		return nil, fmt.Errorf("'%s' object is not iterable", typeName(x))
	}
	return out, b.steps(len(out))
}

func interfaces(items []*exec.Value) []any {
	out := make([]any, len(items))
	for i, v := range items {
		out[i] = v.Interface()
	}
	return out
}

// slice is x[start:stop:step], none standing for a bound that is not given.
func slice(b *budget, x *exec.Value, bounds []*exec.Value) (any, error) {
	if x.IsNil() {
		return nil, errUndefined
	}
	if !x.IsString() && !isList(x) {
		return nil, nil
	}
	var given [3]bool
	n := [3]int{0, 0, 1}
	for i, v := range bounds {
		if isNone(v) {
			continue
		}
		if !isIntegral(v) {
			return nil, errors.New("slice indices must be integers or None")
		}
		n[i], given[i] = integer(v), true
	}
	items, err := iterate(b, x)
	if err != nil {
		return nil, err
	}
	step, size := n[2], len(items)
	if step == 0 {
		return nil, errors.New("slice step cannot be zero")
	}
	// Python's rules: a bound below zero counts from the end; what lies beyond an end is that end.
	lo, hi := 0, size
	if step < 0 {
		lo, hi = -1, size-1
	}
	clamp := func(v int) int {
		if v < 0 {
			v += size
		}
		return max(lo, min(v, hi))
	}
	start, stop := lo, hi
	if step < 0 {
		start, stop = hi, lo
	}
	if given[0] {
		start = clamp(n[0])
	}
	if given[1] {
		stop = clamp(n[1])
	}
	out := []*exec.Value{}
	for i := start; step > 0 && i < stop || step < 0 && i > stop; i += step {
		out = append(out, items[i])
		if step > size || step < -size {
			break // the next one lies outside, and the sum might overflow
		}
	}
	if !x.IsString() {
		return interfaces(out), nil
	}
	var s strings.Builder
	for _, c := range out {
		s.WriteString(c.String())
	}
	return b.join("", s.String())
}
