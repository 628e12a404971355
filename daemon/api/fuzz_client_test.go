package api

import (
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
)

// FuzzStream: whatever a server sends, reading it ends, after a bounded number of chunks, in io.EOF or an error.
func FuzzStream(f *testing.F) {
	f.Add("data: {\"id\":\"a\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"x\"}}]}\n\ndata: [DONE]\n\n")
	f.Add(": warm\n\ndata:{\"error\":{\"message\":\"m\",\"type\":\"server_error\",\"param\":null,\"code\":null}}\n\n")
	f.Add("data: {\"choices\":[]}\r\n\r\ndata: nonsense\n\n")
	f.Add("data: {\"error\":null}\ndata: {\"choices\":7}\n")
	f.Add("event: x\nid: 1\nretry: 5\n\ndata:[DONE]")
	f.Fuzz(func(t *testing.T, text string) {
		s := newStream[ChatChunk](&http.Response{Body: io.NopCloser(strings.NewReader(text)), Header: http.Header{}})
		defer s.Close()
		chunks := 0
		for {
			chunk, err := s.Next()
			if err != nil {
				if _, again := s.Next(); !errors.Is(again, err) && again.Error() != err.Error() {
					t.Fatalf("the stream ended in %v and then in %v", err, again)
				}
				break
			}
			if chunks++; chunk == nil || chunks > strings.Count(text, "data:") {
				t.Fatalf("%d chunks of %q", chunks, text)
			}
		}
	})
}

// FuzzHost: a host that is read is written as it is read again.
func FuzzHost(f *testing.F) {
	for _, s := range []string{"unix:///run/weft/weftd.sock", "/a b", "tcp://[::1]:80", "http://h:1/", "https://u:p@h", "unix://h/p", "http://h?x", "unix:///%2e%2e/\x00"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		h, err := ParseHost(text)
		if err != nil {
			return
		}
		if (h.Socket == "") == (h.URL == "") {
			t.Fatalf("%q is %+v", text, h)
		}
		if h.Socket == "" {
			if again, err := ParseHost(h.String()); err != nil || again != h {
				t.Fatalf("%q is %+v, and that is %+v, %v", text, h, again, err)
			}
		}
	})
}
