package server

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/weft-run/weft/daemon/api"
	"github.com/weft-run/weft/daemon/server/door"
	"github.com/weft-run/weft/runtime/engine"
	"github.com/weft-run/weft/runtime/tokenizer"
)

// liveServer serves o on a Unix socket, and on TCP, with the hooks that the daemon sets.
type liveServer struct {
	socket, tcp string
	client      *api.Client
	log         *syncBuffer
}

func serveLive(t *testing.T, o Options) *liveServer {
	t.Helper()
	s := &liveServer{socket: filepath.Join(t.TempDir(), "s"), log: new(syncBuffer)}
	o.Log = slog.New(slog.NewTextHandler(s.log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	unix, err := net.Listen("unix", s.socket)
	if err != nil {
		t.Fatal(err)
	}
	tcp, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s.tcp = tcp.Addr().String()
	srv := &http.Server{
		Handler: New(o), ConnContext: door.ConnContext, ReadHeaderTimeout: 5 * time.Second,
		ErrorLog: slog.NewLogLogger(o.Log.Handler(), slog.LevelDebug),
	}
	go srv.Serve(unix)
	go srv.Serve(tcp)
	t.Cleanup(func() { srv.Close() })
	s.client = api.NewClient(api.Host{Socket: s.socket})
	t.Cleanup(s.client.Close)
	return s
}

type syncBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer // under mu
}

func (s *syncBuffer) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *syncBuffer) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

// raw sends bytes over a fresh connection to the socket.
func (s *liveServer) raw(t *testing.T, request string) net.Conn {
	t.Helper()
	conn, err := net.Dial("unix", s.socket)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	if _, err := io.WriteString(conn, request); err != nil {
		t.Fatal(err)
	}
	return conn
}

func post(path, body string) string {
	return fmt.Sprintf("POST %s HTTP/1.1\r\nHost: weft\r\nContent-Length: %d\r\n\r\n%s", path, len(body), body)
}

func statusOf(t *testing.T, conn net.Conn) int {
	t.Helper()
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	io.Copy(io.Discard, resp.Body)
	return resp.StatusCode
}

// TestClientGone holds that a client that leaves, streaming or not, takes its sequences and its lease with it.
func TestClientGone(t *testing.T) {
	t.Parallel()
	e := &fakeEngine{text: " a b c", endless: true}
	models := newFakeModels(t, map[string]*fakeEngine{"m": e})
	s := serveLive(t, testOptions(models))
	for _, body := range []string{
		`{"model":"m","prompt":"x"}`,
		`{"model":"m","prompt":"x","stream":true}`,
		`{"model":"m","prompt":["x","y"],"n":3,"stream":true}`,
	} {
		conn := s.raw(t, post(api.PathCompletions, body))
		eventually(t, "the request is at work", func() bool { return e.busy() > 0 })
		conn.Close()
		eventually(t, "its sequences are cancelled", func() bool { return e.busy() == 0 && models.held() == 0 })
	}
	eventually(t, "three lines say so", func() bool { return strings.Count(s.log.String(), "status=499") == 3 })
	if !strings.Contains(s.log.String(), "end=cancel") {
		t.Errorf("the log does not say how it ended: %s", s.log)
	}
}

// TestDeadReader holds that a client that reads nothing costs a bounded time: its sequence is cancelled when its sockets are full.
func TestDeadReader(t *testing.T) {
	t.Parallel()
	e := &fakeEngine{text: strings.Repeat(" Lily", 40_000)}
	models := newFakeModels(t, map[string]*fakeEngine{"m": e})
	o := testOptions(models)
	o.StallTimeout = 50 * time.Millisecond
	s := serveLive(t, o)
	for _, stream := range []string{"true", "false"} {
		body := `{"model":"m","prompt":"x","max_tokens":1000000,"logprobs":5,"stream":` + stream + `}`
		s.raw(t, post(api.PathCompletions, body))
	}
	eventually(t, "both were given up", func() bool { return strings.Count(s.log.String(), "status=499") == 2 })
	if e.busy() != 0 || models.held() != 0 {
		t.Error("something of them is left")
	}
}

