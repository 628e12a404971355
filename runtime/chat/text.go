package chat

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"unicode"

	"github.com/nikolalohinski/gonja/v2/exec"
)

// text is Python's str of a value. A budget that is spent on the way is reported by the next operation.
func text(b *budget, v *exec.Value) string {
	switch {
	case v.IsNil():
		return ""
	case v.IsString():
		return v.String()
	}
	var out strings.Builder
	repr(b, &out, v)
	return out.String()
}

// repr writes Python's repr of a value.
func repr(b *budget, out *strings.Builder, v *exec.Value) {
	defer b.ascend()
	if b.descend() != nil {
		return
	}
	if out.Len() > maxTextBytes {
		b.spent = b.refuse("bytes of text", maxTextBytes)
		return
	}
	switch {
	case v.IsNil():
		out.WriteString("Undefined")
	case isNone(v):
		out.WriteString("None")
	case v.IsBool():
		out.WriteString(map[bool]string{true: "True", false: "False"}[v.Bool()])
	case v.IsInteger():
		out.WriteString(strconv.Itoa(v.Integer()))
	case v.IsFloat():
		out.WriteString(pythonFloat(v.Float()))
	case v.IsString():
		writeQuoted(out, v.String())
	case v.IsDict():
		out.WriteString("{")
		for i, p := range pairsOf(v) {
			if i > 0 {
				out.WriteString(", ")
			}
			repr(b, out, p.Key)
			out.WriteString(": ")
			repr(b, out, p.Value)
		}
		out.WriteString("}")
	case v.IsList():
		out.WriteString("[")
		for i := range v.Len() {
			if i > 0 {
				out.WriteString(", ")
			}
			repr(b, out, v.Index(i))
		}
		out.WriteString("]")
	default:
		out.WriteString("<" + typeName(v) + ">")
	}
}

func pythonFloat(f float64) string {
	switch {
	case math.IsNaN(f):
		return "nan"
	case math.IsInf(f, 0):
		return strings.ToLower(strings.TrimPrefix(strconv.FormatFloat(f, 'g', -1, 64), "+"))
	}
	return floatText(f)
}

// writeQuoted is Python's repr of a text: single quotes, unless only double ones spare an escape.
func writeQuoted(b *strings.Builder, s string) {
	quote := '\''
	if strings.Contains(s, "'") && !strings.Contains(s, `"`) {
		quote = '"'
	}
	b.WriteRune(quote)
	for _, c := range s {
		switch {
		case c == quote || c == '\\':
			b.WriteByte('\\')
			b.WriteRune(c)
		case c == '\n':
			b.WriteString(`\n`)
		case c == '\r':
			b.WriteString(`\r`)
		case c == '\t':
			b.WriteString(`\t`)
		case unicode.IsPrint(c):
			b.WriteRune(c)
		case c < 0x100:
			fmt.Fprintf(b, `\x%02x`, c)
		case c < 0x10000:
			fmt.Fprintf(b, `\u%04x`, c)
		default:
			fmt.Fprintf(b, `\U%08x`, c)
		}
	}
	b.WriteRune(quote)
}

// percent is Python's text % value, of which templates use %s, %d, %r, %x and %f with a width and a precision.
func percent(b *budget, s string, v *exec.Value) (any, error) {
	values := []*exec.Value{v}
	if isList(v) {
		// The library has one type for lists and tuples; % takes a tuple apart.
		var err error
		if values, err = iterate(b, v); err != nil {
			return nil, err
		}
	}
	var out strings.Builder
	for {
		before, rest, found := strings.Cut(s, "%")
		out.WriteString(before)
		if !found {
			break
		}
		n := strings.IndexFunc(rest, func(r rune) bool { return !strings.ContainsRune("-+ 0123456789.", r) })
		if n < 0 {
			return nil, fmt.Errorf("incomplete format")
		}
		spec, verb := rest[:n], rest[n]
		s = rest[n+1:]
		if verb == '%' {
			out.WriteByte('%')
			continue
		}
		if len(values) == 0 {
			return nil, fmt.Errorf("not enough arguments for format string")
		}
		if len(spec) > 4 {
			return nil, fmt.Errorf("the format %%%s%c is too wide", spec, verb)
		}
		x := values[0]
		values = values[1:]
		switch {
		case verb == 's':
			fmt.Fprintf(&out, "%"+spec+"s", text(b, x))
		case verb == 'r':
			var q strings.Builder
			repr(b, &q, x)
			fmt.Fprintf(&out, "%"+spec+"s", q.String())
		case strings.IndexByte("dixX", verb) >= 0 && isNumber(x):
			if verb == 'i' {
				verb = 'd'
			}
			fmt.Fprintf(&out, "%"+spec+string(verb), int(float(x)))
		case strings.IndexByte("feEgG", verb) >= 0 && isNumber(x):
			fmt.Fprintf(&out, "%"+spec+string(verb), float(x))
		default:
			return nil, fmt.Errorf("the format %%%c does not fit a value of type '%s'", verb, typeName(x))
		}
	}
	if len(values) > 0 {
		return nil, fmt.Errorf("not all arguments converted during string formatting")
	}
	if err := b.made(out.Len()); err != nil {
		return nil, err
	}
	return out.String(), nil
}
