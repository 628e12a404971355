package api

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
)

// A setter reads one field's value; path names the field in errors.
type setter func(path string, v value) error

// A table lists the fields an object may have.
type table map[string]setter

// read hands every member of the object v to its setter. A null is the same as an absent field; a field twice is an error, since
// readers differ about which of the two counts; a field that the table lacks is collected in ignored (which may be nil: then it is
// dropped).
func (t table) read(prefix string, v value, ignored *[]string) error {
	seen := make(map[string]bool)
	for name, member := range v.members() {
		path := prefix + name
		set, known := t[name]
		if !known {
			if ignored != nil && len(*ignored) < MaxIgnored {
				*ignored = append(*ignored, shorten(path))
			}
			continue
		}
		if seen[name] {
			return &FieldError{Field: path, Want: "the field once", Got: "it twice"}
		}
		seen[name] = true
		if member.isNull() {
			continue
		}
		if err := set(path, member); err != nil {
			return err
		}
	}
	return nil
}

// shorten cuts a field name that a stranger wrote down to what an answer and a log can bear.
func shorten(name string) string {
	if len(name) > maxIgnoredLength {
		name = strings.ToValidUTF8(name[:maxIgnoredLength], "") + "..."
	}
	return name
}

// text reads a string of at most limit bytes.
func text(dst *string, limit int) setter {
	return func(path string, v value) error {
		if !v.isString() {
			return &FieldError{Field: path, Want: "a string", Got: v.String()}
		}
		// An escape in the body is at most six times as long as what it stands for: what is too long is not even copied.
		if len(v) > 6*limit+2 {
			return &FieldError{Field: path, Want: fmt.Sprintf("a string of at most %d bytes", limit), Got: v.String()}
		}
		s := v.text()
		if len(s) > limit {
			return &FieldError{Field: path, Want: fmt.Sprintf("a string of at most %d bytes", limit), Got: v.String()}
		}
		*dst = s
		return nil
	}
}

func optionalText(dst **string, limit int) setter {
	return func(path string, v value) error {
		var s string
		if err := text(&s, limit)(path, v); err != nil {
			return err
		}
		*dst = &s
		return nil
	}
}

func boolean(dst *bool) setter {
	return func(path string, v value) error {
		if v[0] != 't' && v[0] != 'f' {
			return &FieldError{Field: path, Want: "true or false", Got: v.String()}
		}
		*dst = v[0] == 't'
		return nil
	}
}

func optionalBoolean(dst **bool) setter {
	return func(path string, v value) error {
		var b bool
		if err := boolean(&b)(path, v); err != nil {
			return err
		}
		*dst = &b
		return nil
	}
}

// number reads a floating-point number from low to high, both allowed.
func number(dst **float64, low, high float64) setter {
	return func(path string, v value) error {
		f, ok := v.float()
		if !ok || f < low || f > high {
			return &FieldError{Field: path, Want: fmt.Sprintf("a number from %g to %g", low, high), Got: v.String()}
		}
		*dst = &f
		return nil
	}
}

// positive reads a number above zero and at most high.
func positive(dst **float64, high float64) setter {
	return func(path string, v value) error {
		f, ok := v.float()
		if !ok || f <= 0 || f > high {
			return &FieldError{Field: path, Want: fmt.Sprintf("a number above 0 and at most %g", high), Got: v.String()}
		}
		*dst = &f
		return nil
	}
}

// integer reads a whole number from low to high, both allowed.
func integer(dst **int, low, high int64) setter {
	return func(path string, v value) error {
		n, err := v.integer(path, low, high)
		if err != nil {
			return err
		}
		i := int(n)
		*dst = &i
		return nil
	}
}

// unsupported refuses a field unless its value says what happens anyway.
func unsupported(reason string, harmless ...string) setter {
	return func(path string, v value) error {
		for _, h := range harmless {
			if string(v) == h {
				return nil
			}
		}
		return &UnsupportedError{Field: path, Reason: reason}
	}
}

// float is the value as a finite number. A literal such as 1e309 is valid JSON and no float64: it is refused here.
func (v value) float() (float64, bool) {
	if !v.isNumber() {
		return 0, false
	}
	f, err := strconv.ParseFloat(string(v), 64)
	return f, err == nil && !math.IsInf(f, 0)
}

// integer is the value as a whole number from low to high. 16.0 and 1.6e1 are whole numbers, as for other servers' decoders, up to
// 2^53; 16.5 is none.
func (v value) integer(path string, low, high int64) (int64, error) {
	bad := func() error {
		return &FieldError{Field: path, Want: fmt.Sprintf("a whole number from %d to %d", low, high), Got: v.String()}
	}
	if !v.isNumber() {
		return 0, bad()
	}
	n, err := strconv.ParseInt(string(v), 10, 64)
	if errors.Is(err, strconv.ErrSyntax) {
		f, ok := v.float()
		if !ok || f != math.Trunc(f) || math.Abs(f) > 1<<53 {
			return 0, bad()
		}
		n, err = int64(f), nil
	}
	if err != nil || n < low || n > high {
		return 0, bad()
	}
	return n, nil
}

// tokenIDs reads an array of token ids.
func tokenIDs(dst *[]int32) setter {
	return func(path string, v value) error {
		if !v.isArray() {
			return &FieldError{Field: path, Want: "an array of token ids", Got: v.String()}
		}
		ids := []int32{}
		for i, e := range v.elements() {
			// The common case, a short run of digits, is read without the path that only an error needs.
			if n, err := strconv.ParseInt(string(e), 10, 32); err == nil && n >= 0 {
				ids = append(ids, int32(n))
				continue
			}
			n, err := e.integer(fmt.Sprintf("%s[%d]", path, i), 0, MaxTokenID)
			if err != nil {
				return err
			}
			ids = append(ids, int32(n))
		}
		*dst = ids
		return nil
	}
}
