package jinja

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"unicode/utf8"
)

func noFilter(name string) error { return fmt.Errorf("no filter named '%s'", name) }

// filter is x|name(args).
func (r *run) filter(name string, x any, a *args) (any, error) {
	f, ok := r.lib.filters[name]
	if !ok {
		return nil, noFilter(name)
	}
	if err := r.step(1); err != nil {
		return nil, err
	}
	a.of = name
	return f(r, x, a)
}

// filters are Jinja's, but for those that make markup of a text, random ones and those for people (pprint, filesizeformat).
func filterTable() map[string]method {
	return map[string]method{
		"abs": filterAbs, "attr": filterAttr, "batch": filterBatch, "capitalize": onText(mapped(capitalize)), "center": filterCenter,
		"count": filterLength, "d": filterDefault, "default": filterDefault, "dictsort": filterDictSort,
		"e": onText(growing(escapeGrowth, escape)), "escape": onText(growing(escapeGrowth, escape)), "first": filterFirst, "float": filterFloat,
		"format": filterFormat, "groupby": filterGroupBy, "indent": filterIndent, "int": filterInt, "items": filterItems,
		"join": filterJoin, "last": filterLast, "length": filterLength, "list": filterList, "lower": onText(mapped(strings.ToLower)),
		"map": filterMap, "max": extreme(false), "min": extreme(true), "reject": selector(false, false), "rejectattr": selector(true, false),
		"replace": filterReplace, "reverse": filterReverse, "round": filterRound, "safe": filterString, "select": selector(false, true),
		"selectattr": selector(true, true), "slice": filterSlice, "sort": filterSort, "string": filterString, "sum": filterSum,
		"title": onText(mapped(titleFilter)), "tojson": toJSON, "trim": onText(strip(true, true)), "truncate": filterTruncate,
		"unique": filterUnique, "upper": onText(mapped(upper)), "urlencode": onText(growing(urlEncodeGrowth, urlEncode)), "wordcount": filterWordCount,
	}
}

// onText makes a filter of a method of str; what is no text is made one.
func onText(m method) method {
	return func(r *run, x any, a *args) (any, error) {
		s, err := r.str(x)
		if err != nil {
			return nil, err
		}
		return m(r, s, a)
	}
}

// How many times as long a text may become.
const (
	escapeGrowth    = 5
	urlEncodeGrowth = 3
	reprGrowth      = 4
	jsonGrowth      = 6
)

// growing is mapped for what makes a text longer.
func growing(times int, f func(s string) string) method {
	m := mapped(f)
	return func(r *run, x any, a *args) (any, error) {
		s, _ := x.(string)
		if err := r.made(len(s) * (times - 1)); err != nil {
			return nil, err
		}
		return m(r, x, a)
	}
}

func escape(s string) string {
	return strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;", "'", "&#39;", `"`, "&#34;").Replace(s)
}

// urlEncode keeps what Python's quote keeps: letters, digits, "_.-~" and the slash.
func urlEncode(s string) string {
	var b strings.Builder
	for i := range len(s) {
		if c := s[i]; c < utf8.RuneSelf && (isDigit(c) || 'a' <= c|0x20 && c|0x20 <= 'z' || strings.IndexByte("_.-~/", c) >= 0) {
			b.WriteByte(c)
		} else {
			fmt.Fprintf(&b, "%%%02X", c)
		}
	}
	return b.String()
}

func filterString(r *run, x any, a *args) (any, error) {
	if _, err := a.bind(0); err != nil {
		return nil, err
	}
	return r.str(x)
}

func filterDefault(_ *run, x any, a *args) (any, error) {
	v, err := a.bind(0, "default_value", "boolean")
	switch {
	case err != nil:
		return nil, err
	case !isUndefined(x) && (!flag(v[1]) || truth(x)):
		return x, nil
	case !has(v[0]):
		return "", nil
	}
	return v[0], nil
}

