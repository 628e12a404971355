package chat

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

	"github.com/nikolalohinski/gonja/v2/exec"
)

// A template sees none, bool, int, float64, string, []any, and for objects *exec.Dict, which keeps the order of its keys;
// an empty object is an empty map, since the library holds any Dict to be true.

// none is None. The library has one nil for what is none and for what is not there; templates tell them apart.
type none []struct{}

func (none) String() string { return "None" }

// object is a JSON object in the order of its keys.
type object struct {
	keys []string
	vals []any
}

const maxInputDepth = 500

// ParseJSON reads one JSON value for Input: objects keep the order of their keys, and integers stay integers.
func ParseJSON(data []byte) (any, error) {
	d := json.NewDecoder(bytes.NewReader(data))
	d.UseNumber()
	v, err := readJSON(d, 0)
	if err != nil {
		return nil, fmt.Errorf("chat: %w", err)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("chat: there is data after the JSON value")
	}
	return v, nil
}

func readJSON(d *json.Decoder, depth int) (any, error) {
	if depth > maxInputDepth {
		return nil, fmt.Errorf("JSON is nested deeper than %d", maxInputDepth)
	}
	t, err := d.Token()
	if err != nil {
		return nil, err
	}
	delim, ok := t.(json.Delim)
	if !ok {
		return t, nil
	}
	if delim == '[' {
		list := []any{}
		for d.More() {
			v, err := readJSON(d, depth+1)
			if err != nil {
				return nil, err
			}
			list = append(list, v)
		}
		_, err := d.Token()
		return list, err
	}
	obj := &object{}
	place := map[string]int{} // a key that comes twice keeps its place and takes the last value, as in Python
	for d.More() {
		k, err := d.Token()
		if err != nil {
			return nil, err
		}
		v, err := readJSON(d, depth+1)
		if err != nil {
			return nil, err
		}
		key := k.(string) // the decoder admits no other key
		if i, twice := place[key]; twice {
			obj.vals[i] = v
			continue
		}
		place[key] = len(obj.keys)
		obj.keys, obj.vals = append(obj.keys, key), append(obj.vals, v)
	}
	_, err = d.Token()
	return obj, err
}

// toValue makes a template's value of an input's. Anything that is no JSON is refused, so that no field or method of a Go
// type of ours is within a template's reach.
func toValue(v any, depth int) (any, error) {
	if depth > maxInputDepth {
		return nil, fmt.Errorf("a value is nested deeper than %d", maxInputDepth)
	}
	switch x := v.(type) {
	case nil:
		return none{}, nil
	case bool, string, int, float64:
		return x, nil
	case int64:
		return int(x), nil
	case json.Number:
		return number(x.String())
	case []any:
		out := make([]any, len(x))
		for i := range x {
			var err error
			if out[i], err = toValue(x[i], depth+1); err != nil {
				return nil, err
			}
		}
		return out, nil
	case map[string]any:
		obj := &object{}
		for k := range x {
			obj.keys = append(obj.keys, k)
		}
		slices.Sort(obj.keys)
		for _, k := range obj.keys {
			obj.vals = append(obj.vals, x[k])
		}
		return toValue(obj, depth)
	case *object:
		if len(x.keys) == 0 {
			return map[string]any{}, nil
		}
		d := exec.NewDict()
		for i, k := range x.keys {
			val, err := toValue(x.vals[i], depth+1)
			if err != nil {
				return nil, err
			}
			d.Pairs = append(d.Pairs, &exec.Pair{Key: exec.AsValue(k), Value: exec.AsValue(val)})
		}
		return d, nil
	}
	return nil, fmt.Errorf("a value of type %T cannot be given to a template", v)
}

func number(s string) (any, error) {
	if !strings.ContainsAny(s, ".eE") {
		if n, err := strconv.Atoi(s); err == nil {
			return n, nil
		}
	}
	f, err := strconv.ParseFloat(s, 64)
	if err != nil && !math.IsInf(f, 0) {
		return nil, fmt.Errorf("bad number %q", s)
	}
	return f, nil
}
