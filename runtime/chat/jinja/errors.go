package jinja

import (
	"errors"
	"fmt"
	"strings"
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

// maxReason bounds what is said of a template, whose names may be as long as it is.
const maxReason = 250

func (e *Error) Error() string {
	reason := e.Err.Error()
	if len(reason) > maxReason {
		reason = strings.ToValidUTF8(reason[:maxReason], "") + "..."
	}
	return fmt.Sprintf("line %d: %s", e.Line, reason)
}

func (e *Error) Unwrap() error { return e.Err }

// at gives an error the line of the innermost place it comes from.
func at(line int, err error) error {
	var located *Error
	if err == nil || errors.As(err, &located) {
		return err
	}
	return &Error{line, err}
}
