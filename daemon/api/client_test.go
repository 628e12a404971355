package api

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// serveSocket serves h on a Unix socket and returns a client for it.
func serveSocket(t *testing.T, h http.HandlerFunc) *Client {
	t.Helper()
	path := filepath.Join(t.TempDir(), "s.sock")
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	srv := &http.Server{Handler: h}
	go srv.Serve(l)
	t.Cleanup(func() { srv.Close() })
	c := NewClient(Host{Socket: path})
	t.Cleanup(c.Close)
	return c
}

func TestClientStream(t *testing.T) {
	t.Parallel()
	chunk := func(text string) string {
		return fmt.Sprintf("data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":%q}}]}\n\n", text)
	}
	for _, c := range []struct {
		name, body, want string
		check            func(error) bool
	}{
		{"whole", ": waiting\n\n" + chunk("a") + chunk("b") + "data: [DONE]\n\n", "ab", func(err error) bool { return err == nil }},
		{"cut off", chunk("a"), "a", func(err error) bool { return errors.Is(err, ErrCut) }},
		{"failed", chunk("a") + `data: {"error":{"message":"lost","type":"server_error","param":null,"code":"weights_lost"}}` + "\n\n", "a", func(err error) bool {
			var e *Error
			return errors.As(err, &e) && *e.Code == CodeWeightsLost && e.RequestID == "r1"
		}},
		{"no JSON", "data: {\n\n", "", func(err error) bool { return err != nil }},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			client := serveSocket(t, func(w http.ResponseWriter, r *http.Request) {
				if got, err := DefaultLimits().DecodeChat(readAll(t, r.Body)); err != nil || !got.Stream || got.Model != "m" {
					t.Errorf("sent %+v, %v", got, err)
				}
				w.Header().Set("X-Request-Id", "r1")
				io.WriteString(w, c.body)
			})
			s, err := client.ChatStream(t.Context(), ChatRequest{Model: "m", Messages: []Message{NewMessage("user", "hi")}})
			if err != nil {
				t.Fatal(err)
			}
			defer s.Close()
			var got strings.Builder
			var last error
			for chunk, err := range s.All() {
				if last = err; err == nil {
					got.WriteString(*chunk.Choices[0].Delta.Content)
				}
			}
			if got.String() != c.want || !c.check(last) {
				t.Errorf("got %q and %v", got.String(), last)
			}
		})
	}
}

func TestClientErrors(t *testing.T) {
	t.Parallel()
	client := serveSocket(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Request-Id", "r2")
		switch r.URL.Path {
		case PathReady:
			w.Header().Set("Retry-After", "3")
			w.WriteHeader(http.StatusServiceUnavailable)
			io.WriteString(w, `{"error":{"message":"starting","type":"service_unavailable_error","param":null,"code":"starting"}}`)
		case PathVersion:
			w.WriteHeader(http.StatusBadGateway)
			io.WriteString(w, "<html>")
		default:
			io.WriteString(w, "{")
		}
	})
	var e *Error
	if err := client.Ready(t.Context()); !errors.As(err, &e) || e.Status != 503 || e.RetryAfter != 3*time.Second || *e.Code != CodeStarting || e.RequestID != "r2" {
		t.Errorf("ready: %#v", err)
	}
	if _, err := client.Version(t.Context()); !errors.As(err, &e) || e.Status != 502 || !strings.Contains(e.Message, "502 Bad Gateway") {
		t.Errorf("version: %v", err)
	}
	if _, err := client.Status(t.Context()); err == nil || errors.As(err, &e) && e.Status == 0 {
		t.Errorf("status: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := client.Models(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("models: %v", err)
	}
}

func TestUnreachable(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	dead := filepath.Join(dir, "dead.sock")
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: dead, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	l.SetUnlinkOnClose(false)
	l.Close()
	for path, want := range map[string]string{
		filepath.Join(dir, "none.sock"): "there is no such socket; is weftd running?",
		dead:                            "nothing listens there; is weftd running?",
	} {
		_, err := NewClient(Host{Socket: path}).Version(t.Context())
		var e *UnreachableError
		if !errors.As(err, &e) || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), path) {
			t.Errorf("got %v, want %q", err, want)
		}
	}
}

