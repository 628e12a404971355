package jinja

import (
	"errors"
	"strings"
	"unicode/utf8"
)

// split makes split and rsplit.
func split(fromRight bool) method {
	return onString(func(r *run, s string, a *args) (any, error) {
		v, err := a.bind(0, "sep", "maxsplit")
		if err != nil {
			return nil, err
		}
		most, err := a.num(v[1], -1)
		if err != nil {
			return nil, err
		}
		if most < 0 || most > len(s) {
			most = len(s)
		}
		sep, space := "", !some(v[0])
		if !space {
			if sep, err = a.str(v[0], ""); err != nil {
				return nil, err
			}
			if sep == "" {
				return nil, errors.New("empty separator")
			}
			// The parts are counted before they are laid out.
			if err := r.step(min(most, strings.Count(s, sep)) + 1); err != nil {
				return nil, err
			}
		} else if err := r.step(len(s)/16 + words(s)); err != nil {
			return nil, err
		}
		var parts []string
		switch {
		case space:
			parts = splitSpace(s, most, fromRight)
		case fromRight:
			parts = splitRight(s, sep, most)
		default:
			parts = strings.SplitN(s, sep, most+1)
		}
		return values(parts), nil
	})
}

// words counts the runs of what is no whitespace.
func words(s string) int {
	n, inside := 0, false
	for _, c := range s {
		if space := isSpace(c); space == inside {
			if inside = !space; inside {
				n++
			}
		}
	}
	return n
}

func values(parts []string) list {
	out := make(list, len(parts))
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

func splitLines(r *run, s string, a *args) (any, error) {
	v, err := a.bind(0, "keepends")
	if err != nil {
		return nil, err
	}
	if err := r.step(len(s) / 16); err != nil {
		return nil, err
	}
	parts := lines(s, flag(v[0]))
	return values(parts), r.step(len(parts))
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

func partition(search func(s, sep string) int, last bool) method {
	return onString(func(_ *run, s string, a *args) (any, error) {
		v, err := a.bind(1, "sep")
		if err != nil {
			return nil, err
		}
		sep, err := a.str(v[0], "")
		if err != nil {
			return nil, err
		}
		if sep == "" {
			return nil, errors.New("empty separator")
		}
		at := search(s, sep)
		switch {
		case at >= 0:
			return tuple{s[:at], sep, s[at+len(sep):]}, nil
		case last:
			return tuple{"", "", s}, nil
		}
		return tuple{s, "", ""}, nil
	})
}
