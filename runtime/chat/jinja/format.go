package jinja

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"unicode/utf8"
)

// spec is how a value is to be formatted, by % or by str.format.
type spec struct {
	fill      rune
	align     byte // '<', '>', '^', '=' or 0
	sign      byte // '+', ' ' or 0
	alternate bool
	width     int
	comma     string // between groups of three digits
	precision int    // -1: not given
	verb      byte   // 0: by the value's type
}

// maxPrecision bounds the digits of a number, far beyond what a float64 has.
const maxPrecision = 400

// format writes a value.
func (r *run) format(v any, sp spec) (string, error) {
	if sp.precision > maxPrecision && sp.verb != 's' && sp.verb != 'r' {
		return "", fmt.Errorf("a precision of %d is too large: at most %d digits are written", sp.precision, maxPrecision)
	}
	prefix, body := "", ""
	n, isInt := integer(v)
	f, isNum := number(v)
	if isNum {
		if _, isBool := v.(bool); isBool && sp.verb == 0 {
			isNum = false // str.format writes True
		}
	}
	verb := sp.verb
	if verb == 0 {
		switch {
		case isNum && isInt:
			verb = 'd'
		case isNum && sp.precision >= 0:
			verb = 'g'
		}
	}
	switch verb {
	case 0, 's', 'r':
		var err error
		if verb == 'r' {
			body, err = r.repr(v)
		} else {
			body, err = r.str(v)
		}
		if err != nil {
			return "", err
		}
		if verb == 0 && isNum { // a float as it is printed
			if prefix = signOf(f, sp.sign); strings.HasPrefix(body, "-") {
				body = body[1:]
			}
			break
		}
		if sp.precision >= 0 && sp.precision < utf8.RuneCountInString(body) {
			body = string([]rune(body)[:sp.precision])
		}
	case 'd', 'i', 'u', 'x', 'X', 'o', 'b':
		if !isNum || !isInt && strings.IndexByte("xXob", verb) >= 0 || math.Abs(f) >= 1<<63 {
			return "", fmt.Errorf("the format %c does not fit a value of type '%s'", verb, typeName(v))
		}
		if !isInt {
			n = int(f)
		}
		base := map[byte]int{'x': 16, 'X': 16, 'o': 8, 'b': 2}[verb]
		if base == 0 {
			base = 10
		}
		body = strings.TrimPrefix(strconv.FormatInt(int64(n), base), "-")
		if verb == 'X' {
			body = strings.ToUpper(body)
		}
		if prefix = signOf(f, sp.sign); sp.alternate && base != 10 {
			prefix += "0" + string(verb)
		}
		if sp.precision > len(body) {
			body = strings.Repeat("0", sp.precision-len(body)) + body
		}
		body = grouped(body, sp.comma)
	case 'f', 'F', 'e', 'E', 'g', 'G', '%':
		if !isNum {
			return "", fmt.Errorf("the format %c does not fit a value of type '%s'", verb, typeName(v))
		}
		digits := sp.precision
		if digits < 0 {
			digits = 6
		}
		prefix, body = signOf(f, sp.sign), floatDigits(math.Abs(f), verb, digits)
		body = grouped(body, sp.comma)
	case 'c':
		s, isText := v.(string)
		switch {
		case isInt && n >= 0 && n <= utf8.MaxRune:
			body = string(rune(n))
		case isText && utf8.RuneCountInString(s) == 1:
			body = s
		default:
			return "", errors.New("%c requires int or char")
		}
	default:
		return "", fmt.Errorf("unsupported format character '%c'", verb)
	}
	return r.padded(prefix, body, sp, isNum)
}

func signOf(f float64, plus byte) string {
	switch {
	case math.Signbit(f):
		return "-"
	case plus != 0:
		return string(plus)
	}
	return ""
}

// floatDigits writes a number that is not negative.
func floatDigits(f float64, verb byte, digits int) string {
	if math.IsInf(f, 0) || math.IsNaN(f) {
		return map[bool]string{true: "inf", false: "nan"}[math.IsInf(f, 0)]
	}
	switch verb {
	case '%':
		return strconv.FormatFloat(f*100, 'f', digits, 64) + "%"
	case 'F':
		verb = 'f'
	case 'g', 'G':
		digits = max(1, digits)
		mantissa, exp, _ := strings.Cut(strconv.FormatFloat(f, 'e', digits-1, 64), "e")
		x, _ := strconv.Atoi(exp)
		if x >= -4 && x < digits {
			mantissa, exp = strconv.FormatFloat(f, 'f', digits-1-x, 64), ""
		}
		if strings.Contains(mantissa, ".") {
			mantissa = strings.TrimRight(strings.TrimRight(mantissa, "0"), ".")
		}
		if exp == "" {
			return mantissa
		}
		return mantissa + string(verb-'g'+'e') + exp
	}
	return strconv.FormatFloat(f, verb, digits, 64)
}

