package jinja

import (
	"errors"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// onString makes a method of str, whose work is counted by the length of the text.
func onString(f func(r *run, s string, a *args) (any, error)) method {
	return func(r *run, x any, a *args) (any, error) {
		s, _ := x.(string)
		if err := r.step(len(s) / textStep); err != nil {
			return nil, err
		}
		return f(r, s, a)
	}
}

// mapped makes a method that takes no argument and changes a text.
func mapped(f func(s string) string) method {
	return onString(func(r *run, s string, a *args) (any, error) {
		if _, err := a.bind(0); err != nil {
			return nil, err
		}
		if err := r.made(len(s)); err != nil {
			return nil, err
		}
		return f(s), nil
	})
}

// asks makes a method that takes no argument and says something of a text.
func asks(f func(s string) bool) method {
	return onString(func(_ *run, s string, a *args) (any, error) {
		_, err := a.bind(0)
		return f(s), err
	})
}

// every asks whether a text is not empty and each character is as it should be.
func every(ok func(c rune) bool) method {
	return asks(func(s string) bool {
		return s != "" && strings.IndexFunc(s, func(c rune) bool { return !ok(c) }) < 0
	})
}

// cased asks whether some character has the one case and none the other.
func cased(want, not func(c rune) bool) method {
	return asks(func(s string) bool { return strings.ContainsFunc(s, want) && !strings.ContainsFunc(s, not) })
}

// superscripts are digits to isdigit and none to isdecimal.
const superscripts = "²³¹⁰⁴⁵⁶⁷⁸⁹₀₁₂₃₄₅₆₇₈₉①②③④⑤⑥⑦⑧⑨"

func textMethods() map[string]method {
	return map[string]method{
		"upper": mapped(upper), "lower": mapped(strings.ToLower), "casefold": mapped(casefold), "capitalize": mapped(capitalize),
		"title": mapped(titleMethod), "swapcase": mapped(swapcase),
		"strip": strip(true, true), "lstrip": strip(true, false), "rstrip": strip(false, true),
		"find": find(strings.Index, false), "rfind": find(strings.LastIndex, false),
		"index": find(strings.Index, true), "rindex": find(strings.LastIndex, true),
		"startswith": affix(strings.HasPrefix), "endswith": affix(strings.HasSuffix),
		"removeprefix": trimAffix(strings.TrimPrefix), "removesuffix": trimAffix(strings.TrimSuffix),
		"isspace": every(isSpace), "isalpha": every(unicode.IsLetter), "isdecimal": every(unicode.IsDigit), "isnumeric": every(unicode.IsNumber),
		"isdigit": every(func(c rune) bool { return unicode.IsDigit(c) || strings.ContainsRune(superscripts, c) }),
		"isalnum": every(func(c rune) bool { return unicode.IsLetter(c) || unicode.IsNumber(c) }),
		"isascii": asks(func(s string) bool {
			return strings.IndexFunc(s, func(c rune) bool { return c > unicode.MaxASCII }) < 0
		}),
		"islower": cased(unicode.IsLower, unicode.IsUpper), "isupper": cased(unicode.IsUpper, unicode.IsLower),
		"istitle": asks(func(s string) bool { return cased1(s) && titleMethod(s) == s }),
		"split":   split(false), "rsplit": split(true), "splitlines": onString(splitLines),
		"partition": partition(strings.Index, false), "rpartition": partition(strings.LastIndex, true),
		"replace": onString(replace), "count": onString(countText), "join": onString(joinMethod), "format": onString(formatMethod),
		"zfill": onString(zfill), "ljust": pad(0), "rjust": pad(1), "center": pad(2), "expandtabs": onString(expandTabs),
	}
}

func cased1(s string) bool {
	return strings.ContainsFunc(s, func(c rune) bool { return unicode.IsLower(c) || unicode.IsUpper(c) })
}

func upper(s string) string {
	return strings.ToUpper(strings.ReplaceAll(s, "ß", "SS")) // the one letter in use that grows
}

func casefold(s string) string { return strings.ToLower(strings.ReplaceAll(s, "ß", "ss")) }

func capitalize(s string) string {
	_, n := utf8.DecodeRuneInString(s)
	return upper(s[:n]) + strings.ToLower(s[n:])
}

func swapcase(s string) string {
	return strings.Map(func(c rune) rune {
		if unicode.IsUpper(c) {
			return unicode.ToLower(c)
		}
		return unicode.ToUpper(c)
	}, s)
}

// titleMethod is str.title: a word is a run of letters.
func titleMethod(s string) string {
	inWord := false
	return strings.Map(func(c rune) rune {
		first := !inWord
		inWord = unicode.IsUpper(c) || unicode.IsLower(c) || unicode.IsTitle(c)
		if first {
			return unicode.ToTitle(c)
		}
		return unicode.ToLower(c)
	}, s)
}

// titleFilter is Jinja's own: a word begins behind whitespace, a hyphen or a bracket.
func titleFilter(s string) string {
	first := true
	return strings.Map(func(c rune) rune {
		was := first
		first = isSpace(c) || strings.ContainsRune("-({[<", c)
		if was {
			return unicode.ToUpper(c)
		}
		return unicode.ToLower(c)
	}, s)
}

func strip(left, right bool) method {
	return onString(func(r *run, s string, a *args) (any, error) {
		v, err := a.bind(0, "chars")
		if err != nil {
			return nil, err
		}
		cut := isSpace
		if some(v[0]) {
			set, err := a.str(v[0], "")
			if err != nil {
				return nil, err
			}
			if err := r.step(len(set) * min(len(s), 1+len(s)/textStep)); err != nil {
				return nil, err
			}
			cut = func(c rune) bool { return strings.ContainsRune(set, c) }
		}
		if left {
			s = strings.TrimLeftFunc(s, cut)
		}
		if right {
			s = strings.TrimRightFunc(s, cut)
		}
		return s, nil
	})
}

// find makes find, rfind, index and rindex. Places are counted in characters.
func find(search func(s, sub string) int, must bool) method {
	return onString(func(r *run, s string, a *args) (any, error) {
		sub, part, start, err := r.within(s, a)
		if err != nil {
			return nil, err
		}
		x, err := a.str(sub, "")
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
	})
}

// within reads the arguments sub, start and end and returns the first, the part of s between the other two, and where in
// characters it begins.
func (r *run) within(s string, a *args) (sub any, part string, start int, err error) {
	v, err := a.bind(1, "sub", "start", "end")
	if err != nil || !has(v[1]) && !has(v[2]) {
		if err == nil {
			sub = v[0]
		}
		return sub, s, 0, err
	}
	bounds := [3]any{}
	for i := range 2 {
		if some(v[i+1]) {
			bounds[i] = v[i+1]
		}
	}
	size, err := r.length(s)
	if err != nil {
		return nil, "", 0, err
	}
	if start, _, _, err = sliceBounds(bounds, size); err != nil {
		return nil, "", 0, err
	}
	got, err := r.slice(s, bounds)
	part, _ = got.(string)
	return v[0], part, start, err
}

func affix(ends func(s, x string) bool) method {
	return onString(func(r *run, s string, a *args) (any, error) {
		sub, part, _, err := r.within(s, a)
		if err != nil {
			return nil, err
		}
		options, many := sub.(tuple)
		if !many {
			options = tuple{sub}
		}
		for _, o := range options {
			x, ok := o.(string)
			if !ok {
				return nil, fmt.Errorf("%s first arg must be str or a tuple of str, not %s", a.of, typeName(o))
			}
			if err := r.step(1 + len(x)/textStep); err != nil {
				return nil, err
			}
			if ends(part, x) {
				return true, nil
			}
		}
		return false, nil
	})
}

func trimAffix(f func(s, x string) string) method {
	return onString(func(_ *run, s string, a *args) (any, error) {
		v, err := a.bind(1, "affix")
		if err != nil {
			return nil, err
		}
		x, err := a.str(v[0], "")
		return f(s, x), err
	})
}

func replace(r *run, s string, a *args) (any, error) {
	v, err := a.bind(2, "old", "new", "count")
	if err != nil {
		return nil, err
	}
	from, err := a.str(v[0], "")
	if err != nil {
		return nil, err
	}
	to, err := a.str(v[1], "")
	if err != nil {
		return nil, err
	}
	most, err := a.num(v[2], -1)
	if err != nil {
		return nil, err
	}
	n := strings.Count(s, from)
	if most >= 0 {
		n = min(n, most)
	}
	if len(to) > 0 && n > r.limits.TextBytes/len(to) {
		return nil, r.refuse("bytes of text", r.limits.TextBytes)
	}
	if err := r.made(len(s) + n*len(to)); err != nil {
		return nil, err
	}
	return strings.Replace(s, from, to, n), nil
}

func countText(r *run, s string, a *args) (any, error) {
	sub, part, _, err := r.within(s, a)
	if err != nil {
		return nil, err
	}
	x, err := a.str(sub, "")
	return strings.Count(part, x), err
}

func joinMethod(r *run, s string, a *args) (any, error) {
	v, err := a.bind(1, "iterable")
	if err != nil {
		return nil, err
	}
	items, err := r.iterate(v[0])
	if err != nil {
		return nil, err
	}
	parts := make([]string, len(items))
	for i, x := range items {
		var ok bool
		if parts[i], ok = x.(string); !ok {
			return nil, fmt.Errorf("sequence item %d: expected str instance, %s found", i, typeName(x))
		}
	}
	return r.join(s, parts...)
}

func zfill(r *run, s string, a *args) (any, error) {
	v, err := a.bind(1, "width")
	if err != nil {
		return nil, err
	}
	width, err := a.num(v[0], 0)
	if err != nil {
		return nil, err
	}
	zeros, err := r.repeat("0", width-utf8.RuneCountInString(s))
	if err != nil {
		return nil, err
	}
	if s != "" && (s[0] == '-' || s[0] == '+') {
		return s[:1] + zeros + s[1:], nil
	}
	return zeros + s, nil
}

// pad makes ljust (side 0), rjust (side 1) and center (side 2).
func pad(side int) method {
	return onString(func(r *run, s string, a *args) (any, error) {
		v, err := a.bind(1, "width", "fillchar")
		if err != nil {
			return nil, err
		}
		width, err := a.num(v[0], 0)
		if err != nil {
			return nil, err
		}
		fill, err := a.str(v[1], " ")
		if err != nil {
			return nil, err
		}
		if utf8.RuneCountInString(fill) != 1 {
			return nil, errors.New("the fill character must be exactly one character long")
		}
		margin := max(0, width-utf8.RuneCountInString(s))
		left := 0
		switch side {
		case 1:
			left = margin
		case 2:
			left = margin/2 + margin&width&1 // an odd one goes to the left if the width is odd
		}
		before, err := r.repeat(fill, left)
		if err != nil {
			return nil, err
		}
		after, err := r.repeat(fill, margin-left)
		if err != nil {
			return nil, err
		}
		return r.join("", before, s, after)
	})
}

func expandTabs(r *run, s string, a *args) (any, error) {
	v, err := a.bind(0, "tabsize")
	if err != nil {
		return nil, err
	}
	size, err := a.num(v[0], 8)
	if err != nil {
		return nil, err
	}
	var out strings.Builder
	column := 0
	for _, c := range s {
		switch {
		case c != '\t':
			out.WriteRune(c)
			if column++; c == '\n' || c == '\r' {
				column = 0
			}
		case size > 0:
			space, err := r.repeat(" ", size-column%size)
			if err != nil {
				return nil, err
			}
			out.WriteString(space)
			column += len(space)
		}
	}
	return out.String(), r.made(out.Len())
}
