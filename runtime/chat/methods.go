package chat

import (
	"errors"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/nikolalohinski/gonja/v2/exec"
)

// call is one call of a method or a filter, with its arguments.
type call struct {
	*budget
	name string
	args *exec.VarArgs
}

// bind puts the arguments into the order of names, the first required of which must be given; what is not given is nil.
func (c *call) bind(required int, names ...string) ([]*exec.Value, error) {
	out, err := bind(c.name, c.args, names...)
	for i := range required {
		if err == nil && out[i] == nil {
			err = fmt.Errorf("%s() is missing the argument '%s'", c.name, names[i])
		}
	}
	return out, err
}

// str reads an argument that must be a string; one not given is def.
func (c *call) str(v *exec.Value, def string) (string, error) {
	switch {
	case v == nil:
		return def, nil
	case !v.IsString():
		return "", fmt.Errorf("%s(): expected a string, got '%s'", c.name, typeName(v))
	}
	return v.String(), nil
}

// num reads an argument that must be an integer; none or one not given is def.
func (c *call) num(v *exec.Value, def int) (int, error) {
	switch {
	case v == nil || isNone(v):
		return def, nil
	case !isIntegral(v):
		return 0, fmt.Errorf("%s(): expected an integer, got '%s'", c.name, typeName(v))
	}
	return integer(v), nil
}

var (
	dictMethods = []string{"get", "items", "keys", "values"}
	listMethods = []string{"count", "index"}
	// A chat template that changes a list or a mapping is refused, as the sandbox of Hugging Face's renderer does.
	changing = " append clear extend insert pop popitem remove reverse setdefault sort update "
)

// callMethod is x.name(args).
func callMethod(b *budget, x *exec.Value, name string, args *exec.VarArgs) (any, error) {
	c := &call{b, name, args}
	if x.IsNil() {
		return nil, fmt.Errorf("%w: '%s' is called on it", errUndefined, name)
	}
	if f, ok := function(attributeOf(x, name)); ok {
		return f(args), nil // loop.cycle, loop.changed
	}
	if ns, ok := x.Interface().(map[string]any); ok {
		if f, ok := function(exec.ToValue(ns[name])); ok {
			return f(args), nil
		}
	}
	switch {
	case x.IsString() && stringMethods[name] != nil:
		return stringMethods[name](c, x.String())
	case x.IsDict():
		if strings.Contains(changing, " "+name+" ") {
			return nil, fmt.Errorf("access to attribute '%s' of 'dict' object is unsafe", name)
		}
		if v, err := dictMethod(c, x); err != nil || v != nil {
			return v, err
		}
	case isList(x):
		if strings.Contains(changing, " "+name+" ") {
			return nil, fmt.Errorf("access to attribute '%s' of 'list' object is unsafe", name)
		}
		if v, err := listMethod(c, x); err != nil || v != nil {
			return v, err
		}
	}
	return nil, fmt.Errorf("'%s object' has no method '%s'", typeName(x), name)
}

// function returns a value that templates may call: a macro, or a function of the library or of ours.
func function(v *exec.Value) (func(*exec.VarArgs) *exec.Value, bool) {
	switch f := v.Interface().(type) {
	case func(*exec.VarArgs) *exec.Value:
		return f, true
	case exec.Macro:
		return f, true
	}
	return nil, false
}

func dictMethod(c *call, d *exec.Value) (any, error) {
	switch c.name {
	case "get":
		a, err := c.bind(1, "key", "default")
		if err != nil {
			return nil, err
		}
		if v, ok := element(d, a[0]); ok {
			return v, nil
		}
		if a[1] != nil {
			return a[1], nil
		}
		return none{}, nil
	case "keys", "values", "items":
		if _, err := c.bind(0); err != nil {
			return nil, err
		}
		pairs := pairsOf(d)
		out := make([]any, len(pairs))
		for i, p := range pairs {
			switch c.name {
			case "keys":
				out[i] = p.Key.Interface()
			case "values":
				out[i] = p.Value.Interface()
			default:
				out[i] = []any{p.Key.Interface(), p.Value.Interface()}
			}
		}
		return out, c.steps(len(out))
	}
	return nil, nil
}

func listMethod(c *call, l *exec.Value) (any, error) {
	if c.name != "count" && c.name != "index" {
		return nil, nil
	}
	a, err := c.bind(1, "value")
	if err != nil {
		return nil, err
	}
	n := 0
	for i := range l.Len() {
		eq, err := equal(c.budget, l.Index(i), a[0])
		if err != nil {
			return nil, err
		}
		if eq && c.name == "index" {
			return i, nil
		}
		if eq {
			n++
		}
	}
	if c.name == "index" {
		return nil, errors.New("the value is not in the list")
	}
	return n, nil
}

type stringMethod func(c *call, s string) (any, error)

// plain makes a method of a function that takes no argument.
func plain(f func(s string) string) stringMethod {
	return func(c *call, s string) (any, error) {
		if _, err := c.bind(0); err != nil {
			return nil, err
		}
		if err := c.made(len(s)); err != nil {
			return nil, err
		}
		return f(s), nil
	}
}

// all makes a method that asks whether a text is not empty and every character is as it should be.
func all(ok func(r rune) bool) stringMethod {
	return func(c *call, s string) (any, error) {
		if _, err := c.bind(0); err != nil {
			return nil, err
		}
		return s != "" && strings.IndexFunc(s, func(r rune) bool { return !ok(r) }) < 0, c.steps(len(s) / 256)
	}
}

