package server

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"sync"
	"time"

	"github.com/weft-run/weft/daemon/api"
)

// smallBody is how many bytes of a body are read without asking for room.
const smallBody = 64 << 10

// readBody reads a request's body within the limits of size and of the time that expect gave. Its room is held until leave.
func (s *Server) readBody(w http.ResponseWriter, r *http.Request, rec *record) ([]byte, error) {
	if r.ContentLength > s.o.MaxBody {
		return nil, &BodyTooLargeError{Limit: s.o.MaxBody}
	}
	src := http.MaxBytesReader(w, r.Body, s.o.MaxBody)
	body := make([]byte, 0, 4096)
	for {
		if len(body) == cap(body) {
			if err := s.grow(&body, rec); err != nil {
				return nil, err
			}
		}
		n, err := src.Read(body[len(body):cap(body)])
		body = body[:len(body)+n]
		switch {
		case errors.Is(err, io.EOF):
			s.arrived(w)
			s.working(r)
			return body, nil
		case errors.Is(err, os.ErrDeadlineExceeded):
			return nil, errTooSlow
		case err != nil:
			var large *http.MaxBytesError
			if errors.As(err, &large) {
				return nil, &BodyTooLargeError{Limit: s.o.MaxBody}
			}
			return nil, fmt.Errorf("%w: %w", errClientGone, err)
		}
	}
}

// expect gives a request's body its time. Where a handler does not read it to its end, net/http does, and must not wait for ever either.
func (s *Server) expect(w http.ResponseWriter) {
	_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(s.o.BodyTimeout)) // a test's recorder has none
}

// working notes that a request is there and not just arriving.
func (s *Server) working(r *http.Request) {
	if s.o.Connections != nil {
		s.o.Connections.Working(r.Context())
	}
}

// arrived ends that time: net/http goes on reading behind a body to notice a client that leaves, and that read must not fail of our
// deadline.
func (s *Server) arrived(w http.ResponseWriter) {
	_ = http.NewResponseController(w).SetReadDeadline(time.Time{})
}

// grow doubles a body's buffer, once it is not small any more against the room that all bodies share.
func (s *Server) grow(body *[]byte, rec *record) error {
	next := 2 * cap(*body)
	if next > smallBody {
		if s.bodies.Add(int64(next)) > s.o.BodyRoom {
			s.bodies.Add(-int64(next))
			return errBusy
		}
		s.bodies.Add(-rec.room)
		rec.room = int64(next)
	}
	*body = append(make([]byte, 0, next), *body...)
	return nil
}

// leave gives up the room of a request's body, once nothing refers to the body any more.
func (s *Server) leave(rec *record) {
	s.bodies.Add(-rec.room)
	rec.room = 0
}

// writeJSON answers with one JSON value.
func (s *Server) writeJSON(w http.ResponseWriter, status int, v any) error {
	var buf bytes.Buffer
	enc := json.NewEncoder(&buf)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return fmt.Errorf("server: answer: %w", err)
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	// A whole answer may be large and its reader slow, but never without end: each piece has the same time as an event.
	for rest := buf.Bytes(); len(rest) > 0; {
		n := min(len(rest), smallBody)
		s.extend(w)
		if _, err := w.Write(rest[:n]); err != nil {
			return fmt.Errorf("%w: %w", errClientGone, err)
		}
		rest = rest[n:]
	}
	return nil
}

// extend gives the next write its time.
func (s *Server) extend(w http.ResponseWriter) {
	_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(s.o.StallTimeout)) // a test's recorder has none
}

// events writes an answer as server-sent events, each flushed as it is written. The head goes out with the first, so that an error
// before it still has a status of its own. It may be used by several goroutines.
type events struct {
	s *Server
	w http.ResponseWriter

	mu      sync.Mutex
	started bool        // under mu
	ended   bool        // under mu: nothing may be written any more
	err     error       // under mu: the first that a write met
	idle    *time.Timer // under mu: writes a comment when nothing was written for a while
}

func (s *Server) newEvents(w http.ResponseWriter) *events {
	return &events{s: s, w: w}
}

// warm begins the comments that keep proxies and clients from giving up while nothing comes: before the first token, while a long
// prompt is read. From the first comment on the status is 200 and an error comes as an event.
func (e *events) warm() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.idle = time.AfterFunc(e.s.o.KeepAlive, func() {
		_ = e.comment("waiting") // the next event meets the same error
	})
}

// comment writes what no reader takes for an event.
func (e *events) comment(text string) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.write([]byte(": " + text + "\n\n"))
}

// send writes one event.
func (e *events) send(v any) error {
	var buf bytes.Buffer
	buf.WriteString("data: ")
	enc := json.NewEncoder(&buf)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return fmt.Errorf("server: event: %w", err)
	}
	buf.WriteByte('\n')
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.write(buf.Bytes())
}

// write writes and flushes; mu is held.
func (e *events) write(b []byte) error {
	if e.err != nil || e.ended {
		return e.err
	}
	if e.idle != nil {
		e.idle.Reset(e.s.o.KeepAlive)
	}
	if !e.started {
		e.started = true
		h := e.w.Header()
		h.Set("Content-Type", "text/event-stream; charset=utf-8")
		h.Set("Cache-Control", "no-cache")
		h.Set("X-Accel-Buffering", "no")
		e.w.WriteHeader(http.StatusOK)
	}
	e.s.extend(e.w)
	_, err := e.w.Write(b)
	if err == nil {
		err = http.NewResponseController(e.w).Flush()
	}
	if err != nil {
		e.err = fmt.Errorf("%w: %w", errClientGone, err)
	}
	return e.err
}

// close ends what warm began and lets nothing be written any more. Every handler defers it, for the case of a panic.
func (e *events) close() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.ended = true
	if e.idle != nil {
		e.idle.Stop()
	}
}

// end finishes the stream: with [DONE] where err is nil, with an error event where the stream had begun. Where it had not, the error
// is returned for an answer with a status.
func (e *events) end(err error) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	defer func() { e.ended = true }()
	switch {
	case err == nil:
		return e.write([]byte("data: [DONE]\n\n"))
	case !e.started || e.err != nil:
		return err
	}
	b, marshalErr := json.Marshal(api.ErrorResponse{Error: shape(err)})
	if marshalErr == nil {
		_ = e.write(append(append([]byte("data: "), b...), "\n\n"...))
	}
	return err
}
