package adapters

import (
	"errors"
	"fmt"
	"strings"
)

// The classes of refusals of a Source; every error of reading is one of them, or an error of the operating system.
var (
	// ErrTruncated says that a file is shorter than its own extents, or that one of two is not there yet: still being written.
	ErrTruncated = errors.New("adapters: files are not complete")
	// ErrFormat says that a file breaks a rule of its format or a limit, or that the two of a folder contradict each other.
	ErrFormat = errors.New("adapters: adapter is malformed")
	// ErrUnsupported says that the adapter is of a kind that is known and not computed.
	ErrUnsupported = errors.New("adapters: adapter is not supported")
	// ErrUnfit says that the adapter is healthy, and not for this base.
	ErrUnfit = errors.New("adapters: adapter does not fit the base")
	// ErrChanged says that a file was changed while it was read.
	ErrChanged = errors.New("adapters: files were changed while they were read")
)

// sourceError is one refusal: its class, and a message that says what was found where.
type sourceError struct {
	class error
	msg   string
}

func (e *sourceError) Error() string { return "adapters: " + e.msg }
func (e *sourceError) Unwrap() error { return e.class }

func refuse(class error, format string, args ...any) error {
	return &sourceError{class: class, msg: fmt.Sprintf(format, args...)}
}

// maxNamed is how many tensors one refusal names.
const maxNamed = 5

// named lists the first of some tensors, each with what was found about it.
func named(list []string) string {
	if more := len(list) - maxNamed; more > 0 {
		return fmt.Sprintf("%s and %d more", strings.Join(list[:maxNamed], ", "), more)
	}
	return strings.Join(list, ", ")
}
