package api

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
)

// value is one JSON value inside a body that parse has found valid: a slice of that body without the white space around it. The
// body is never turned into a tree, because a prompt of a million token ids would become a hundred million bytes; each field reads
// its own slice instead.
type value []byte

// parse checks that body is one JSON object within the limit of depth.
func (l Limits) parse(body []byte) (value, error) {
	if !json.Valid(body) {
		return nil, fmt.Errorf("%w is not valid JSON: %w", ErrBody, syntaxError(body))
	}
	v := value(bytes.TrimSpace(body))
	if v[0] != '{' {
		return nil, fmt.Errorf("%w: want a JSON object, got %s", ErrBody, v.kind())
	}
	if d := v.depth(); d > l.Depth {
		return nil, fmt.Errorf("%w: nested %d deep, limit is %d", ErrBody, d, l.Depth)
	}
	return v, nil
}

// syntaxError says where an invalid body stops being JSON.
func syntaxError(body []byte) error {
	dec := json.NewDecoder(bytes.NewReader(body))
	for {
		var raw json.RawMessage
		err := dec.Decode(&raw)
		if err == nil {
			// One value was read whole: what makes the body invalid stands behind it.
			rest := bytes.TrimSpace(body[dec.InputOffset():])
			return fmt.Errorf("something follows the object at byte %d", len(body)-len(rest))
		}
		var syntax *json.SyntaxError
		switch {
		case errors.As(err, &syntax):
			return fmt.Errorf("%s at byte %d", syntax.Error(), syntax.Offset)
		case errors.Is(err, io.EOF):
			return errors.New("it is empty")
		case errors.Is(err, io.ErrUnexpectedEOF):
			return fmt.Errorf("it ends at byte %d inside a value", len(body))
		default:
			return err
		}
	}
}

// kind names the value's JSON type as error messages say it.
func (v value) kind() string {
	switch v[0] {
	case '{':
		return "an object"
	case '[':
		return "an array"
	case '"':
		return "a string"
	case 't', 'f':
		return "a boolean"
	case 'n':
		return "null"
	default:
		return "a number"
	}
}

// String describes the value for an error message: its type and as much of it as is short. Strings are described by length
// alone, because they may be a user's text, which is never logged.
func (v value) String() string {
	switch v[0] {
	case '"':
		return fmt.Sprintf("a string of %d bytes", len(v)-2)
	case '{', '[', 'n':
		return v.kind()
	case 't', 'f':
		return "the boolean " + string(v)
	}
	if len(v) > maxQuotedBytes {
		return fmt.Sprintf("a number of %d digits", len(v))
	}
	return "the number " + string(v)
}

func (v value) isNull() bool   { return v[0] == 'n' }
func (v value) isString() bool { return v[0] == '"' }
func (v value) isArray() bool  { return v[0] == '[' }
func (v value) isObject() bool { return v[0] == '{' }
func (v value) isNumber() bool { return v[0] == '-' || v[0] >= '0' && v[0] <= '9' }

// depth counts the nesting of arrays and objects.
func (v value) depth() int {
	deepest, now := 0, 0
	for i := 0; i < len(v); i++ {
		switch v[i] {
		case '"':
			i = skipString(v, i) - 1
		case '{', '[':
			now++
			deepest = max(deepest, now)
		case '}', ']':
			now--
		}
	}
	return deepest
}

// elements yields the values of an array in order.
func (v value) elements() iter.Seq2[int, value] {
	return func(yield func(int, value) bool) {
		i := skipSpace(v, 1)
		for n := 0; v[i] != ']'; n++ {
			end := skipValue(v, i)
			if !yield(n, v[i:end]) {
				return
			}
			i = skipSeparator(v, end)
		}
	}
}

// members yields an object's names and values in the order of the body.
func (v value) members() iter.Seq2[string, value] {
	return func(yield func(string, value) bool) {
		i := skipSpace(v, 1)
		for v[i] != '}' {
			end := skipString(v, i)
			name := v[i:end].text()
			i = skipSpace(v, end)
			i = skipSpace(v, i+1) // the colon
			end = skipValue(v, i)
			if !yield(name, v[i:end]) {
				return
			}
			i = skipSeparator(v, end)
		}
	}
}

// text is the content of a string value. Bytes that are no UTF-8 become U+FFFD, as encoding/json does it.
func (v value) text() string {
	plain := v[1 : len(v)-1]
	ascii := true
	for _, c := range plain {
		if c == '\\' || c >= 0x80 {
			ascii = false
			break
		}
	}
	if ascii {
		return string(plain)
	}
	var s string
	if err := json.Unmarshal(v, &s); err != nil {
		panic("BUG: api: a checked string does not decode: " + err.Error())
	}
	return s
}

// raw is the value as it stands in the body, for what Weft hands on without looking into it.
func (v value) raw() json.RawMessage { return json.RawMessage(v) }

func skipSpace(b []byte, i int) int {
	for b[i] == ' ' || b[i] == '\t' || b[i] == '\n' || b[i] == '\r' {
		i++
	}
	return i
}

// skipSeparator steps over white space, and a comma with the white space behind it, to the next element or the closing bracket.
func skipSeparator(b []byte, i int) int {
	i = skipSpace(b, i)
	if b[i] == ',' {
		i = skipSpace(b, i+1)
	}
	return i
}

// skipString returns the index behind the string that begins at i.
func skipString(b []byte, i int) int {
	for i++; b[i] != '"'; i++ {
		if b[i] == '\\' {
			i++
		}
	}
	return i + 1
}

// skipValue returns the index behind the value that begins at i.
func skipValue(b []byte, i int) int {
	switch b[i] {
	case '"':
		return skipString(b, i)
	case '{', '[':
		for depth := 0; ; {
			switch b[i] {
			case '"':
				i = skipString(b, i)
				continue
			case '{', '[':
				depth++
			case '}', ']':
				depth--
			}
			i++
			if depth == 0 {
				return i
			}
		}
	}
	for ; i < len(b); i++ {
		switch b[i] {
		case ' ', '\t', '\r', '\n', ',', ']', '}':
			return i
		}
	}
	return i
}