func filterLength(r *run, x any, a *args) (any, error) {
	if _, err := a.bind(0); err != nil {
		return nil, err
	}
	return r.length(x)
}

func filterAttr(r *run, x any, a *args) (any, error) {
	v, err := a.bind(1, "name")
	if err != nil {
		return nil, err
	}
	name, err := r.str(v[0])
	if err != nil {
		return nil, err
	}
	if got, ok := r.attribute(x, name); ok && !isUndefined(x) {
		return got, nil
	}
	return absentFrom(x, name), nil
}

func filterReplace(r *run, x any, a *args) (any, error) {
	s, err := r.str(x)
	if err != nil {
		return nil, err
	}
	texts := &args{of: a.of, names: a.names, named: a.named, pos: append([]any(nil), a.pos...)}
	for i := range min(2, len(texts.pos)) {
		if texts.pos[i], err = r.str(texts.pos[i]); err != nil {
			return nil, err
		}
	}
	return replace(r, s, texts)
}

func filterCenter(r *run, x any, a *args) (any, error) {
	v, err := a.bind(0, "width")
	if err != nil {
		return nil, err
	}
	s, err := r.str(x)
	if err != nil {
		return nil, err
	}
	width := any(80)
	if has(v[0]) {
		width = v[0]
	}
	return r.lib.text["center"](r, s, &args{of: a.of, pos: []any{width}})
}

func filterFormat(r *run, x any, a *args) (any, error) {
	s, err := r.str(x)
	if err != nil {
		return nil, err
	}
	if len(a.names) == 0 {
		return r.percent(s, tuple(a.pos))
	}
	if len(a.pos) > 0 {
		return nil, errors.New("can't handle positional and keyword arguments at the same time")
	}
	d, err := dictOf(r, a)
	if err != nil {
		return nil, err
	}
	return r.percent(s, d)
}

func filterIndent(r *run, x any, a *args) (any, error) {
	v, err := a.bind(0, "width", "first", "blank")
	if err != nil {
		return nil, err
	}
	margin, isText := v[0].(string)
	if !isText {
		width, err := a.num(v[0], 4)
		if err != nil {
			return nil, err
		}
		if margin, err = r.repeat(" ", width); err != nil {
			return nil, err
		}
	}
	s, err := r.str(x)
	if err != nil {
		return nil, err
	}
	if err := r.step(len(s) / 16); err != nil {
		return nil, err
	}
	parts := lines(s+"\n", false) // Jinja adds a newline here and lets splitlines take it away again
	if err := r.step(len(parts)); err != nil {
		return nil, err
	}
	out := make([]string, 0, 2*len(parts))
	for i, line := range parts {
		if i > 0 {
			out = append(out, "\n")
		}
		if i > 0 && (line != "" || flag(v[2])) || i == 0 && flag(v[1]) {
			out = append(out, margin)
		}
		out = append(out, line)
	}
	return r.join("", out...)
}

func filterTruncate(r *run, x any, a *args) (any, error) {
	v, err := a.bind(0, "length", "killwords", "end", "leeway")
	if err != nil {
		return nil, err
	}
	most, err := a.num(v[0], 255)
	if err != nil {
		return nil, err
	}
	end, err := a.str(v[2], "...")
	if err != nil {
		return nil, err
	}
	leeway, err := a.num(v[3], 5)
	if err != nil {
		return nil, err
	}
	s, err := r.str(x)
	if err != nil {
		return nil, err
	}
	size, err := r.length(s)
	if err != nil || size <= most+leeway {
		return s, err
	}
	room := most - utf8.RuneCountInString(end)
	if room < 0 || leeway < 0 {
		return nil, fmt.Errorf("truncate() expected length >= %d, got %d", utf8.RuneCountInString(end), most)
	}
	cut, err := r.slice(s, [3]any{nil, room, nil})
	if err != nil {
		return nil, err
	}
	kept, _ := cut.(string)
	if i := strings.LastIndexByte(kept, ' '); i >= 0 && !flag(v[1]) {
		kept = kept[:i]
	}
	return r.join("", kept, end)
}

