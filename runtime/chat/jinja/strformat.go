package jinja

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"
)

// formatMethod is str.format.
func formatMethod(r *run, s string, a *args) (any, error) {
	var out []string
	auto := 0
	for s != "" {
		i := strings.IndexAny(s, "{}")
		if i < 0 {
			i = len(s)
		}
		out = append(out, s[:i])
		if s = s[i:]; s == "" {
			break
		}
		if err := r.step(1); err != nil {
			return nil, err
		}
		if len(s) > 1 && s[1] == s[0] {
			out, s = append(out, s[:1]), s[2:]
			continue
		}
		end := strings.IndexByte(s, '}')
		if s[0] == '}' || end < 0 {
			return nil, fmt.Errorf("single '%c' encountered in format string", s[0])
		}
		field, rest, _ := strings.Cut(s[1:end], ":")
		s = s[end+1:]
		field, conversion, _ := strings.Cut(field, "!")
		v, err := r.field(field, a, &auto)
		if err != nil {
			return nil, err
		}
		sp, err := formatSpec(rest)
		if err != nil {
			return nil, err
		}
		switch conversion {
		case "":
		case "s", "r":
			if v, err = r.format(v, spec{verb: conversion[0], precision: -1}); err != nil {
				return nil, err
			}
		default:
			return nil, fmt.Errorf("unknown conversion specifier '%s'", conversion)
		}
		piece, err := r.format(v, sp)
		if err != nil {
			return nil, err
		}
		out = append(out, piece)
	}
	return r.join("", out...)
}

// field finds the argument that a field of str.format names: "", "0", "name", "name.attribute", "0[key]".
func (r *run) field(field string, a *args, auto *int) (any, error) {
	end := strings.IndexAny(field, ".[")
	if end < 0 {
		end = len(field)
	}
	first, rest := field[:end], field[end:]
	var v any = absent{}
	i, err := strconv.Atoi(first)
	if first == "" {
		i, err = *auto, nil
		*auto++
	}
	switch {
	case err == nil && i >= 0 && i < len(a.pos):
		v = a.pos[i]
	case err == nil:
		return nil, fmt.Errorf("replacement index %d out of range for positional args tuple", i)
	}
	for k, name := range a.names {
		if err != nil && name == first {
			v = a.named[k]
		}
	}
	if !has(v) {
		return nil, fmt.Errorf("format() has no argument '%s'", first)
	}
	for rest != "" {
		if rest[0] == '.' {
			end := strings.IndexAny(rest[1:], ".[") + 1
			if end == 0 {
				end = len(rest)
			}
			v, err = r.attr(v, rest[1:end])
			rest = rest[end:]
		} else {
			end := strings.IndexByte(rest, ']')
			if end < 0 {
				return nil, errors.New("expected '}' before end of string")
			}
			key := any(rest[1:end])
			if n, bad := strconv.Atoi(rest[1:end]); bad == nil {
				key = n
			}
			v, err = r.item(v, key)
			rest = rest[end+1:]
		}
		if err != nil {
			return nil, err
		}
	}
	return v, nil
}

// formatSpec reads [[fill]align][sign][#][0][width][,][.precision][type].
func formatSpec(s string) (spec, error) {
	sp := spec{fill: ' ', precision: -1}
	_, w := utf8.DecodeRuneInString(s)
	switch {
	case len(s) > w && strings.IndexByte("<>^=", s[w]) >= 0:
		sp.fill, _ = utf8.DecodeRuneInString(s)
		sp.align, s = s[w], s[w+1:]
	case s != "" && strings.IndexByte("<>^=", s[0]) >= 0:
		sp.align, s = s[0], s[1:]
	}
	if s != "" && strings.IndexByte("+- ", s[0]) >= 0 {
		if s[0] != '-' {
			sp.sign = s[0]
		}
		s = s[1:]
	}
	if strings.HasPrefix(s, "#") {
		sp.alternate, s = true, s[1:]
	}
	if strings.HasPrefix(s, "0") && sp.align == 0 {
		sp.align, sp.fill = '=', '0'
	}
	n, size, err := digitsOf(s)
	if err != nil {
		return sp, err
	}
	sp.width, s = n, s[size:]
	if s != "" && (s[0] == ',' || s[0] == '_') {
		sp.comma, s = s[:1], s[1:]
	}
	if strings.HasPrefix(s, ".") {
		if n, size, err = digitsOf(s[1:]); err != nil {
			return sp, err
		}
		sp.precision, s = n, s[1+size:]
	}
	if len(s) > 1 {
		return sp, fmt.Errorf("invalid format specifier '%.20s'", s)
	}
	if s != "" {
		sp.verb = s[0]
	}
	return sp, nil
}
