package adapters

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"regexp"
	"regexp/syntax"
	"slices"
	"strings"
)

// configReader takes keys out of adapter_config.json and keeps the first thing that is wrong, so that a list of keys reads like a list.
type configReader struct {
	fields map[string]json.RawMessage
	lim    Limits
	err    error
	// instructions are those of all expressions so far.
	instructions int
}

// maxInstructions bounds all expressions of a configuration: about 40 bytes of memory each.
const maxInstructions = 1 << 18

func (r *configReader) fail(class error, key, format string, args ...any) {
	if r.err == nil {
		r.err = refuse(class, "%s: %s: %s", ConfigFile, key, fmt.Sprintf(format, args...))
	}
}

// take removes a key; nil where it is absent or null.
func (r *configReader) take(key string) json.RawMessage {
	raw := r.fields[key]
	delete(r.fields, key)
	if string(raw) == "null" {
		return nil
	}
	return raw
}

// decode puts the value of a key into a Go value where there is one, and says whether it did.
func (r *configReader) decode(key, want string, into any) bool {
	raw := r.take(key)
	if raw == nil {
		return false
	}
	if err := json.Unmarshal(raw, into); err != nil {
		r.fail(ErrFormat, key, "it is %.80s, want %s", raw, want)
		return false
	}
	return true
}

func (r *configReader) text(key string, into *string) { r.decode(key, "text", into) }
func (r *configReader) bool(key string, into *bool)   { r.decode(key, "true or false", into) }

func (r *configReader) number(key string, def float64) float64 {
	n := def
	r.decode(key, "a number", &n)
	return n
}

// expression compiles a regular expression that stands in the configuration, within what is put around it. Go's match in time linear in
// the text; the size bounds the machine.
func (r *configReader) expression(key, around, expression string) *regexp.Regexp {
	if len(expression) > r.lim.PatternBytes {
		r.fail(ErrFormat, key, "an expression has %d bytes, the limit is %d", len(expression), r.lim.PatternBytes)
		return nil
	}
	// The expression alone first: a bracket of its own must not close one of ours.
	tree, err := syntax.Parse(expression, syntax.Perl)
	if err == nil {
		var program *syntax.Prog
		if program, err = syntax.Compile(tree.Simplify()); err == nil {
			// A repetition of few bytes can be a program of many instructions.
			if r.instructions += len(program.Inst); r.instructions > maxInstructions {
				r.fail(ErrFormat, key, "the expressions up to %.80q are programs of %d instructions, the limit is %d", expression, r.instructions, maxInstructions)
				return nil
			}
			var compiled *regexp.Regexp
			if compiled, err = regexp.Compile(fmt.Sprintf(around, expression)); err == nil {
				return compiled
			}
		}
	}
	r.fail(ErrUnsupported, key, "the expression %.80q is none that is matched in linear time (%v); name the modules in full", expression, err)
	return nil
}

// patterns reads rank_pattern or alpha_pattern, in the order of the file: the first that matches the end of a module's name counts.
func (r *configReader) patterns(key string) []pattern {
	raw := r.take(key)
	if raw == nil {
		return nil
	}
	var values map[string]float64
	if err := json.Unmarshal(raw, &values); err != nil || bytes.Contains(raw, []byte("null")) && slices.Contains(slices.Collect(maps.Values(values)), 0) {
		r.fail(ErrFormat, key, "it is %.80s, want an object of numbers", raw)
		return nil
	}
	if len(values) > r.lim.Patterns {
		r.fail(ErrFormat, key, "%d patterns, the limit is %d", len(values), r.lim.Patterns)
		return nil
	}
	list := make([]pattern, 0, len(values))
	dec := json.NewDecoder(bytes.NewReader(raw))
	for range 2*len(values) + 1 {
		token, err := dec.Token()
		if err != nil {
			panic("BUG: adapters: an object that was decoded is none: " + err.Error())
		}
		if name, ok := token.(string); ok {
			list = append(list, pattern{r.expression(key, `^(?:.*\.)?(?:%s)$`, name), values[name]})
		}
	}
	return list
}