func TestBodies(t *testing.T) {
	t.Parallel()
	models := newFakeModels(t, map[string]*fakeEngine{"m": {text: " a", finish: engine.FinishStop}})
	o := testOptions(models)
	o.MaxBody = 300 << 10
	o.BodyTimeout = 100 * time.Millisecond
	s := serveLive(t, o)
	large := `{"model":"m","prompt":"` + strings.Repeat("x", 301<<10) + `"}`
	for _, c := range []struct {
		name, request string
		want          int
	}{
		{"announced too large", post(api.PathCompletions, large), 413},
		{"too large in chunks", fmt.Sprintf("POST /v1/completions HTTP/1.1\r\nHost: weft\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n0\r\n\r\n", len(large), large), 413},
		{"within the limit", post(api.PathCompletions, `{"model":"m","prompt":"`+strings.Repeat("x ", 100<<10)+`"}`), 200},
		{"too slow", "POST /v1/completions HTTP/1.1\r\nHost: weft\r\nContent-Length: 100\r\n\r\n{", 408},
		{"no JSON", post(api.PathCompletions, "\x00\xff"), 400},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			conn, err := net.Dial("unix", s.socket)
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			go io.WriteString(conn, c.request) // the server may answer before it has read all
			if got := statusOf(t, conn); got != c.want {
				t.Errorf("answered %d, want %d", got, c.want)
			}
		})
	}
}

// TestBodyRoom holds that many large bodies together are bounded too.
func TestBodyRoom(t *testing.T) {
	t.Parallel()
	e := &fakeEngine{text: " a", endless: true}
	models := newFakeModels(t, map[string]*fakeEngine{"m": e})
	o := testOptions(models)
	o.MaxBody = 1 << 20
	o.BodyRoom = 4 << 20
	s := serveLive(t, o)
	body := `{"model":"m","prompt":"` + strings.Repeat("x ", 300<<10) + `"}`
	request := post(api.PathCompletions, body)
	var conns []net.Conn
	for range 8 { // all but the last byte: each body holds its room
		conns = append(conns, s.raw(t, request[:len(request)-1]))
	}
	eventually(t, "some are turned away", func() bool { return strings.Contains(s.log.String(), "status=503") })
	if !strings.Contains(s.log.String(), "too many large requests") {
		t.Errorf("for another reason: %s", s.log)
	}
	for _, c := range conns {
		c.Close()
	}
	eventually(t, "all are gone", func() bool { return strings.Count(s.log.String(), "msg=request") == len(conns) })
	for i := range 8 { // one after the other there is room, though none of them ends
		s.raw(t, request)
		eventually(t, "it is at work", func() bool { return e.busy() == i+1 })
	}
}

// TestFlush holds that every token leaves at once: the next is only made when the one before has been read.
func TestFlush(t *testing.T) {
	t.Parallel()
	e := &fakeEngine{text: " one two three", finish: engine.FinishStop, slow: make(chan struct{})}
	s := serveLive(t, testOptions(newFakeModels(t, map[string]*fakeEngine{"m": e})))
	tokens := len(builtinTokenizer(t).Encode(e.text, tokenizer.EncodeOptions{})) + 1 // and the one that ends the text
	go func() { e.slow <- struct{}{} }()
	stream, err := s.client.CompleteStream(t.Context(), api.CompletionRequest{Model: "m", Prompt: api.Text("x")})
	if err != nil {
		t.Fatal(err)
	}
	defer stream.Close()
	var text strings.Builder
	for i := range tokens {
		if i > 0 {
			e.slow <- struct{}{}
		}
		if i == tokens-1 {
			go func() { e.slow <- struct{}{} }() // for the end of the stream
		}
		chunk, err := stream.Next()
		if err != nil {
			t.Fatal(err)
		}
		text.WriteString(chunk.Choices[0].Text)
	}
	if _, err := stream.Next(); !errors.Is(err, io.EOF) && err != nil {
		t.Fatal(err)
	}
	if got := strings.TrimLeft(text.String(), " "); got != "one two three" {
		t.Errorf("got %q", text.String())
	}
}

