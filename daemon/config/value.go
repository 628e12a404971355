package config

import (
	"fmt"
	"log/slog"
	"slices"
	"strconv"
	"strings"
	"time"
)

// assign stores v, which is a TOML value, or the text of a flag or variable, in the setting.
func (s setting) assign(v any) error {
	err := s.store(v)
	if err != nil {
		return fmt.Errorf("%s: %w", s.key, err)
	}
	return nil
}

func (s setting) store(v any) error {
	text, isText := v.(string)
	switch to := s.to.(type) {
	case *string:
		if !isText {
			return wrongType("a string", v)
		}
		if s.choices != nil && !slices.Contains(s.choices, text) {
			return fmt.Errorf("%w: %q is none of %s", ErrValue, text, strings.Join(s.choices, ", "))
		}
		*to = text
	case *bool:
		b, ok := v.(bool)
		if isText {
			var err error
			b, err = strconv.ParseBool(text)
			ok = err == nil
		}
		if !ok {
			return wrongType("true or false", v)
		}
		*to = b
	case *int:
		n, ok := v.(int64)
		if isText {
			var err error
			n, err = strconv.ParseInt(text, 10, 64)
			ok = err == nil
		}
		if !ok {
			return wrongType("a whole number", v)
		}
		if n < s.min || n > s.max {
			return fmt.Errorf("%w: %d is outside %d to %d", ErrValue, n, s.min, s.max)
		}
		*to = int(n)
	case *time.Duration:
		if !isText {
			return wrongType("a time such as \"30s\"", v)
		}
		d, err := time.ParseDuration(text)
		if err != nil {
			return wrongType("a time such as \"30s\"", v)
		}
		if int64(d) < s.min || int64(d) > s.max {
			return fmt.Errorf("%w: %v is outside %v to %v", ErrValue, d, time.Duration(s.min), time.Duration(s.max))
		}
		*to = d
	case *Size:
		if n, ok := v.(int64); ok {
			text, isText = strconv.FormatInt(n, 10), true
		}
		if !isText {
			return wrongType("a size such as \"4GiB\"", v)
		}
		size, err := ParseSize(text)
		if err != nil {
			return err
		}
		*to = size
	case *slog.Level:
		if !isText {
			return wrongType("a string", v)
		}
		level, ok := levels[strings.ToLower(text)]
		if !ok {
			return fmt.Errorf("%w: %q is none of debug, info, warn, error", ErrValue, text)
		}
		*to = level
	case *[]Address:
		texts, err := list(v)
		if err != nil {
			return err
		}
		if *to, err = addresses(texts); err != nil {
			return err
		}
	case *[]string:
		texts, err := list(v)
		if err != nil {
			return err
		}
		*to = texts
	default:
		panic(fmt.Sprintf("BUG: config: setting %s has type %T", s.key, s.to))
	}
	return nil
}

// levels are the names of the log levels.
var levels = map[string]slog.Level{"debug": slog.LevelDebug, "info": slog.LevelInfo, "warn": slog.LevelWarn, "error": slog.LevelError}

// list reads a list of strings from a TOML array, one string, or text with commas.
func list(v any) ([]string, error) {
	switch v := v.(type) {
	case string:
		texts := strings.Split(v, ",")
		for i := range texts {
			texts[i] = strings.TrimSpace(texts[i])
		}
		return texts, nil
	case []string:
		return v, nil
	case []any:
		var texts []string // stays nil when there is none
		for _, e := range v {
			text, ok := e.(string)
			if !ok {
				return nil, wrongType("a list of strings", v)
			}
			texts = append(texts, text)
		}
		return texts, nil
	}
	return nil, wrongType("a list of strings", v)
}

// addresses reads the addresses of listeners.
func addresses(texts []string) ([]Address, error) {
	all := make([]Address, 0, len(texts))
	for _, text := range texts {
		a, err := ParseAddress(text)
		if err != nil {
			return nil, err
		}
		if slices.Contains(all, a) {
			return nil, fmt.Errorf("%w: %v is listed twice", ErrValue, a)
		}
		all = append(all, a)
	}
	return all, nil
}

func wrongType(want string, got any) error {
	if text, ok := got.(string); ok {
		return fmt.Errorf("%w: %q is not %s", ErrValue, text, want)
	}
	return fmt.Errorf("%w: %v is not %s", ErrValue, got, want)
}

// format returns the setting's value as TOML.
func (s setting) format() string {
	switch to := s.to.(type) {
	case *string:
		return quote(*to)
	case *bool:
		return strconv.FormatBool(*to)
	case *int:
		return strconv.Itoa(*to)
	case *time.Duration:
		return quote(shortDuration(*to))
	case *Size:
		return quote(to.String())
	case *slog.Level:
		return quote(strings.ToLower(to.String()))
	case *[]Address:
		texts := make([]string, len(*to))
		for i, a := range *to {
			texts[i] = quote(a.String())
		}
		return "[" + strings.Join(texts, ", ") + "]"
	case *[]string:
		texts := make([]string, len(*to))
		for i, text := range *to {
			texts[i] = quote(text)
		}
		return "[" + strings.Join(texts, ", ") + "]"
	}
	panic(fmt.Sprintf("BUG: config: setting %s has type %T", s.key, s.to))
}

// quote returns text as a TOML basic string. Go's escapes are TOML's, but for control characters.
func quote(text string) string {
	var b strings.Builder
	b.WriteByte('"')
	for _, r := range text {
		switch {
		case r == '"' || r == '\\':
			b.WriteByte('\\')
			b.WriteRune(r)
		case r < 0x20 || r == 0x7f:
			fmt.Fprintf(&b, "\\u%04X", r)
		default:
			b.WriteRune(r)
		}
	}
	b.WriteByte('"')
	return b.String()
}

// shortDuration drops the zero units that Duration.String writes: "2m0s" is "2m".
func shortDuration(d time.Duration) string {
	text := d.String()
	if strings.HasSuffix(text, "m0s") {
		text = strings.TrimSuffix(text, "0s")
	}
	if strings.HasSuffix(text, "h0m") {
		text = strings.TrimSuffix(text, "0m")
	}
	return text
}
