// Package strictjson owns one question: may this JSON text from a stranger be given to encoding/json? It bounds depth and the number of
// values and refuses what readers understand differently: a key that is there twice, and text that is not UTF-8. What the values
// mean, and how many bytes may be read at all, is its callers' affair: safetensors headers and the configuration of adapters.
package strictjson

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"unicode/utf8"
)

// ErrInvalid is the class of all refusals.
var ErrInvalid = errors.New("not acceptable as JSON")

// Limits bounds a text.
type Limits struct {
	Depth  int // arrays and objects inside each other; 1 is an object of scalars
	Values int // scalars, arrays and objects, keys not counted
}

// CheckObject says whether text is one JSON object within the limits, nothing behind it but white space. The error names the key or
// the offset.
func CheckObject(text []byte, lim Limits) error {
	if !utf8.Valid(text) {
		return refuse("it is not UTF-8")
	}
	if !json.Valid(text) {
		var any json.RawMessage
		err := json.Unmarshal(text, &any)
		return refuse("%v", err)
	}
	dec := json.NewDecoder(bytes.NewReader(text))
	dec.UseNumber()
	c := checker{dec: dec, lim: lim}
	if first, err := dec.Token(); err != nil || first != json.Delim('{') {
		return refuse("it is %v at its beginning, want an object", first)
	}
	return c.object()
}

func refuse(format string, args ...any) error {
	return fmt.Errorf("%w: %s", ErrInvalid, fmt.Sprintf(format, args...))
}

type checker struct {
	dec    *json.Decoder
	lim    Limits
	depth  int
	values int
}

// object walks through an object whose brace has been read. The text is known to be valid, so that only limits can be broken.
func (c *checker) object() error {
	if err := c.enter(); err != nil {
		return err
	}
	keys := map[string]bool{}
	for c.dec.More() {
		token, err := c.dec.Token()
		if err != nil {
			return c.broken(err)
		}
		key := token.(string)
		if keys[key] {
			return refuse("key %.80q is there twice, the second time before offset %d", key, c.dec.InputOffset())
		}
		keys[key] = true
		if err := c.value(); err != nil {
			return err
		}
	}
	return c.leave()
}

func (c *checker) array() error {
	if err := c.enter(); err != nil {
		return err
	}
	for c.dec.More() {
		if err := c.value(); err != nil {
			return err
		}
	}
	return c.leave()
}

func (c *checker) value() error {
	if c.values++; c.values > c.lim.Values {
		return refuse("more than %d values, at offset %d", c.lim.Values, c.dec.InputOffset())
	}
	token, err := c.dec.Token()
	switch {
	case err != nil:
		return c.broken(err)
	case token == json.Delim('{'):
		return c.object()
	case token == json.Delim('['):
		return c.array()
	}
	return nil
}

func (c *checker) enter() error {
	if c.depth++; c.depth > c.lim.Depth {
		return refuse("nested more than %d deep, at offset %d", c.lim.Depth, c.dec.InputOffset())
	}
	return nil
}

// leave reads the closing brace or bracket.
func (c *checker) leave() error {
	c.depth--
	if _, err := c.dec.Token(); err != nil {
		return c.broken(err)
	}
	return nil
}

func (c *checker) broken(err error) error {
	if errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	return refuse("at offset %d: %v", c.dec.InputOffset(), err)
}
