package chat

import (
	"errors"
	"fmt"

	"github.com/weft-run/weft/runtime/chat/jinja"
)

// The classes of errors; every error of this package is one of them, a RaisedError, or wraps the end of the caller's context.
var (
	// ErrTemplate says that the template itself is at fault: it does not parse, or it failed on this conversation.
	ErrTemplate = errors.New("chat: the model's chat template failed")
	// ErrBudget says that the template used up its time or another budget.
	ErrBudget = errors.New("chat: the model's chat template exceeds its budget")
	// ErrUnknownTemplate says that there is no template of that name here.
	ErrUnknownTemplate = errors.New("chat: unknown template")
)

// RaisedError is what a template raised by itself with raise_exception: the conversation is not one that the model takes
// (a role out of turn, a missing tool). The message is the template author's and is meant for the caller.
type RaisedError struct {
	Template string // name of the template
	Line     int    // line of the call
	Message  string
}

func (e *RaisedError) Error() string {
	return fmt.Sprintf("chat: template of %q, line %d: %s", e.Template, e.Line, e.Message)
}

// fail is an error of a class, with the line where there is one: `chat: template failed: "name": line 3: reason`.
func (t *Template) fail(class, err error) error {
	return fmt.Errorf("%w: %q: %w", class, t.o.Name, err)
}

// line is the line of the template that an error comes from.
func line(err error) int {
	var located *jinja.Error
	if errors.As(err, &located) {
		return located.Line
	}
	return 0
}
