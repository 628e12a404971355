package gguf

import (
	"errors"
	"fmt"
)

// The classes of errors; every error of reading is one of them, or an error of the operating system.
var (
	// ErrTruncated says that the file is shorter than its own extents: cut off, or still being written.
	ErrTruncated = errors.New("gguf: file is shorter than its own extents")
	// ErrFormat says that the file breaks a rule of the format or a limit.
	ErrFormat = errors.New("gguf: file is malformed")
	// ErrUnsupported says that the file is of a version, byte order or type that is known and not read.
	ErrUnsupported = errors.New("gguf: file is not supported")
	// ErrChanged says that the file was changed in place after it was opened: what was mapped is no longer the model.
	ErrChanged = errors.New("gguf: file was changed in place")
	// ErrDamaged says that weights of a well-formed file are infinite or not a number.
	ErrDamaged = errors.New("gguf: weights are damaged")
)

// parseError is one refusal: its class, and a message that says what was found where.
type parseError struct {
	class error
	msg   string
}

func (e *parseError) Error() string { return "gguf: " + e.msg }
func (e *parseError) Unwrap() error { return e.class }

func refuse(class error, format string, args ...any) error {
	return &parseError{class: class, msg: fmt.Sprintf(format, args...)}
}
