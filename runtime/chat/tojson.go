package chat

import (
	"fmt"
	"math"
	"strconv"
	"strings"

	"github.com/nikolalohinski/gonja/v2/exec"
)

// jsonWriter is Hugging Face's tojson: Python's json.dumps, with ensure_ascii off unless asked for, nothing escaped for
// HTML, and keys in their order.
type jsonWriter struct {
	b         strings.Builder
	ascii     bool
	lines     bool
	indent    string
	item, key string
}

func toJSON(_ *exec.Evaluator, in *exec.Value, params *exec.VarArgs) *exec.Value {
	if in.IsError() {
		return in
	}
	a, err := bind("tojson", params, "ensure_ascii", "indent", "separators", "sort_keys")
	if err != nil {
		return exec.AsValue(err)
	}
	w := &jsonWriter{ascii: a[0] != nil && a[0].IsTrue(), item: ", ", key: ": "}
	if v := a[1]; v != nil && !isNone(v) && !v.IsNil() {
		w.lines, w.item = true, ","
		if v.IsString() {
			w.indent = v.String()
		} else if n := v.Integer(); n > 0 && n <= 64 {
			w.indent = strings.Repeat(" ", n)
		}
	}
	if v := a[2]; v != nil && v.IsList() && v.Len() == 2 {
		w.item, w.key = v.Index(0).String(), v.Index(1).String()
	}
	if a[3] != nil && a[3].IsTrue() {
		return exec.AsValue(fmt.Errorf("tojson: sort_keys is not supported"))
	}
	if err := w.value(in, 0); err != nil {
		return exec.AsValue(err)
	}
	return exec.AsValue(w.b.String())
}

func (w *jsonWriter) newline(depth int) {
	if w.lines {
		w.b.WriteByte('\n')
		for range depth {
			w.b.WriteString(w.indent)
		}
	}
}

func (w *jsonWriter) value(v *exec.Value, depth int) error {
	if depth > maxInputDepth {
		return fmt.Errorf("tojson: a value is nested deeper than %d", maxInputDepth)
	}
	if w.b.Len() > maxOutputBytes {
		return ErrBudget
	}
	switch {
	case v.IsError():
		return v
	case v.IsNil():
		return fmt.Errorf("tojson: object of type Undefined is not JSON serializable")
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
		return fmt.Errorf("tojson: object is not JSON serializable")
	}
	return nil
}

func (w *jsonWriter) list(v *exec.Value, depth int) error {
	n := v.Len()
	w.b.WriteByte('[')
	for i := range n {
		if i > 0 {
			w.b.WriteString(w.item)
		}
		w.newline(depth + 1)
		if err := w.value(v.Index(i), depth+1); err != nil {
			return err
		}
	}
	if n > 0 {
		w.newline(depth)
	}
	w.b.WriteByte(']')
	return nil
}

func (w *jsonWriter) dict(v *exec.Value, depth int) error {
	w.b.WriteByte('{')
	n := 0
	for _, p := range pairsOf(v) {
		if n++; n > 1 {
			w.b.WriteString(w.item)
		}
		w.newline(depth + 1)
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
		w.newline(depth)
	}
	w.b.WriteByte('}')
	return nil
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
