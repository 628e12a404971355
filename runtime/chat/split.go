package chat

import (
	"errors"
	"strings"
	"unicode/utf8"
)

// split makes split and rsplit.
func split(fromRight bool) stringMethod {
	return func(c *call, s string) (any, error) {
		a, err := c.bind(0, "sep", "maxsplit")
		if err != nil {
			return nil, err
		}
		most, err := c.num(a[1], -1)
		if err != nil {
			return nil, err
		}
		if most < 0 || most > len(s) {
			most = len(s)
		}
		if err := c.steps(len(s) / 256); err != nil {
			return nil, err
		}
		var parts []string
		if a[0] == nil || isNone(a[0]) {
			parts = splitSpace(s, most, fromRight)
		} else {
			sep, err := c.str(a[0], "")
			if err != nil {
				return nil, err
			}
			if sep == "" {
				return nil, errors.New("empty separator")
			}
			if fromRight {
				parts = splitRight(s, sep, most)
			} else {
				parts = strings.SplitN(s, sep, most+1)
			}
		}
		return values(parts), c.steps(len(parts))
	}
}

func values(parts []string) []any {
	out := make([]any, len(parts))
	for i, p := range parts {
		out[i] = p
	}
	return out
}

func splitRight(s, sep string, most int) []string {
	var back []string
	for ; most > 0; most-- {
		at := strings.LastIndex(s, sep)
		if at < 0 {
			break
		}
		back = append(back, s[at+len(sep):])
		s = s[:at]
	}
	out := []string{s}
	for i := len(back) - 1; i >= 0; i-- {
		out = append(out, back[i])
	}
	return out
}

// splitSpace splits at runs of whitespace, without empty parts.
func splitSpace(s string, most int, fromRight bool) []string {
	var out []string
	if fromRight {
		for s = strings.TrimRightFunc(s, isSpace); s != ""; s = strings.TrimRightFunc(s, isSpace) {
			at := strings.LastIndexFunc(s, isSpace)
			if at < 0 || len(out) == most {
				out = append(out, s)
				break
			}
			_, n := utf8.DecodeRuneInString(s[at:])
			out = append(out, s[at+n:])
			s = s[:at]
		}
		for i, j := 0, len(out)-1; i < j; i, j = i+1, j-1 {
			out[i], out[j] = out[j], out[i]
		}
		return out
	}
	for s = strings.TrimLeftFunc(s, isSpace); s != ""; s = strings.TrimLeftFunc(s, isSpace) {
		at := strings.IndexFunc(s, isSpace)
		if at < 0 || len(out) == most {
			return append(out, s)
		}
		out = append(out, s[:at])
		s = s[at:]
	}
	return out
}

func splitLines(c *call, s string) (any, error) {
	a, err := c.bind(0, "keepends")
	if err != nil {
		return nil, err
	}
	lines := lines(s, a[0] != nil && a[0].IsTrue())
	return values(lines), c.steps(len(lines) + len(s)/256)
}

func lines(s string, keepEnds bool) []string {
	var out []string
	for s != "" {
		at := strings.IndexFunc(s, func(r rune) bool {
			return '\n' <= r && r <= '\r' || 0x1C <= r && r <= 0x1E || r == 0x85 || r == 0x2028 || r == 0x2029
		})
		if at < 0 {
			return append(out, s)
		}
		_, n := utf8.DecodeRuneInString(s[at:])
		if strings.HasPrefix(s[at:], "\r\n") {
			n = 2
		}
		if keepEnds {
			out = append(out, s[:at+n])
		} else {
			out = append(out, s[:at])
		}
		s = s[at+n:]
	}
	return out
}

func partition(search func(s, sep string) int, last bool) stringMethod {
	return func(c *call, s string) (any, error) {
		a, err := c.bind(1, "sep")
		if err != nil {
			return nil, err
		}
		sep, err := c.str(a[0], "")
		if err != nil {
			return nil, err
		}
		if sep == "" {
			return nil, errors.New("empty separator")
		}
		at := search(s, sep)
		switch {
		case at >= 0:
			return []any{s[:at], sep, s[at+len(sep):]}, nil
		case last:
			return []any{"", "", s}, nil
		}
		return []any{s, "", ""}, nil
	}
}

func trimAffix(f func(s, x string) string) stringMethod {
	return func(c *call, s string) (any, error) {
		a, err := c.bind(1, "affix")
		if err != nil {
			return nil, err
		}
		x, err := c.str(a[0], "")
		return f(s, x), err
	}
}

func replaceMethod(c *call, s string) (any, error) {
	a, err := c.bind(2, "old", "new", "count")
	if err != nil {
		return nil, err
	}
	from, err := c.str(a[0], "")
	if err != nil {
		return nil, err
	}
	to, err := c.str(a[1], "")
	if err != nil {
		return nil, err
	}
	most, err := c.num(a[2], -1)
	if err != nil {
		return nil, err
	}
	n := strings.Count(s, from)
	if most >= 0 {
		n = min(n, most)
	}
	if len(to) > 0 && n > maxTextBytes/len(to) {
		return nil, c.refuse("bytes of text", maxTextBytes)
	}
	if err := c.made(len(s) + n*len(to)); err != nil {
		return nil, err
	}
	return strings.Replace(s, from, to, n), nil
}

func countMethod(c *call, s string) (any, error) {
	sub, part, _, err := c.within(s)
	if err != nil {
		return nil, err
	}
	x, err := c.str(sub, "")
	return strings.Count(part, x), err
}

func joinMethod(c *call, s string) (any, error) {
	a, err := c.bind(1, "iterable")
	if err != nil {
		return nil, err
	}
	items, err := iterate(c.budget, a[0])
	if err != nil {
		return nil, err
	}
	parts := make([]string, len(items))
	for i, x := range items {
		if !x.IsString() {
			return nil, errors.New("join(): an item is no string")
		}
		parts[i] = x.String()
	}
	return c.join(s, parts...)
}

func zfill(c *call, s string) (any, error) {
	a, err := c.bind(1, "width")
	if err != nil {
		return nil, err
	}
	width, err := c.num(a[0], 0)
	if err != nil {
		return nil, err
	}
	zeros, err := c.repeat("0", width-utf8.RuneCountInString(s))
	if err != nil {
		return nil, err
	}
	if s != "" && (s[0] == '-' || s[0] == '+') {
		return s[:1] + zeros + s[1:], nil
	}
	return zeros + s, nil
}

// pad makes ljust (side 0) and rjust (side 1).
func pad(side int) stringMethod {
	return func(c *call, s string) (any, error) {
		a, err := c.bind(1, "width", "fillchar")
		if err != nil {
			return nil, err
		}
		width, err := c.num(a[0], 0)
		if err != nil {
			return nil, err
		}
		fill, err := c.str(a[1], " ")
		if err != nil {
			return nil, err
		}
		if utf8.RuneCountInString(fill) != 1 {
			return nil, errors.New("the fill character must be exactly one character long")
		}
		margin, err := c.repeat(fill, width-utf8.RuneCountInString(s))
		if err != nil {
			return nil, err
		}
		if side == 0 {
			return s + margin, nil
		}
		return margin + s, nil
	}
}