// modules reads target_modules or exclude_modules: a list of names, one expression, or "all-linear".
func (r *configReader) modules(key string) (l moduleList) {
	raw := r.take(key)
	switch {
	case raw == nil:
		return l
	case raw[0] != '"':
		if err := json.Unmarshal(raw, &l.names); err != nil {
			r.fail(ErrFormat, key, "it is %.80s, want text or a list of text", raw)
		} else if len(l.names) > r.lim.Patterns {
			r.fail(ErrFormat, key, "%d names, the limit is %d", len(l.names), r.lim.Patterns)
		}
		return l
	}
	var expression string
	if err := json.Unmarshal(raw, &expression); err != nil {
		r.fail(ErrFormat, key, "it is %.80s, want text", raw)
		return l
	}
	if l.all = strings.EqualFold(expression, "all-linear"); !l.all {
		l.whole = r.expression(key, `^(?:%s)$`, expression)
	}
	return l
}

// layers reads layers_to_transform, a number or a list, and layers_pattern: what stands before a layer's number.
func (r *configReader) layers() (list []int64, names []*regexp.Regexp) {
	const key, nameKey = "layers_to_transform", "layers_pattern"
	if raw := r.take(key); raw != nil {
		if raw[0] != '[' {
			raw = slices.Concat([]byte{'['}, raw, []byte{']'})
		}
		if err := json.Unmarshal(raw, &list); err != nil {
			r.fail(ErrFormat, key, "it is %.80s, want a layer or a list of layers", raw)
		} else if len(list) > r.lim.Patterns {
			r.fail(ErrFormat, key, "%d layers, the limit is %d", len(list), r.lim.Patterns)
		}
	}
	raw := r.take(nameKey)
	if len(list) == 0 {
		return nil, nil
	}
	var patterns []string
	if raw != nil {
		if raw[0] == '"' {
			raw = slices.Concat([]byte{'['}, raw, []byte{']'})
		}
		if err := json.Unmarshal(raw, &patterns); err != nil || len(patterns) > r.lim.Patterns {
			r.fail(ErrFormat, nameKey, "it is %.80s, want text or a short list of text", raw)
		}
	}
	if len(patterns) == 0 || len(patterns) == 1 && patterns[0] == "" {
		patterns = []string{`[^.]*`}
	}
	for _, p := range patterns {
		names = append(names, r.expression(nameKey, `^.*?\.(?:%s)\.(\d+)\.`, p))
	}
	return list, names
}

// tokens reads a list of token ids; an empty one is none.
func (r *configReader) tokens(key string) (ids []int32) {
	if r.decode(key, "a list of token ids", &ids) && (len(ids) > r.lim.Patterns || slices.ContainsFunc(ids, func(id int32) bool { return id < 0 })) {
		r.fail(ErrFormat, key, "want at most %d token ids, none negative", r.lim.Patterns)
	}
	if len(ids) == 0 {
		return nil
	}
	return ids
}

// initialization looks at init_lora_weights. Most ways only begin the training; some take what they begin with out of the base, so that the
// factors are nothing without that other base.
func (r *configReader) initialization() {
	const key = "init_lora_weights"
	raw := r.take(key)
	var way string
	if raw == nil || json.Unmarshal(raw, &way) != nil {
		if raw != nil && string(raw) != "true" && string(raw) != "false" {
			r.fail(ErrFormat, key, "it is %.80s, want text, true or false", raw)
		}
		return
	}
	switch way := strings.ToLower(way); {
	case slices.Contains([]string{"gaussian", "eva", "orthogonal", "lora_ga"}, way):
	case way == "olora" || way == "loftq" || strings.HasPrefix(way, "pissa") || strings.HasPrefix(way, "corda"):
		r.fail(ErrUnsupported, key, "%s changes the base's own weights; save again with path_initial_model_for_weight_conversion", way)
	default:
		r.fail(ErrUnsupported, key, "%.40q is not known", way)
	}
}

// rest refuses what is left and may change the result.
func (r *configReader) rest() {
	for _, key := range harmless {
		delete(r.fields, key)
	}
	for _, key := range slices.Sorted(maps.Keys(r.fields)) {
		raw := r.fields[key]
		if neutral(raw) {
			continue
		}
		if what, ok := unsupportedKeys[key]; ok {
			r.fail(ErrUnsupported, key, "%s (%.80s)", what, raw)
		} else {
			r.fail(ErrUnsupported, key, "it is not known, set to %.80s, and may change what is computed", raw)
		}
	}
}

// neutral says whether a value sets nothing, whatever its key means.
func neutral(raw json.RawMessage) bool {
	var v any
	if err := json.Unmarshal(raw, &v); err != nil {
		return false
	}
	switch v := v.(type) {
	case nil:
		return true
	case bool:
		return !v
	case string:
		return v == ""
	case []any:
		return len(v) == 0
	case map[string]any:
		return len(v) == 0
	case float64:
		return v == 0 && !math.Signbit(v)
	}
	return false
}
