package api

import (
	"errors"
	"fmt"
	"strings"
	"testing"
)

// A session's name stands in URLs and logs as it is; whatever cannot is refused, in both kinds of request.
func TestSessionNames(t *testing.T) {
	t.Parallel()
	decode := func(value string) (string, string, error) {
		chat, err := DefaultLimits().DecodeChat(fmt.Appendf(nil, chatBase, `,"session":`+value))
		completion, err2 := DefaultLimits().DecodeCompletion(fmt.Appendf(nil, completionBase, `,"session":`+value))
		if err != nil || err2 != nil {
			return "", "", errors.Join(err, err2)
		}
		return chat.Session, completion.Session, nil
	}
	for _, name := range []string{"a", "Tea-time_2:1.x", strings.Repeat("s", MaxSessionBytes)} {
		if chat, completion, err := decode(`"` + name + `"`); err != nil || chat != name || completion != name {
			t.Errorf("%s: read as %q and %q, %v", name, chat, completion, err)
		}
	}
	if chat, _, err := decode("null"); err != nil || chat != "" {
		t.Errorf("null: %q, %v", chat, err)
	}
	for _, value := range []string{`""`, `"a/b"`, `"../x"`, `"a b"`, `"ä"`, `"a\u0000"`, `"a\\b"`, `"a\n"`, `7`, `[]`, `true`, `"` + strings.Repeat("s", MaxSessionBytes+1) + `"`} {
		_, _, err := decode(value)
		if bad := (*FieldError)(nil); !errors.As(err, &bad) || bad.Field != "session" {
			t.Errorf("%.40s: %v, want a FieldError that names the field", value, err)
		}
	}
}