func filterWordCount(r *run, x any, a *args) (any, error) {
	if _, err := a.bind(0); err != nil {
		return nil, err
	}
	s, err := r.str(x)
	if err != nil {
		return nil, err
	}
	word := func(c rune) bool { return c == '_' || cased1(string(c)) || unicodeWord(c) }
	return len(strings.FieldsFunc(s, func(c rune) bool { return !word(c) })), r.step(len(s) / 16)
}

func filterInt(_ *run, x any, a *args) (any, error) {
	v, err := a.bind(0, "default", "base")
	if err != nil {
		return nil, err
	}
	base, err := a.num(v[1], 10)
	if err != nil {
		return nil, err
	}
	def := any(0)
	if has(v[0]) {
		def = v[0]
	}
	if n, ok := integer(x); ok {
		return n, nil
	}
	f, ok := x.(float64)
	if s, isText := x.(string); isText && len(s) < 1000 {
		s = strings.ReplaceAll(strings.TrimFunc(s, isSpace), "_", "")
		prefix := map[int]string{16: "0x", 8: "0o", 2: "0b"}[base]
		digits := strings.ToLower(s)
		if prefix != "" {
			digits = strings.TrimPrefix(digits, prefix)
		}
		if n, err := strconv.ParseInt(digits, base, 64); err == nil && base >= 2 {
			return int(n), nil
		}
		f, err = strconv.ParseFloat(s, 64)
		ok = err == nil
	}
	if ok && math.Abs(f) < 1<<62 {
		return int(f), nil
	}
	return def, nil
}

func filterFloat(_ *run, x any, a *args) (any, error) {
	v, err := a.bind(0, "default")
	if err != nil {
		return nil, err
	}
	if f, ok := number(x); ok {
		return f, nil
	}
	if s, ok := x.(string); ok && len(s) < 1000 {
		if f, err := strconv.ParseFloat(strings.TrimFunc(s, isSpace), 64); err == nil {
			return f, nil
		}
	}
	if has(v[0]) {
		return v[0], nil
	}
	return 0.0, nil
}

func filterAbs(_ *run, x any, a *args) (any, error) {
	if _, err := a.bind(0); err != nil {
		return nil, err
	}
	if n, ok := integer(x); ok {
		if n < 0 {
			return intOperate("-", 0, n)
		}
		return n, nil
	}
	if f, ok := x.(float64); ok {
		return math.Abs(f), nil
	}
	if u, ok := x.(*undefined); ok {
		return nil, u.fail()
	}
	return nil, fmt.Errorf("bad operand type for abs(): '%s'", typeName(x))
}

func filterRound(_ *run, x any, a *args) (any, error) {
	v, err := a.bind(0, "precision", "method")
	if err != nil {
		return nil, err
	}
	precision, err := a.num(v[0], 0)
	if err != nil {
		return nil, err
	}
	how, err := a.str(v[1], "common")
	if err != nil {
		return nil, err
	}
	f, ok := number(x)
	if !ok || precision < -300 || precision > 300 {
		return nil, errors.New("round() takes a number and a precision within 300")
	}
	n, isInt := integer(x)
	scale := math.Pow(10, float64(precision))
	switch {
	case how == "ceil":
		return math.Ceil(f*scale) / scale, nil
	case how == "floor":
		return math.Floor(f*scale) / scale, nil
	case how != "common":
		return nil, errors.New("method must be common, ceil or floor")
	case isInt && precision >= 0:
		return n, nil
	case precision >= 0: // Python rounds the decimal expansion, half to even
		return strconv.ParseFloat(strconv.FormatFloat(f, 'f', precision, 64), 64)
	}
	tens := math.Pow(10, float64(-precision))
	rounded := math.RoundToEven(f/tens) * tens
	if isInt {
		return int(rounded), nil
	}
	return rounded, nil
}