// TestKeepAlive holds that a stream says something while nothing comes, and that an error behind it is an event.
func TestKeepAlive(t *testing.T) {
	t.Parallel()
	e := &fakeEngine{fail: &engine.NonFiniteError{Layer: 1, Layers: 2}, slow: make(chan struct{})}
	o := testOptions(newFakeModels(t, map[string]*fakeEngine{"m": e}))
	o.KeepAlive = 5 * time.Millisecond
	s := serveLive(t, o)
	conn := s.raw(t, post(api.PathCompletions, `{"model":"m","prompt":"x","stream":true}`))
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(resp.Body)
	for n := 0; n < 3 && lines.Scan(); {
		if lines.Text() == ": waiting" {
			n++
		}
	}
	close(e.slow)
	var last string
	for lines.Scan() {
		if lines.Text() != "" {
			last = lines.Text()
		}
	}
	if resp.StatusCode != 200 || !strings.Contains(last, `data: {"error":{`) || !strings.Contains(last, api.CodeNonFinite) {
		t.Errorf("%d, ends with %q", resp.StatusCode, last)
	}
}

// TestManyChoices holds that a request for more choices than the engine has places is served all the same, and in order.
func TestManyChoices(t *testing.T) {
	t.Parallel()
	e := &fakeEngine{text: " Lily ran", finish: engine.FinishStop, places: 2}
	s := serveLive(t, testOptions(newFakeModels(t, map[string]*fakeEngine{"m": e})))
	seed := int64(100)
	r := api.CompletionRequest{Model: "m", Prompt: api.Prompt{Texts: []string{"x", "y", "z"}}, Sampling: api.Sampling{N: 4, Seed: &seed}}
	got, err := s.client.Complete(t.Context(), r)
	if err != nil {
		t.Fatal(err)
	}
	seeds := map[uint64]int{}
	for _, q := range e.requests {
		seeds[q.Sampling.Seed]++
	}
	if len(got.Choices) != 12 || fmt.Sprint(seeds) != "map[100:3 101:3 102:3 103:3]" {
		t.Errorf("%d choices with seeds %v", len(got.Choices), seeds)
	}
	for i, c := range got.Choices {
		if c.Index != i || c.Text != got.Choices[0].Text || *c.FinishReason != "stop" {
			t.Errorf("choice %d is %+v", i, c)
		}
	}
	stream, err := s.client.CompleteStream(t.Context(), r)
	if err != nil {
		t.Fatal(err)
	}
	defer stream.Close()
	ends, last := 0, (*api.Completion)(nil)
	for chunk, err := range stream.All() {
		if err != nil {
			t.Fatal(err)
		}
		if last != nil && last.Weft != nil {
			t.Error("something follows the chunk with what produced it")
		}
		if chunk.Choices[0].FinishReason != nil {
			ends++
		}
		last = chunk
	}
	if ends != 12 || last.Weft == nil || last.Weft.Seed != 100 {
		t.Errorf("%d choices ended; the last chunk is %+v", ends, last)
	}
}

// TestTCP holds what differs there: no administration, and no foreign pages.
func TestTCP(t *testing.T) {
	t.Parallel()
	models := newFakeModels(t, map[string]*fakeEngine{"m": {text: " a", finish: engine.FinishStop}})
	s := serveLive(t, testOptions(models))
	client := api.NewClient(api.Host{URL: "http://" + s.tcp})
	defer client.Close()
	if st, err := client.Status(t.Context()); err != nil || st.Caller.Network != "tcp" || st.Caller.Admin || st.Caller.UID != nil {
		t.Errorf("status: %+v, %v", st, err)
	}
	if st, err := s.client.Status(t.Context()); err != nil || st.Caller.Network != "unix" || !st.Caller.Admin || st.Caller.UID == nil {
		t.Errorf("status on the socket: %+v, %v", st, err)
	}
	var e *api.Error
	if _, err := client.Upload(t.Context(), "x", strings.NewReader("y"), 1); !errors.As(err, &e) || e.Status != 403 || *e.Code != api.CodeForbidden {
		t.Errorf("upload: %v", err)
	}
	if err := client.Delete(t.Context(), "x"); !errors.As(err, &e) || e.Status != 403 {
		t.Errorf("delete: %v", err)
	}
	for header, value := range map[string]string{"Host": "evil.example", "Origin": "http://evil.example"} {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://"+s.tcp+api.PathCompletions, strings.NewReader(`{"model":"m","prompt":"x"}`))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set(header, value)
		if header == "Host" {
			req.Host = value
		}
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode != http.StatusForbidden {
			t.Errorf("with a foreign %s: %s", header, resp.Status)
		}
	}
}