func strip(left, right bool) stringMethod {
	return func(c *call, s string) (any, error) {
		a, err := c.bind(0, "chars")
		if err != nil {
			return nil, err
		}
		cut := isSpace
		if a[0] != nil && !isNone(a[0]) {
			set, err := c.str(a[0], "")
			if err != nil {
				return nil, err
			}
			cut = func(r rune) bool { return strings.ContainsRune(set, r) }
		}
		if left {
			s = strings.TrimLeftFunc(s, cut)
		}
		if right {
			s = strings.TrimRightFunc(s, cut)
		}
		return s, c.steps(len(s) / 256)
	}
}

// find makes find, rfind, index and rindex. Places are counted in characters.
func find(search func(s, sub string) int, must bool) stringMethod {
	return func(c *call, s string) (any, error) {
		sub, part, start, err := c.within(s)
		if err != nil {
			return nil, err
		}
		x, err := c.str(sub, "")
		if err != nil {
			return nil, err
		}
		at := search(part, x)
		if at < 0 && must {
			return nil, errors.New("substring not found")
		}
		if at >= 0 {
			at = start + utf8.RuneCountInString(part[:at])
		}
		return at, nil
	}
}

// within reads the arguments sub, start and end and returns the first, the part of s between the other two, and where in
// characters it begins.
func (c *call) within(s string) (sub *exec.Value, part string, start int, err error) {
	a, err := c.bind(1, "sub", "start", "end")
	if err != nil {
		return nil, "", 0, err
	}
	if err := c.steps(len(s) / 256); err != nil {
		return nil, "", 0, err
	}
	if a[1] == nil && a[2] == nil {
		return a[0], s, 0, nil
	}
	runes := []rune(s)
	bound := func(v *exec.Value, def int) (int, error) {
		n, err := c.num(v, def)
		if n < 0 {
			n = max(0, n+len(runes))
		}
		return min(n, len(runes)), err
	}
	if start, err = bound(a[1], 0); err != nil {
		return nil, "", 0, err
	}
	end, err := bound(a[2], len(runes))
	if err != nil {
		return nil, "", 0, err
	}
	return a[0], string(runes[start:max(start, end)]), start, nil
}

func affix(has func(s, x string) bool) stringMethod {
	return func(c *call, s string) (any, error) {
		sub, part, _, err := c.within(s)
		if err != nil {
			return nil, err
		}
		options := []*exec.Value{sub}
		if isList(sub) {
			if options, err = iterate(c.budget, sub); err != nil {
				return nil, err
			}
		}
		for _, o := range options {
			x, err := c.str(o, "")
			if err != nil {
				return nil, err
			}
			if has(part, x) {
				return true, nil
			}
		}
		return false, nil
	}
}

var stringMethods = map[string]stringMethod{
	"upper":        plain(upper),
	"lower":        plain(strings.ToLower),
	"capitalize":   plain(capitalize),
	"title":        plain(titleMethod),
	"strip":        strip(true, true),
	"lstrip":       strip(true, false),
	"rstrip":       strip(false, true),
	"find":         find(strings.Index, false),
	"rfind":        find(strings.LastIndex, false),
	"index":        find(strings.Index, true),
	"rindex":       find(strings.LastIndex, true),
	"startswith":   affix(strings.HasPrefix),
	"endswith":     affix(strings.HasSuffix),
	"isspace":      all(isSpace),
	"isalpha":      all(unicode.IsLetter),
	"isdigit":      all(unicode.IsDigit),
	"isdecimal":    all(unicode.IsDigit),
	"isnumeric":    all(unicode.IsNumber),
	"isalnum":      all(func(r rune) bool { return unicode.IsLetter(r) || unicode.IsNumber(r) }),
	"islower":      cased(unicode.IsLower, unicode.IsUpper),
	"isupper":      cased(unicode.IsUpper, unicode.IsLower),
	"split":        split(false),
	"rsplit":       split(true),
	"splitlines":   splitLines,
	"partition":    partition(strings.Index, false),
	"rpartition":   partition(strings.LastIndex, true),
	"removeprefix": trimAffix(strings.TrimPrefix),
	"removesuffix": trimAffix(strings.TrimSuffix),
	"replace":      replaceMethod,
	"count":        countMethod,
	"join":         joinMethod,
	"zfill":        zfill,
	"ljust":        pad(0),
	"rjust":        pad(1),
}

// cased makes islower and isupper: some character has the case and none the other.
func cased(want, not func(r rune) bool) stringMethod {
	return func(c *call, s string) (any, error) {
		if _, err := c.bind(0); err != nil {
			return nil, err
		}
		return strings.ContainsFunc(s, want) && !strings.ContainsFunc(s, not), c.steps(len(s) / 256)
	}
}

func upper(s string) string {
	return strings.ToUpper(strings.ReplaceAll(s, "ß", "SS")) // the one letter in use that grows
}

func capitalize(s string) string {
	_, n := utf8.DecodeRuneInString(s)
	return upper(s[:n]) + strings.ToLower(s[n:])
}

// titleMethod is str.title: a word is a run of letters.
func titleMethod(s string) string {
	inWord := false
	return strings.Map(func(r rune) rune {
		first := !inWord
		inWord = unicode.IsUpper(r) || unicode.IsLower(r) || unicode.IsTitle(r)
		if first {
			return unicode.ToTitle(r)
		}
		return unicode.ToLower(r)
	}, s)
}

// titleFilter is Jinja's own: a word begins behind whitespace, a hyphen or a bracket.
func titleFilter(s string) string {
	first := true
	return strings.Map(func(r rune) rune {
		was := first
		first = isSpace(r) || strings.ContainsRune("-({[<", r)
		if was {
			return unicode.ToUpper(r)
		}
		return unicode.ToLower(r)
	}, s)
}
