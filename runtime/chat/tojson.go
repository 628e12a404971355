package chat

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/nikolalohinski/gonja/v2/exec"
)

// jsonWriter is Hugging Face's tojson: Python's json.dumps, with ensure_ascii off unless asked for, nothing escaped for
// HTML, and keys in their order.
type jsonWriter struct {
	*budget
	b         strings.Builder
	counted   int // bytes of b the budget knows of
	sorted    bool
	ascii     bool
	lines     bool
	indent    string
	item, key string
}

func toJSON(c *call, x *exec.Value) (any, error) {
	a, err := c.bind(0, "ensure_ascii", "indent", "separators", "sort_keys")
	if err != nil {
		return nil, err
	}
	w := &jsonWriter{budget: c.budget, ascii: isTrue(a[0]), sorted: isTrue(a[3]), item: ", ", key: ": "}
	if v := a[1]; given(v) {
		w.lines, w.item = true, ","
		if v.IsString() {
			w.indent = v.String()
		} else {
			n, err := c.num(v, 0)
			if err != nil {
				return nil, err
			}
			if w.indent, err = c.repeat(" ", n); err != nil {
				return nil, err
			}
		}
	}
	if v := a[2]; given(v) {
		if !isList(v) || v.Len() != 2 {
			return nil, errors.New("tojson(): separators must be two strings")
		}
		w.item, w.key = text(c.budget, v.Index(0)), text(c.budget, v.Index(1))
	}
	if err := w.value(x, 0); err != nil {
		return nil, err
	}
	return w.b.String(), nil
}

// account tells the budget what has been written since the last time.
func (w *jsonWriter) account() error {
	n := w.b.Len() - w.counted
	w.counted += n
	if err := w.steps(1); err != nil {
		return err
	}
	return w.made(n)
}

func (w *jsonWriter) newline(depth int) error {
	if w.lines {
		w.b.WriteByte('\n')
		for range depth {
			w.b.WriteString(w.indent)
		}
	}
	return w.account()
}

func (w *jsonWriter) value(v *exec.Value, depth int) error {
	defer w.ascend()
	if err := w.descend(); err != nil {
		return err
	}
	switch {
	case isNone(v):
		w.b.WriteString("null")
	case v.IsBool():
		w.b.WriteString(strconv.FormatBool(v.Bool()))
	case v.IsInteger():
		w.b.WriteString(strconv.Itoa(v.Integer()))
	case v.IsFloat():
		w.b.WriteString(floatText(v.Float()))
	case v.IsString():
		w.quote(v.String())
	case v.IsDict():
		return w.dict(v, depth)
	case v.IsList():
		return w.list(v, depth)
	default:
		return fmt.Errorf("tojson(): object of type %s is not JSON serializable", typeName(v))
	}
	return w.account()
}

func (w *jsonWriter) list(v *exec.Value, depth int) error {
	n := v.Len()
	w.b.WriteByte('[')
	for i := range n {
		if i > 0 {
			w.b.WriteString(w.item)
		}
		if err := w.newline(depth + 1); err != nil {
			return err
		}
		if err := w.value(v.Index(i), depth+1); err != nil {
			return err
		}
	}
	if n > 0 {
		if err := w.newline(depth); err != nil {
			return err
		}
	}
	w.b.WriteByte(']')
	return w.account()
}

func (w *jsonWriter) dict(v *exec.Value, depth int) error {
	w.b.WriteByte('{')
	n := 0
	pairs := pairsOf(v)
	if w.sorted {
		pairs = slices.Clone(pairs)
		slices.SortStableFunc(pairs, func(a, b *exec.Pair) int { return strings.Compare(a.Key.String(), b.Key.String()) })
	}
	for _, p := range pairs {
		if n++; n > 1 {
			w.b.WriteString(w.item)
		}
		if err := w.newline(depth + 1); err != nil {
			return err
		}
		switch k := p.Key; {
		case k.IsString():
			w.quote(k.String())
		case isNone(k):
			w.quote("null")
		case k.IsBool():
			w.quote(strconv.FormatBool(k.Bool()))
		default:
			w.quote(k.String())
		}
		w.b.WriteString(w.key)
		if err := w.value(p.Value, depth+1); err != nil {
			return err
		}
	}
	if n > 0 {
		if err := w.newline(depth); err != nil {
			return err
		}
	}
	w.b.WriteByte('}')
	return w.account()
}

// floatText is Python's repr of a float, with JSON's names for what is no number.
func floatText(f float64) string {
	switch {
	case math.IsNaN(f):
		return "NaN"
	case math.IsInf(f, 1):
		return "Infinity"
	case math.IsInf(f, -1):
		return "-Infinity"
	}
	if a := math.Abs(f); a != 0 && (a < 1e-4 || a >= 1e16) {
		return strconv.FormatFloat(f, 'e', -1, 64)
	}
	s := strconv.FormatFloat(f, 'f', -1, 64)
	if !strings.Contains(s, ".") {
		s += ".0"
	}
	return s
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
