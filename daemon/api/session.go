package api

import (
	"fmt"
	"strconv"
)

// MaxSessionBytes is the longest name of a session.
const MaxSessionBytes = 128

// validSession says whether text may name a session: letters, digits, `-`, `_`, `.` and `:`, so that a name stands in a URL and in a log as
// it is. It never becomes the name of a file.
func validSession(text string) bool {
	if len(text) == 0 || len(text) > MaxSessionBytes {
		return false
	}
	for i := range len(text) {
		switch c := text[i]; {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9', c == '-', c == '_', c == '.', c == ':':
		default:
			return false
		}
	}
	return true
}

func sessionName(dst *string) setter {
	return func(path string, v value) error {
		want := fmt.Sprintf("a name of 1 to %d letters, digits, -, _, . and :", MaxSessionBytes)
		if !v.isString() {
			return &FieldError{Field: path, Want: want, Got: v.String()}
		}
		name := v.text()
		if !validSession(name) {
			return &FieldError{Field: path, Want: want, Got: strconv.Quote(shorten(name))}
		}
		*dst = name
		return nil
	}
}
