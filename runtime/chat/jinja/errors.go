package jinja

import (
	"errors"
	"fmt"
)

var (
	// ErrLimit says that a template went beyond its limits.
	ErrLimit = errors.New("beyond a limit")
	// ErrStopped says that the context ended the rendering; the context's cause is wrapped beside it.
	ErrStopped = errors.New("the rendering was stopped")
)

// Error is what went wrong at a line of a template, in parsing or in rendering.
type Error struct {
	Line int
	Err  error
}

func (e *Error) Error() string { return fmt.Sprintf("line %d: %v", e.Line, e.Err) }

func (e *Error) Unwrap() error { return e.Err }

// at gives an error the line of the innermost place it comes from.
func at(line int, err error) error {
	var located *Error
	if err == nil || errors.As(err, &located) {
		return err
	}
	return &Error{line, err}
}
