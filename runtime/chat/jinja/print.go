package jinja

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"unicode"
)

// str is Python's str of a value.
func (r *run) str(v any) (string, error) {
	switch v := v.(type) {
	case string:
		return v, nil
	case *undefined:
		return "", nil
	}
	return r.repr(v)
}

// repr is Python's repr of a value.
func (r *run) repr(v any) (string, error) {
	p := printer{run: r}
	err := p.value(v)
	return p.out.String(), err
}

// joinAll joins values as text.
func (r *run) joinAll(sep string, items []any) (string, error) {
	parts := make([]string, len(items))
	for i, v := range items {
		var err error
		if parts[i], err = r.str(v); err != nil {
			return "", err
		}
	}
	return r.join(sep, parts...)
}

type printer struct {
	*run
	out strings.Builder
}

func (p *printer) write(s string) error {
	p.out.WriteString(s)
	return p.made(len(s))
}

func (p *printer) value(v any) error {
	defer p.ascend()
	if err := p.descend(); err != nil {
		return err
	}
	switch v := v.(type) {
	case nil:
		return p.write("None")
	case *undefined:
		return p.write("Undefined")
	case bool:
		return p.write(map[bool]string{true: "True", false: "False"}[v])
	case int:
		return p.write(strconv.Itoa(v))
	case float64:
		return p.write(pythonFloat(v))
	case string:
		if err := p.room(len(v) * reprGrowth); err != nil {
			return err
		}
		return p.write(quoted(v))
	case list:
		return p.items("[", v, "]")
	case tuple:
		if len(v) == 1 {
			return p.items("(", v, ",)")
		}
		return p.items("(", v, ")")
	case view:
		return p.items(v.of+"([", v.items, "])")
	case numbers:
		if v.step != 1 {
			return p.write(fmt.Sprintf("range(%d, %d, %d)", v.start, v.stop, v.step))
		}
		return p.write(fmt.Sprintf("range(%d, %d)", v.start, v.stop))
	case *Dict:
		return p.dict(v)
	case *namespace:
		if err := p.write("<Namespace "); err != nil {
			return err
		}
		if err := p.dict(v.attrs); err != nil {
			return err
		}
		return p.write(">")
	case *loop:
		return p.write(fmt.Sprintf("<LoopContext %d/%d>", v.i+1, len(v.items)))
	case *function:
		return p.write("<function " + v.name + ">")
	}
	return p.write("<" + typeName(v) + ">")
}

func (p *printer) items(open string, items []any, end string) error {
	if err := p.write(open); err != nil {
		return err
	}
	for i, v := range items {
		if i > 0 {
			if err := p.write(", "); err != nil {
				return err
			}
		}
		if err := p.value(v); err != nil {
			return err
		}
	}
	return p.write(end)
}

func (p *printer) dict(d *Dict) error {
	sep := "{"
	for i, k := range d.keys {
		if err := p.write(sep); err != nil {
			return err
		}
		sep = ", "
		if err := p.value(k); err != nil {
			return err
		}
		if err := p.write(": "); err != nil {
			return err
		}
		if err := p.value(d.vals[i]); err != nil {
			return err
		}
	}
	if len(d.keys) == 0 {
		return p.write("{}")
	}
	return p.write("}")
}

// pythonFloat is Python's repr of a float.
func pythonFloat(f float64) string {
	switch {
	case math.IsNaN(f):
		return "nan"
	case math.IsInf(f, 1):
		return "inf"
	case math.IsInf(f, -1):
		return "-inf"
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

// quoted is Python's repr of a text: single quotes, unless only double ones spare an escape.
func quoted(s string) string {
	var b strings.Builder
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
			fmt.Fprintf(&b, `\x%02x`, c)
		case c < 0x10000:
			fmt.Fprintf(&b, `\u%04x`, c)
		default:
			fmt.Fprintf(&b, `\U%08x`, c)
		}
	}
	b.WriteRune(quote)
	return b.String()
}