// TestStates holds what is answered while the daemon starts and while it stops.
func TestStates(t *testing.T) {
	t.Parallel()
	models := newFakeModels(t, map[string]*fakeEngine{"m": {text: " a", finish: engine.FinishStop}})
	var state string
	var mu sync.Mutex
	o := testOptions(models)
	o.State = func() string { mu.Lock(); defer mu.Unlock(); return state }
	s := serveLive(t, o)
	ask := func(model string) error {
		_, err := s.client.Complete(t.Context(), api.CompletionRequest{Model: model, Prompt: api.Text("x")})
		return err
	}
	for _, c := range []struct{ state, ready, there, missing string }{
		{StateStarting, "starting", "", "starting"},
		{StateReady, "", "", "model_not_found"},
		{StateDraining, "closing", "closing", "closing"},
	} {
		mu.Lock()
		state = c.state
		mu.Unlock()
		for what, got := range map[string]struct {
			err  error
			want string
		}{"ready": {s.client.Ready(t.Context()), c.ready}, "there": {ask("m"), c.there}, "missing": {ask("n"), c.missing}} {
			var e *api.Error
			if errors.As(got.err, &e) != (got.want != "") || e != nil && *e.Code != got.want {
				t.Errorf("%s, %s: got %v, want %q", c.state, what, got.err, got.want)
			}
		}
		if resp, err := http.Get("http://" + s.tcp + api.PathHealth); err != nil || resp.StatusCode != 200 {
			t.Errorf("%s: not healthy: %v", c.state, err)
		}
	}
}

// TestLogLine holds that a request leaves one line with everything but text.
func TestLogLine(t *testing.T) {
	t.Parallel()
	models := newFakeModels(t, map[string]*fakeEngine{"m": {text: " secretanswer", finish: engine.FinishStop}})
	s := serveLive(t, testOptions(models))
	for _, c := range []struct{ id, body, want string }{
		{"my-id.1", `{"model":"m","prompt":"secretprompt"}`, `level=INFO msg=request id=my-id.1 endpoint=completions who="uid=`},
		{"bad id {}", `{"model":"m","prompt":"secretprompt","max_tokens":1}`, "id=req-"},
		{"err", `{"model":"m","prompt":"x","stop":{"secret":1}}`, "code=invalid_value field=stop"},
		{"err2", `{"model":"m","prompt":"x","logit_bias":{"secret":1}}`, "code=invalid_value"},
	} {
		before := len(s.log.String())
		conn := s.raw(t, strings.Replace(post(api.PathCompletions, c.body), "\r\n", "\r\nX-Request-Id: "+c.id+"\r\n", 1))
		resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err != nil {
			t.Fatal(err)
		}
		if got := resp.Header.Get("X-Request-Id"); got != c.id && !strings.HasPrefix(got, "req-") || got == "bad id {}" {
			t.Errorf("answered with the id %q", got)
		}
		var line string
		eventually(t, "there is a line", func() bool { line = s.log.String()[before:]; return strings.HasSuffix(line, "\n") })
		if !strings.Contains(line, c.want) || strings.Count(line, "\n") != 1 {
			t.Errorf("got %q, want one line with %q", line, c.want)
		}
		conn.Close()
	}
	if strings.Contains(s.log.String(), "secret") {
		t.Errorf("text in the log: %s", s.log)
	}
	if line := s.log.String(); !strings.Contains(line, "model=m choices=1 tokens_in=") || !strings.Contains(line, "first_token=") || !strings.Contains(line, "end=stop") {
		t.Errorf("something is missing: %s", line)
	}
}