// grouped puts a separator between groups of three digits before the point.
func grouped(s, sep string) string {
	if sep == "" {
		return s
	}
	whole, frac := s, ""
	if i := strings.IndexAny(s, ".e%"); i >= 0 {
		whole, frac = s[:i], s[i:]
	}
	for i := len(whole) - 3; i > 0; i -= 3 {
		whole = whole[:i] + sep + whole[i:]
	}
	return whole + frac
}

func (r *run) padded(prefix, body string, sp spec, isNum bool) (string, error) {
	margin := sp.width - utf8.RuneCountInString(prefix) - utf8.RuneCountInString(body)
	if margin <= 0 {
		return r.join("", prefix, body)
	}
	align := sp.align
	if align == 0 {
		align = '<'
		if isNum {
			align = '>'
		}
	}
	left := 0
	switch align {
	case '>':
		left = margin
	case '^':
		left = margin / 2
	}
	if align == '=' {
		fill, err := r.repeat(string(sp.fill), margin)
		if err != nil {
			return "", err
		}
		return r.join("", prefix, fill, body)
	}
	before, err := r.repeat(string(sp.fill), left)
	if err != nil {
		return "", err
	}
	after, err := r.repeat(string(sp.fill), margin-left)
	if err != nil {
		return "", err
	}
	return r.join("", before, prefix, body, after)
}

// percent is Python's text % value: a tuple is taken apart, a mapping is asked by name.
func (r *run) percent(s string, v any) (string, error) {
	vals, isTuple := v.(tuple)
	if !isTuple {
		vals = tuple{v}
	}
	mapping, _ := v.(*Dict)
	next := func() (any, error) {
		if len(vals) == 0 {
			return nil, errors.New("not enough arguments for format string")
		}
		x := vals[0]
		vals = vals[1:]
		return x, nil
	}
	var out []string
	for {
		before, rest, found := strings.Cut(s, "%")
		out = append(out, before)
		if !found {
			break
		}
		if err := r.step(1); err != nil {
			return "", err
		}
		var x any
		named := false
		if strings.HasPrefix(rest, "(") {
			end := strings.IndexByte(rest, ')')
			if mapping == nil || end < 0 {
				return "", errors.New("format requires a mapping")
			}
			if x, named = mapping.get(rest[1:end]); !named {
				return "", fmt.Errorf("the mapping has no key %q", rest[1:end])
			}
			rest, vals = rest[end+1:], nil
		}
		sp, n, err := percentSpec(rest, next)
		if err != nil {
			return "", err
		}
		s = rest[n:]
		if sp.verb == '%' {
			out = append(out, "%")
			continue
		}
		if !named {
			if x, err = next(); err != nil {
				return "", err
			}
		}
		piece, err := r.format(x, sp)
		if err != nil {
			return "", err
		}
		out = append(out, piece)
	}
	if len(vals) > 0 && mapping == nil {
		return "", errors.New("not all arguments converted during string formatting")
	}
	return r.join("", out...)
}

// percentSpec reads what stands between % and its verb, verb included, and returns its length.
func percentSpec(s string, next func() (any, error)) (spec, int, error) {
	sp := spec{fill: ' ', align: '>', precision: -1}
	i := 0
	for ; i < len(s) && strings.IndexByte("-+ 0#", s[i]) >= 0; i++ {
		switch s[i] {
		case '-':
			sp.align, sp.fill = '<', ' '
		case '0':
			if sp.align != '<' {
				sp.align, sp.fill = '=', '0'
			}
		case '#':
			sp.alternate = true
		default:
			sp.sign = s[i]
		}
	}
	count := func(to *int) error {
		if i < len(s) && s[i] == '*' {
			i++
			v, err := next()
			n, ok := integer(v)
			if err == nil && (!ok || n < 0) {
				err = errors.New("* wants a positive integer")
			}
			*to = n
			return err
		}
		n, size, err := digitsOf(s[i:])
		*to = n
		i += size
		return err
	}
	if err := count(&sp.width); err != nil {
		return sp, 0, err
	}
	if i < len(s) && s[i] == '.' {
		i++
		if err := count(&sp.precision); err != nil {
			return sp, 0, err
		}
	}
	for i < len(s) && strings.IndexByte("hlL", s[i]) >= 0 {
		i++
	}
	if i == len(s) {
		return sp, 0, errors.New("incomplete format")
	}
	sp.verb = s[i]
	if sp.align == '=' && strings.IndexByte("src", sp.verb) >= 0 {
		sp.align, sp.fill = '>', ' '
	}
	return sp, i + 1, nil
}

// digitsOf reads a number at the beginning of s.
func digitsOf(s string) (n, size int, err error) {
	size = digits(strings.ReplaceAll(s, "_", " "), isDigit)
	if size == 0 {
		return 0, 0, nil
	}
	if n, err = strconv.Atoi(s[:size]); err != nil {
		return 0, 0, errors.New("a width or a precision is too large")
	}
	return n, size, nil
}
