package jinja

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"
	"strings"
)

// Dict is a mapping in the order of its keys. It does not change once a template sees it.
type Dict struct {
	keys  []any
	vals  []any
	place map[any]int
}

// hash makes a key of Go's maps of a value: what is equal in Python is equal here. Lists and mappings have none.
func hash(v any) (any, error) {
	switch v := v.(type) {
	case nil, string, int, *undefined, *namespace, *function, *loop:
		return v, nil
	case bool:
		n, _ := integer(v)
		return n, nil
	case float64:
		if n := int(v); float64(n) == v && math.Abs(v) < 1<<53 {
			return n, nil
		}
		return v, nil
	case tuple:
		var b strings.Builder
		err := hashTuple(&b, v)
		return [1]string{b.String()}, err
	}
	return nil, fmt.Errorf("unhashable type: '%s'", typeName(v))
}

// maxTupleKey bounds the text that a tuple is known by: tuples of tuples grow without end.
const maxTupleKey = 64 << 10

func hashTuple(b *strings.Builder, t tuple) error {
	b.WriteByte('(')
	for _, v := range t {
		if b.Len() > maxTupleKey {
			return errors.New("a tuple is too large for a key")
		}
		if inner, ok := v.(tuple); ok {
			if err := hashTuple(b, inner); err != nil {
				return err
			}
			continue
		}
		h, err := hash(v)
		if err != nil {
			return err
		}
		switch h := h.(type) {
		case nil, int, float64:
			fmt.Fprintf(b, "%v,", h)
		case string:
			fmt.Fprintf(b, "%d:%s,", len(h), h)
		default:
			return fmt.Errorf("unhashable type: '%s' in a tuple", typeName(v))
		}
	}
	b.WriteByte(')')
	return nil
}

func newDict(n int) *Dict { return &Dict{place: make(map[any]int, n)} }

func (d *Dict) set(key, v any) error {
	h, err := hash(key)
	if err != nil {
		return err
	}
	if i, ok := d.place[h]; ok { // a key that comes twice keeps its place and takes the last value, as in Python
		d.vals[i] = v
		return nil
	}
	d.place[h] = len(d.keys)
	d.keys, d.vals = append(d.keys, key), append(d.vals, v)
	return nil
}

func (d *Dict) get(key any) (any, bool) {
	h, err := hash(key)
	if err != nil {
		return nil, false
	}
	i, ok := d.place[h]
	if !ok {
		return nil, false
	}
	return d.vals[i], true
}

// Get returns the value of a key.
func (d *Dict) Get(key string) (any, bool) { return d.get(key) }

// With returns a copy in which a key has another value.
func (d *Dict) With(key string, v any) *Dict {
	out := d.copied()
	_ = out.set(key, v) // a string is hashable
	return out
}

// pairs are the items of the mapping.
func (d *Dict) pairs() []any {
	out := make([]any, len(d.keys))
	for i := range out {
		out[i] = tuple{d.keys[i], d.vals[i]}
	}
	return out
}

// copied returns a mapping that may be written to.
func (d *Dict) copied() *Dict {
	out := newDict(len(d.keys))
	for i, k := range d.keys {
		_ = out.set(k, d.vals[i]) // it is hashable: it is a key
	}
	return out
}

// maxDepth bounds how deep values are nested: those that are given, and those that are compared, printed or sorted.
const maxDepth = 500

// ParseJSON reads one JSON value for a template: objects keep the order of their keys, integers stay integers.
func ParseJSON(data []byte) (any, error) {
	d := json.NewDecoder(bytes.NewReader(data))
	d.UseNumber()
	v, err := readJSON(d, 0)
	if err != nil {
		return nil, err
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("there is data after the JSON value")
	}
	return v, nil
}

func readJSON(d *json.Decoder, depth int) (any, error) {
	if depth > maxDepth {
		return nil, fmt.Errorf("JSON is nested deeper than %d", maxDepth)
	}
	t, err := d.Token()
	if err != nil {
		return nil, err
	}
	delim, ok := t.(json.Delim)
	if !ok {
		return value(t, depth)
	}
	if delim == '[' {
		out := list{}
		for d.More() {
			v, err := readJSON(d, depth+1)
			if err != nil {
				return nil, err
			}
			out = append(out, v)
		}
		_, err := d.Token()
		return out, err
	}
	out := newDict(0)
	for d.More() {
		k, err := d.Token()
		if err != nil {
			return nil, err
		}
		v, err := readJSON(d, depth+1)
		if err != nil {
			return nil, err
		}
		if err := out.set(k, v); err != nil {
			return nil, err
		}
	}
	_, err = d.Token()
	return out, err
}

// value makes a template's value of one that is given. Anything that is no JSON is refused, so that no field and no method
// of a Go type is within a template's reach.
func value(v any, depth int) (any, error) {
	if depth > maxDepth {
		return nil, fmt.Errorf("a value is nested deeper than %d", maxDepth)
	}
	switch x := v.(type) {
	case nil, bool, string, int, float64, list, *Dict:
		return x, nil
	case int64:
		return int(x), nil
	case json.Number:
		if n, err := strconv.Atoi(x.String()); err == nil {
			return n, nil
		}
		f, err := strconv.ParseFloat(x.String(), 64)
		if err != nil && !math.IsInf(f, 0) {
			return nil, fmt.Errorf("bad number %q", x)
		}
		return f, nil
	case []any:
		out := make(list, len(x))
		for i := range x {
			var err error
			if out[i], err = value(x[i], depth+1); err != nil {
				return nil, err
			}
		}
		return out, nil
	case map[string]any:
		keys := make([]string, 0, len(x))
		for k := range x {
			keys = append(keys, k)
		}
		slices.Sort(keys)
		out := newDict(len(x))
		for _, k := range keys {
			val, err := value(x[k], depth+1)
			if err != nil {
				return nil, err
			}
			if err := out.set(k, val); err != nil {
				return nil, err
			}
		}
		return out, nil
	}
	return nil, fmt.Errorf("a value of type %T cannot be given to a template", v)
}
