package api

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"time"
)

// MaxSessionBytes is the longest name of a session.
const MaxSessionBytes = 128

var sessionWant = fmt.Sprintf("a name of 1 to %d letters, digits, -, _, . and :", MaxSessionBytes)

// validSession says whether text may name a session: letters, digits, `-`, `_`, `.` and `:`, so that a name stands in a URL and in a log as
// it is. It never becomes the name of a file.
func validSession(text string) bool {
	if len(text) == 0 || len(text) > MaxSessionBytes {
		return false
	}
	for i := range len(text) {
		switch c := text[i]; {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9', c == '-', c == '_', c == '.', c == ':':
		default:
			return false
		}
	}
	return true
}

func sessionName(dst *string) setter {
	return func(path string, v value) error {
		if !v.isString() {
			return &FieldError{Field: path, Want: sessionWant, Got: v.String()}
		}
		*dst = v.text()
		return ParseSession(*dst)
	}
}

// SessionStatus is what is kept on disk of one session.
type SessionStatus struct {
	Session string    `json:"session"`
	Caller  string    `json:"caller"` // whose it is, such as uid=1000
	Model   string    `json:"model"`
	Tokens  int       `json:"tokens"`
	Bytes   int64     `json:"bytes"`
	Used    time.Time `json:"used"`
}

// SessionList is the answer of GET /weft/v1/sessions.
type SessionList struct {
	Sessions []SessionStatus `json:"sessions"`
}

// ParseSession says whether text can name a session, as an error that names the field where it cannot.
func ParseSession(text string) error {
	if !validSession(text) {
		return &FieldError{Field: "session", Want: sessionWant, Got: strconv.Quote(shorten(text))}
	}
	return nil
}

// Sessions lists what is kept of the caller's sessions, of everybody's for an administrator.
func (c *Client) Sessions(ctx context.Context) (*SessionList, error) {
	return call[SessionList](ctx, c, http.MethodGet, PathSessions, nil)
}

// DeleteSession removes what is kept of a session: the caller's own where caller is "".
func (c *Client) DeleteSession(ctx context.Context, session, caller string) error {
	path := PathSessions + "/" + url.PathEscape(session)
	if caller != "" {
		path += "?caller=" + url.QueryEscape(caller)
	}
	req, err := c.request(ctx, http.MethodDelete, path, nil)
	if err != nil {
		return err
	}
	resp, err := c.send(req)
	if err != nil {
		return err
	}
	return resp.Body.Close()
}
