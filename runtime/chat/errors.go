package chat

import (
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"
)

// The classes of errors; every error of this package but a RaisedError is one of them.
var (
	// ErrTemplate says that the template itself is at fault: it does not parse, or it failed on this conversation.
	ErrTemplate = errors.New("chat: template failed")
	// ErrBudget says that the template used up a budget.
	ErrBudget = errors.New("chat: template exceeds its budget")
	// ErrUnknownTemplate says that there is no template of that name here.
	ErrUnknownTemplate = errors.New("chat: unknown template")
)

// RaisedError is what a template raised by itself with raise_exception: the conversation is not one that the model takes
// (a role out of turn, a missing tool). The message is the template author's and is meant for the caller.
type RaisedError struct {
	Template string // name of the template
	Line     int    // line of the call; 0: unknown
	Message  string
}

func (e *RaisedError) Error() string {
	return fmt.Sprintf("chat: template %q, line %d: %s", e.Template, e.Line, e.Message)
}

var (
	linePattern = regexp.MustCompile(`(?:at line |Line: |Line=)(\d+)`)
	// placePattern is how the library ends the message of a syntax error.
	placePattern = regexp.MustCompile(`\s*\(Line: \d+ Col: \d+, near ".*"\)$`)
)

// lineOf finds the line in a message of the library: the last one named is the innermost.
func lineOf(message string) int {
	all := linePattern.FindAllStringSubmatch(message, -1)
	if len(all) == 0 {
		return 0
	}
	n, err := strconv.Atoi(all[len(all)-1][1])
	if err != nil {
		return 0
	}
	return n
}

// reason makes one sentence of an error of the library, which wraps every level of a template in words of its own. failure
// is what the last operation of ours that failed said, if one did.
func (t *Template) reason(err, failure error) string {
	message := err.Error()
	cause := message
	for e := err; e != nil; e = errors.Unwrap(e) {
		cause = e.Error()
	}
	if failure != nil && strings.HasSuffix(message, failure.Error()) {
		cause = failure.Error()
	}
	cause = placePattern.ReplaceAllString(cause, "")
	if line := t.translated.sourceLine(lineOf(message)); line > 0 {
		return fmt.Sprintf("line %d: %s", line, cause)
	}
	return cause
}
