package safetensors

import (
	"errors"
	"fmt"
)

// The classes of errors; every error of reading is one of them, or an error of the operating system.
var (
	// ErrTruncated says that the file is shorter than its own extents: cut off, or still being written.
	ErrTruncated = errors.New("safetensors: file is shorter than its own extents")
	// ErrFormat says that the file breaks a rule of the format or a limit.
	ErrFormat = errors.New("safetensors: file is malformed")
	// ErrUnsupported says that a tensor has a type that is known and not written.
	ErrUnsupported = errors.New("safetensors: type is not supported")
)

// parseError is one refusal: its class, and a message that says what was found where.
type parseError struct {
	class error
	msg   string
}

func (e *parseError) Error() string { return "safetensors: " + e.msg }
func (e *parseError) Unwrap() error { return e.class }

func refuse(class error, format string, args ...any) error {
	return &parseError{class: class, msg: fmt.Sprintf(format, args...)}
}
