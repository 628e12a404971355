package api

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"net/http"
)

// maxEventBytes bounds one event of a stream: the largest is a prompt's token ids.
const maxEventBytes = 64 << 20

// ErrCut is returned for a stream that ended without its [DONE]: the answer is not whole.
var ErrCut = errors.New("api: the stream was cut off before its end")

// Stream is an answer that comes piece by piece. It belongs to one goroutine; Close may be called from another.
type Stream[T any] struct {
	// RequestID is the answer's X-Request-Id.
	RequestID string

	body io.ReadCloser
	scan *bufio.Scanner
	err  error
}

func newStream[T any](resp *http.Response) *Stream[T] {
	scan := bufio.NewScanner(resp.Body)
	scan.Buffer(make([]byte, 0, 4096), maxEventBytes)
	return &Stream[T]{RequestID: resp.Header.Get("X-Request-Id"), body: resp.Body, scan: scan}
}

// Next returns the next chunk; io.EOF behind the last; an *Error where the daemon ended the stream with one; ErrCut where the stream
// just ended.
func (s *Stream[T]) Next() (*T, error) {
	for s.err == nil {
		if !s.scan.Scan() {
			if s.err = s.scan.Err(); s.err == nil {
				s.err = ErrCut
			}
			break
		}
		data, ok := bytes.CutPrefix(s.scan.Bytes(), []byte("data:"))
		if !ok {
			continue // an empty line, or a comment that keeps the connection warm
		}
		data = bytes.TrimSpace(data)
		if string(data) == "[DONE]" {
			s.err = io.EOF
			break
		}
		// An error event and a chunk differ by one field; both are read in one go.
		var wire ErrorResponse
		if bytes.HasPrefix(data, []byte(`{"error"`)) && json.Unmarshal(data, &wire) == nil && wire.Error != nil {
			wire.Error.RequestID = s.RequestID
			s.err = wire.Error
			break
		}
		chunk := new(T)
		if err := json.Unmarshal(data, chunk); err != nil {
			s.err = fmt.Errorf("api: stream: %w", err)
			break
		}
		return chunk, nil
	}
	return nil, s.err
}

// All yields the chunks that are still to come; the last pair has the error, if there was one.
func (s *Stream[T]) All() iter.Seq2[*T, error] {
	return func(yield func(*T, error) bool) {
		for {
			chunk, err := s.Next()
			if errors.Is(err, io.EOF) {
				return
			}
			if !yield(chunk, err) || err != nil {
				return
			}
		}
	}
}

// Close ends the stream; the daemon then stops computing it.
func (s *Stream[T]) Close() error { return s.body.Close() }
