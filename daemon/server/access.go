package server

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"runtime/debug"
	"strings"
	"time"

	"github.com/weft-run/weft/daemon/api"
	"github.com/weft-run/weft/daemon/server/door"
)

// record is what one request leaves for its log line and the metrics. It belongs to the request's goroutine.
type record struct {
	id       string
	endpoint string
	caller   door.Caller
	arrived  time.Time
	status   int   // 0 until the answer's head is written
	room     int64 // bytes of the shared room for bodies that this request holds
	err      error

	model      string
	adapters   []api.Adapter
	prompt     int // tokens
	completion int // tokens
	choices    int
	queue      time.Duration
	firstToken time.Duration
	finish     string
}

// quiet endpoints are asked all the time by machines: they are logged for debugging only, a daemon that is not ready yet included.
var quiet = map[string]bool{"health": true, "ready": true, "version": true, "metrics": true}

// wrap gives a handler everything that all requests share.
func (s *Server) wrap(endpoint string, h handler) http.Handler {
	return http.HandlerFunc(func(inner http.ResponseWriter, r *http.Request) {
		rec := &record{
			id: requestID(r), endpoint: endpoint, caller: door.From(r.Context()), arrived: time.Now(),
		}
		w := &response{ResponseWriter: inner, rec: rec}
		w.Header().Set("X-Request-Id", rec.id)
		s.extend(w) // the last answer on this connection left its own time limit
		if r.ContentLength != 0 {
			s.expect(w)
		} else {
			s.working(r)
		}
		defer s.finish(r.Context(), rec)
		defer func() {
			if p := recover(); p != nil {
				if err, ok := p.(error); ok && errors.Is(err, http.ErrAbortHandler) { // from fail: net/http cuts the connection and says nothing
					panic(p)
				}
				s.panicked(r.Context(), rec, p)
				begun := rec.status != 0
				s.fail(w, rec, errPanic)
				if begun {
					panic(http.ErrAbortHandler) // net/http cuts the connection, so that the client sees its answer is not whole
				}
			}
		}()
		cross, err := s.o.Policy.Check(r)
		if err == nil && cross && door.Allow(w, r) {
			return
		}
		if err == nil {
			err = h(w, r, rec)
		}
		if err != nil {
			s.fail(w, rec, err)
		}
	})
}

func (s *Server) panicked(ctx context.Context, rec *record, p any) {
	s.o.Log.LogAttrs(ctx, slog.LevelError, "a handler panicked",
		slog.String("id", rec.id), slog.String("panic", fmt.Sprint(p)), slog.String("stack", string(debug.Stack())))
}

// finish counts a request and writes its one line. There is no text of a prompt or an answer in it.
func (s *Server) finish(ctx context.Context, rec *record) {
	s.leave(rec)
	if rec.status == 0 {
		rec.status = http.StatusOK // net/http's own when a handler writes nothing
	}
	if rec.err != nil {
		rec.finish = "error"
		if e := shape(rec.err); e.Status == statusClientGone {
			rec.status, rec.finish = statusClientGone, "cancel"
		}
	}
	total := time.Since(rec.arrived)
	s.o.Metrics.observe(rec, total)

	level := slog.LevelInfo
	switch {
	case quiet[rec.endpoint]:
		level = slog.LevelDebug
	case rec.status == http.StatusInternalServerError:
		level = slog.LevelError
	case rec.status > http.StatusInternalServerError:
		level = slog.LevelWarn
	}
	if !s.o.Log.Enabled(ctx, level) {
		return
	}
	attrs := []slog.Attr{
		slog.String("id", rec.id), slog.String("endpoint", rec.endpoint), slog.String("who", rec.caller.String()),
		slog.Int("status", rec.status), slog.Duration("total", total.Round(time.Microsecond)),
	}
	if rec.model != "" {
		attrs = append(attrs, slog.String("model", rec.model))
	}
	if rec.choices > 0 {
		attrs = append(attrs, slog.Int("choices", rec.choices),
			slog.Int("tokens_in", rec.prompt), slog.Int("tokens_out", rec.completion),
			slog.Duration("queue", rec.queue.Round(time.Microsecond)), slog.Duration("first_token", rec.firstToken.Round(time.Microsecond)))
	}
	if rec.finish != "" {
		attrs = append(attrs, slog.String("end", rec.finish))
	}
	if rec.err != nil {
		// The text of a client's mistake may quote the client; its code and field do not.
		if e := shape(rec.err); e.Status < 500 {
			attrs = append(attrs, slog.String("code", *e.Code))
			if e.Param != nil {
				field, _, _ := strings.Cut(*e.Param, `["`) // in an object that the client filled, only its own name
				attrs = append(attrs, slog.String("field", field))
			}
		} else {
			attrs = append(attrs, slog.String("error", rec.err.Error()))
		}
	}
	s.o.Log.LogAttrs(ctx, level, "request", attrs...)
}

// response notes the status of an answer on its way.
type response struct {
	http.ResponseWriter
	rec *record
}

func (w *response) WriteHeader(status int) {
	if status >= 200 && w.rec.status == 0 {
		w.rec.status = status
	}
	w.ResponseWriter.WriteHeader(status)
}

func (w *response) Write(b []byte) (int, error) {
	if w.rec.status == 0 {
		w.rec.status = http.StatusOK
	}
	return w.ResponseWriter.Write(b)
}

// Unwrap lets http.ResponseController reach deadlines and flushing.
func (w *response) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// requestID is the id that the client chose, where it is one that a log can bear, or one drawn at random.
func requestID(r *http.Request) string {
	if id := r.Header.Get("X-Request-Id"); validID(id) {
		return id
	}
	var b [12]byte
	_, _ = rand.Read(b[:]) // it never fails
	return "req-" + hex.EncodeToString(b[:])
}

func validID(id string) bool {
	if len(id) == 0 || len(id) > 128 {
		return false
	}
	for i := range len(id) {
		switch c := id[i]; {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9', c == '-', c == '_', c == '.', c == ':':
		default:
			return false
		}
	}
	return true
}
