package models

import (
	"errors"
	"fmt"
)

// The classes of refusal; every error of Load is one of them, an error of runtime/gguf, or a memory fault (kernels.ErrFault).
var (
	// ErrInvalid says that metadata and tensors of the file do not fit each other or make no sense.
	ErrInvalid = errors.New("models: the file is not a valid model")
	// ErrUnsupported says that the file may be fine, but asks for something that is not computed here.
	ErrUnsupported = errors.New("models: the model is not supported")
)

// refusal is one reason for which a file is not loaded: its class, and a message that says what was found.
type refusal struct {
	class error
	msg   string
}

func (e *refusal) Error() string { return "models: " + e.msg }
func (e *refusal) Unwrap() error { return e.class }

func invalid(format string, args ...any) error {
	return &refusal{class: ErrInvalid, msg: fmt.Sprintf(format, args...)}
}

func unsupported(format string, args ...any) error {
	return &refusal{class: ErrUnsupported, msg: fmt.Sprintf(format, args...)}
}
