package jinja

import (
	"fmt"
	"math"
	"strconv"
	"strings"
)

// jsonWriter is Hugging Face's tojson: Python's json.dumps, with ensure_ascii off unless asked for, nothing escaped for
// HTML, and keys in their order.
type jsonWriter struct {
	*run
	b         strings.Builder
	counted   int // bytes of b the budget knows of
	sorted    bool
	ascii     bool
	lines     bool
	indent    string
	item, key string
}

func toJSON(r *run, x any, a *args) (any, error) {
	v, err := a.bind(0, "ensure_ascii", "indent", "separators", "sort_keys")
	if err != nil {
		return nil, err
	}
	w := &jsonWriter{run: r, ascii: flag(v[0]), sorted: flag(v[3]), item: ", ", key: ": "}
	if some(v[1]) {
		w.lines, w.item = true, ","
		var isText bool
		if w.indent, isText = v[1].(string); !isText {
			n, err := a.num(v[1], 0)
			if err != nil {
				return nil, err
			}
			if w.indent, err = r.repeat(" ", n); err != nil {
				return nil, err
			}
		}
	}
	if some(v[2]) {
		both, err := r.unpack(v[2], 2)
		if err != nil {
			return nil, err
		}
		if w.item, err = a.str(both[0], ""); err != nil {
			return nil, err
		}
		if w.key, err = a.str(both[1], ""); err != nil {
			return nil, err
		}
	}
	err = w.value(x, 0)
	return w.b.String(), err
}

// account tells the budget what has been written since the last time.
func (w *jsonWriter) account() error {
	n := w.b.Len() - w.counted
	w.counted += n
	if err := w.step(1); err != nil {
		return err
	}
	return w.made(n)
}

// newline begins a line, whose indentation is counted before it is made.
func (w *jsonWriter) newline(depth int) error {
	if w.lines {
		margin, err := w.repeat(w.indent, depth)
		if err != nil {
			return err
		}
		w.b.WriteByte('\n')
		w.b.WriteString(margin)
		w.counted += len(margin)
	}
	return w.account()
}

func (w *jsonWriter) value(v any, depth int) error {
	defer w.ascend()
	if err := w.descend(); err != nil {
		return err
	}
	switch v := v.(type) {
	case nil:
		w.b.WriteString("null")
	case bool:
		w.b.WriteString(strconv.FormatBool(v))
	case int:
		w.b.WriteString(strconv.Itoa(v))
	case float64:
		w.b.WriteString(jsonFloat(v))
	case string:
		if err := w.room(len(v) * jsonGrowth); err != nil {
			return err
		}
		w.quote(v)
	case *Dict:
		return w.dict(v, depth)
	case list:
		return w.items(v, depth)
	case tuple:
		return w.items(v, depth)
	default:
		return fmt.Errorf("Object of type %s is not JSON serializable", typeName(v)) //nolint:staticcheck // Python's own sentence
	}
	return w.account()
}

func (w *jsonWriter) items(items []any, depth int) error {
	w.b.WriteByte('[')
	for i, v := range items {
		if i > 0 {
			w.b.WriteString(w.item)
		}
		if err := w.newline(depth + 1); err != nil {
			return err
		}
		if err := w.value(v, depth+1); err != nil {
			return err
		}
	}
	if len(items) > 0 {
		if err := w.newline(depth); err != nil {
			return err
		}
	}
	w.b.WriteByte(']')
	return w.account()
}

func (w *jsonWriter) dict(d *Dict, depth int) error {
	w.b.WriteByte('{')
	pairs := d.pairs()
	if err := w.step(len(pairs)); err != nil {
		return err
	}
	if w.sorted {
		var err error
		if pairs, err = w.run.sorted(pairs, d.keys, false); err != nil {
			return err
		}
	}
	for i, p := range pairs {
		if i > 0 {
			w.b.WriteString(w.item)
		}
		if err := w.newline(depth + 1); err != nil {
			return err
		}
		pair, _ := p.(tuple)
		switch k := pair[0].(type) {
		case string:
			if err := w.room(len(k) * jsonGrowth); err != nil {
				return err
			}
			w.quote(k)
		case nil:
			w.quote("null")
		case bool:
			w.quote(strconv.FormatBool(k))
		case int:
			w.quote(strconv.Itoa(k))
		case float64:
			w.quote(jsonFloat(k))
		default:
			return fmt.Errorf("keys must be str, int, float, bool or None, not %s", typeName(k))
		}
		w.b.WriteString(w.key)
		if err := w.value(pair[1], depth+1); err != nil {
			return err
		}
	}
	if len(pairs) > 0 {
		if err := w.newline(depth); err != nil {
			return err
		}
	}
	w.b.WriteByte('}')
	return w.account()
}

// jsonFloat is Python's repr of a float, with JSON's names for what is no number.
func jsonFloat(f float64) string {
	switch {
	case math.IsNaN(f):
		return "NaN"
	case math.IsInf(f, 1):
		return "Infinity"
	case math.IsInf(f, -1):
		return "-Infinity"
	}
	return pythonFloat(f)
}

func (w *jsonWriter) quote(s string) {
	b := &w.b
	b.WriteByte('"')
	for _, c := range s {
		switch {
		case c == '"' || c == '\\':
			b.WriteByte('\\')
			b.WriteRune(c)
		case c == '\n':
			b.WriteString(`\n`)
		case c == '\r':
			b.WriteString(`\r`)
		case c == '\t':
			b.WriteString(`\t`)
		case c == '\b':
			b.WriteString(`\b`)
		case c == '\f':
			b.WriteString(`\f`)
		case c < 0x20 || w.ascii && c > 0x7f && c < 0x10000:
			fmt.Fprintf(b, `\u%04x`, c)
		case w.ascii && c >= 0x10000:
			c -= 0x10000
			fmt.Fprintf(b, `\u%04x\u%04x`, 0xD800+c>>10, 0xDC00+c&0x3FF)
		default:
			b.WriteRune(c)
		}
	}
	b.WriteByte('"')
}
