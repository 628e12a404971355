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

// filterFunc is a filter of ours: x is the value it stands behind.
type filterFunc func(c *call, x *exec.Value) (any, error)

// filterSet makes the filters a template may name, and the operations that translator writes.
//
// Most of Jinja's filters are here anew: the library's take none for undefined, bytes for characters and mappings for
// unordered, and answer with a zero where Jinja fails.
func filterSet() *exec.FilterSet {
	set := map[string]exec.FilterFunction{}
	for name, f := range allFilters() {
		set[name] = func(e *exec.Evaluator, x *exec.Value, args *exec.VarArgs) *exec.Value {
			if x.IsError() {
				return x
			}
			c := &call{budgetOf(e.Environment.Context), name, args}
			if err := c.steps(1); err != nil {
				return exec.AsValue(err)
			}
			v, err := f(c, x)
			if err != nil {
				c.failure = err
				return exec.AsValue(err)
			}
			return exec.ToValue(v)
		}
	}
	return exec.NewFilterSet(set)
}

func allFilters() map[string]filterFunc {
	m := map[string]filterFunc{
		// What translator writes for operators, subscripts, attributes, methods, tests and output.
		"weft_operate": func(c *call, x *exec.Value) (any, error) {
			return operate(c.budget, c.args.Args[0].String(), x, c.args.Args[1])
		},
		"weft_compare": func(c *call, x *exec.Value) (any, error) {
			return compare(c.budget, c.args.Args[0].String(), x, c.args.Args[1])
		},
		"weft_not":   func(_ *call, x *exec.Value) (any, error) { return !x.IsTrue(), nil },
		"weft_item":  func(c *call, x *exec.Value) (any, error) { return subscript(c.budget, x, c.args.First()) },
		"weft_slice": func(c *call, x *exec.Value) (any, error) { return slice(c.budget, x, c.args.Args) },
		"weft_attr":  func(c *call, x *exec.Value) (any, error) { return attr(x, c.args.First().String()) },
		"weft_call": func(c *call, x *exec.Value) (any, error) {
			rest := &exec.VarArgs{Args: c.args.Args[1:], KwArgs: c.args.KwArgs}
			return callMethod(c.budget, x, c.args.First().String(), rest)
		},
		"weft_test": func(c *call, x *exec.Value) (any, error) {
			return runTest(c.budget, c.args.First().String(), x, c.args.Args[1:])
		},
		"weft_str": func(c *call, x *exec.Value) (any, error) {
			s := text(c.budget, x)
			return s, c.made(len(s))
		},
		"weft_iterate": weftIterate,
		"weft_unpack":  weftUnpack,

		"tojson": toJSON, "default": filterDefault, "d": filterDefault, "length": filterLength, "count": filterLength,
		"string": func(c *call, x *exec.Value) (any, error) { return text(c.budget, x), nil },
		"safe":   func(c *call, x *exec.Value) (any, error) { return text(c.budget, x), nil },
		"trim":   onText(strip(true, true)), "upper": onText(plain(upper)), "lower": onText(plain(strings.ToLower)),
		"capitalize": onText(plain(capitalize)), "title": onText(plain(titleFilter)), "replace": filterReplace,
		"escape": onText(plain(escape)), "e": onText(plain(escape)), "indent": filterIndent,
		"int": filterInt, "float": filterFloat, "abs": filterAbs, "round": filterRound,
	}
	for name, f := range sequenceFilters() {
		m[name] = f
	}
	return m
}

// weftIterate gives a loop its elements as a list. Those of a loop over two names are made pairs.
func weftIterate(c *call, x *exec.Value) (any, error) {
	items, err := iterate(c.budget, x)
	if err != nil {
		return nil, err
	}
	if c.args.First().Integer() == 1 {
		return interfaces(items), nil
	}
	out := make([]any, len(items))
	for i, v := range items {
		parts, err := iterate(c.budget, v)
		if err != nil {
			return nil, err
		}
		if len(parts) != 2 {
			return nil, fmt.Errorf("cannot unpack %d values into 2 names", len(parts))
		}
		out[i] = interfaces(parts)
	}
	return out, nil
}

func weftUnpack(c *call, x *exec.Value) (any, error) {
	items, err := iterate(c.budget, x)
	if n := c.args.First().Integer(); err == nil && len(items) != n {
		err = fmt.Errorf("cannot unpack %d values into %d names", len(items), n)
	}
	return interfaces(items), err
}

// onText makes a filter of a method of strings; what is no string is made one.
func onText(m stringMethod) filterFunc {
	return func(c *call, x *exec.Value) (any, error) { return m(c, text(c.budget, x)) }
}

func escape(s string) string {
	return strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;", "'", "&#39;", `"`, "&#34;").Replace(s)
}

// bind puts positional and named arguments into the order of names; what is not given is nil.
func bind(fn string, params *exec.VarArgs, names ...string) ([]*exec.Value, error) {
	if len(params.Args) > len(names) {
		return nil, fmt.Errorf("%s() takes at most %d arguments, got %d", fn, len(names), len(params.Args))
	}
	out := make([]*exec.Value, len(names))
	copy(out, params.Args)
	for name, v := range params.KwArgs {
		i := slices.Index(names, name)
		if i < 0 {
			return nil, fmt.Errorf("%s() got an unexpected keyword argument '%s'", fn, name)
		}
		if out[i] != nil {
			return nil, fmt.Errorf("%s() got multiple values for argument '%s'", fn, name)
		}
		out[i] = v
	}
	return out, nil
}