func TestUpload(t *testing.T) {
	t.Parallel()
	client := serveSocket(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodDelete {
			w.WriteHeader(http.StatusNoContent)
			return
		}
		fmt.Fprintf(w, `{"name":%q,"bytes":%d}`, r.URL.EscapedPath(), len(readAll(t, r.Body)))
	})
	for _, size := range []int64{4, -1} {
		got, err := client.Upload(t.Context(), "a/b c", strings.NewReader("1234"), size)
		if err != nil || got.Name != PathWeftModels+"/a%2Fb%20c" || got.Bytes != 4 {
			t.Errorf("size %d: %+v, %v", size, got, err)
		}
	}
	if err := client.Delete(t.Context(), "a"); err != nil {
		t.Error(err)
	}
}

// TestUploadRefused: a refusal that comes before the body was read is what the caller sees, not a broken pipe.
func TestUploadRefused(t *testing.T) {
	t.Parallel()
	c := serveSocket(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Connection", "close")
		w.WriteHeader(http.StatusInsufficientStorage)
		fmt.Fprint(w, `{"error":{"message":"no space","type":"server_error","param":null,"code":null}}`)
	})
	const size = 64 << 20
	_, err := c.Upload(context.Background(), "m", io.LimitReader(zeros{}, size), size)
	var e *Error
	if !errors.As(err, &e) || e.Status != http.StatusInsufficientStorage || e.Message != "no space" {
		t.Errorf("the error is %v", err)
	}
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}

func TestHost(t *testing.T) {
	t.Parallel()
	for s, want := range map[string]string{
		"unix:///run/weft/weftd.sock": "unix:///run/weft/weftd.sock",
		"/run/weft/weftd.sock":        "unix:///run/weft/weftd.sock",
		"http://127.0.0.1:8080":       "http://127.0.0.1:8080",
		"http://box:8080/":            "http://box:8080",
		"tcp://127.0.0.1:8080":        "http://127.0.0.1:8080",
		"https://box":                 "https://box",
		"unix://relative":             "",
		"unix:relative":               "",
		"http://box/v1":               "",
		"ftp://box":                   "",
		"box:8080":                    "",
		"":                            "",
	} {
		h, err := ParseHost(s)
		if (want == "") != (err != nil) || err == nil && h.String() != want {
			t.Errorf("%q: %v, %v; want %q", s, h, err, want)
		}
	}
}

func TestFindHost(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	env := map[string]string{"XDG_RUNTIME_DIR": dir + "/run", "HOME": dir}
	get := func(k string) string { return env[k] }
	touch := func(path string) {
		t.Helper()
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, nil, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for _, path := range []string{dir + "/.local/share/weft/weftd.sock", dir + "/run/weft/weftd.sock"} {
		touch(path)
		if h, err := FindHost(get); err != nil || h.Socket != path && h.Socket != "/run/weft/weftd.sock" {
			t.Errorf("got %v, %v; want %s", h, err, path)
		}
	}
	env["WEFT_HOST"] = "http://box:1"
	if h, err := FindHost(get); err != nil || h.URL != "http://box:1" {
		t.Errorf("got %v, %v", h, err)
	}
	env["WEFT_HOST"] = "box"
	if _, err := FindHost(get); err == nil || !strings.Contains(err.Error(), "WEFT_HOST") {
		t.Errorf("got %v", err)
	}
}

func readAll(t *testing.T, r io.Reader) []byte {
	t.Helper()
	b, err := io.ReadAll(r)
	if err != nil {
		t.Error(err)
	}
	return b
}

// A program asks for a completion and prints it as it comes.
func ExampleClient_CompleteStream() {
	daemon := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		for _, text := range []string{" there", " was", " a", " girl"} {
			fmt.Fprintf(w, "data: {\"choices\":[{\"index\":0,\"text\":%q}]}\n\n", text)
		}
		fmt.Fprint(w, "data: [DONE]\n\n")
	}))
	defer daemon.Close()

	host, err := ParseHost(daemon.URL) // of a daemon on this machine: FindHost(os.Getenv)
	if err != nil {
		fmt.Println(err)
		return
	}
	client := NewClient(host)
	defer client.Close()
	stream, err := client.CompleteStream(context.Background(), CompletionRequest{Model: "stories260K", Prompt: Text("Once upon a time")})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer stream.Close()
	for chunk, err := range stream.All() {
		if err != nil {
			fmt.Println(err)
			return
		}
		fmt.Print(chunk.Choices[0].Text)
	}
	// Output: there was a girl
}