func TestMetrics(t *testing.T) {
	t.Parallel()
	models := newFakeModels(t, map[string]*fakeEngine{"m": {text: " a b", finish: engine.FinishStop}})
	o := testOptions(models)
	o.Connections = door.NewConnections(4)
	s := serveLive(t, o)
	if _, err := s.client.Complete(t.Context(), api.CompletionRequest{Model: "m", Prompt: api.Text("x")}); err != nil {
		t.Fatal(err)
	}
	if _, err := s.client.Complete(t.Context(), api.CompletionRequest{Model: "nobody" + strings.Repeat("x", 100), Prompt: api.Text("x")}); err == nil {
		t.Fatal("no error")
	}
	o.Metrics.Step(3, time.Millisecond)
	var text string
	eventually(t, "the requests are counted", func() bool {
		resp, err := http.Get("http://" + s.tcp + api.PathMetrics)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		b, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Fatal(err)
		}
		text = string(b)
		return strings.Contains(text, `weft_server_requests_total{code="404",endpoint="completions"} 1`)
	})
	for _, want := range []string{
		`weft_server_requests_total{code="200",endpoint="completions"} 1`,
		`weft_server_tokens_total{kind="completion"}`, `weft_server_tokens_total{kind="prompt"}`,
		"weft_server_first_token_seconds_count 1", "weft_server_inter_token_seconds_count", "weft_server_queue_seconds_count 1",
		"weft_engine_step_rows_sum 3", "weft_engine_step_duration_seconds_count 1",
		`weft_repository_resident_bytes{model="lily"} 1.572864e+06`, `weft_engine_running_sequences{model="lily"} 2`,
		`weft_repository_models{state="refused"} 1`, "weft_server_connections 0", `weft_build_info{version="v0"} 1`, "process_open_fds", "go_goroutines",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("no %s", want)
		}
	}
	if strings.Contains(text, "nobody") {
		t.Error("a name that a client invented became a label")
	}
}

// TestUploadBodies holds what an upload may do: take long, but not pause, and not end early.
func TestUploadBodies(t *testing.T) {
	t.Parallel()
	models := newFakeModels(t, nil)
	o := testOptions(models)
	o.BodyTimeout = 100 * time.Millisecond
	o.MaxBody = 10
	store := &fakeStore{files: map[string]string{}}
	o.Store = store
	s := serveLive(t, o)
	if got, err := s.client.Upload(t.Context(), "a", strings.NewReader(strings.Repeat("x", 1<<20)), -1); err != nil || got.Bytes != 1<<20 {
		t.Errorf("got %+v, %v", got, err)
	}
	conn := s.raw(t, "PUT /weft/v1/models/b HTTP/1.1\r\nHost: weft\r\nContent-Length: 100\r\n\r\nxxx")
	if got := statusOf(t, conn); got != 408 {
		t.Errorf("a body that pauses is answered %d", got)
	}
	if _, ok := store.files["b"]; ok {
		t.Error("half a file was stored")
	}
}

// TestCancelledContext holds that a request whose context ends, as at the end of a drain, ends too.
func TestCancelledContext(t *testing.T) {
	t.Parallel()
	e := &fakeEngine{text: " a", endless: true}
	s := serveLive(t, testOptions(newFakeModels(t, map[string]*fakeEngine{"m": e})))
	ctx, cancel := context.WithCancel(t.Context())
	stream, err := s.client.ChatStream(ctx, api.ChatRequest{Model: "m", Messages: []api.Message{api.NewMessage("user", "x")}})
	if err != nil {
		t.Fatal(err)
	}
	defer stream.Close()
	if _, err := stream.Next(); err != nil {
		t.Fatal(err)
	}
	cancel()
	eventually(t, "the sequence is cancelled", func() bool { return e.busy() == 0 })
}