func given(v *exec.Value) bool { return v != nil && !isNone(v) && !v.IsNil() }

func isTrue(v *exec.Value) bool { return v != nil && v.IsTrue() }

func filterDefault(c *call, x *exec.Value) (any, error) {
	a, err := c.bind(0, "default_value", "boolean")
	switch {
	case err != nil:
		return nil, err
	case !x.IsNil() && (!isTrue(a[1]) || x.IsTrue()):
		return x, nil
	case a[0] == nil:
		return "", nil
	}
	return a[0], nil
}

func filterLength(c *call, x *exec.Value) (any, error) {
	if x.IsNil() {
		return 0, nil
	}
	if x.IsString() {
		return len([]rune(x.String())), c.steps(len(x.String()) / 256)
	}
	if !x.IsDict() && !isList(x) {
		return nil, fmt.Errorf("object of type '%s' has no len()", typeName(x))
	}
	return x.Len(), nil
}

func filterReplace(c *call, x *exec.Value) (any, error) {
	for i, a := range c.args.Args {
		if i < 2 {
			c.args.Args[i] = exec.AsValue(text(c.budget, a))
		}
	}
	return replaceMethod(c, text(c.budget, x))
}

func filterIndent(c *call, x *exec.Value) (any, error) {
	a, err := c.bind(0, "width", "first", "blank")
	if err != nil {
		return nil, err
	}
	margin := ""
	if a[0] != nil && a[0].IsString() {
		margin = a[0].String()
	} else {
		width, err := c.num(a[0], 4)
		if err != nil {
			return nil, err
		}
		if margin, err = c.repeat(" ", width); err != nil {
			return nil, err
		}
	}
	// Jinja adds a newline here and lets splitlines take it away again.
	parts := lines(text(c.budget, x)+"\n", false)
	if err := c.made(len(parts) * len(margin)); err != nil {
		return nil, err
	}
	for i, line := range parts {
		if i > 0 && (line != "" || isTrue(a[2])) || i == 0 && isTrue(a[1]) {
			parts[i] = margin + line
		}
	}
	return c.join("\n", parts...)
}

func filterInt(c *call, x *exec.Value) (any, error) {
	a, err := c.bind(0, "default", "base")
	if err != nil {
		return nil, err
	}
	base, err := c.num(a[1], 10)
	if err != nil {
		return nil, err
	}
	def := any(0)
	if a[0] != nil {
		def = a[0]
	}
	switch {
	case isIntegral(x):
		return integer(x), nil
	case x.IsFloat() && math.Abs(x.Float()) < 1<<62:
		return int(x.Float()), nil
	case x.IsString():
		s := strings.ReplaceAll(strings.TrimFunc(x.String(), isSpace), "_", "")
		digits := s
		if prefix := map[int]string{16: "0x", 8: "0o", 2: "0b"}[base]; prefix != "" {
			digits = strings.TrimPrefix(strings.ToLower(s), prefix)
		}
		if n, err := strconv.ParseInt(digits, base, 64); err == nil && base >= 2 && base <= 36 {
			return int(n), nil
		}
		if f, err := strconv.ParseFloat(s, 64); err == nil && math.Abs(f) < 1<<62 {
			return int(f), nil
		}
	}
	return def, nil
}

func filterFloat(c *call, x *exec.Value) (any, error) {
	a, err := c.bind(0, "default")
	if err != nil {
		return nil, err
	}
	if isNumber(x) {
		return float(x), nil
	}
	if x.IsString() {
		if f, err := strconv.ParseFloat(strings.TrimFunc(x.String(), isSpace), 64); err == nil {
			return f, nil
		}
	}
	if a[0] != nil {
		return a[0], nil
	}
	return 0.0, nil
}

func filterAbs(_ *call, x *exec.Value) (any, error) {
	switch {
	case isIntegral(x) && integer(x) < 0:
		return intOperate("-", 0, integer(x))
	case isIntegral(x):
		return integer(x), nil
	case x.IsFloat():
		return math.Abs(x.Float()), nil
	}
	return nil, fmt.Errorf("bad operand type for abs(): '%s'", typeName(x))
}

func filterRound(c *call, x *exec.Value) (any, error) {
	a, err := c.bind(0, "precision", "method")
	if err != nil {
		return nil, err
	}
	precision, err := c.num(a[0], 0)
	if err != nil {
		return nil, err
	}
	how, err := c.str(a[1], "common")
	if err != nil {
		return nil, err
	}
	if !isNumber(x) || precision < 0 || precision > 300 {
		return nil, errors.New("round() takes a number and a precision from 0")
	}
	if isIntegral(x) && how == "common" {
		return integer(x), nil
	}
	scale := math.Pow(10, float64(precision))
	switch how {
	case "common": // Python rounds the decimal expansion, half to even
		return strconv.ParseFloat(strconv.FormatFloat(float(x), 'f', precision, 64), 64)
	case "ceil":
		return math.Ceil(float(x)*scale) / scale, nil
	case "floor":
		return math.Floor(float(x)*scale) / scale, nil
	}
	return nil, errors.New("method must be common, ceil or floor")
}
