package server

import (
	"bufio"
	"bytes"
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

// raw sends bytes over a fresh connection to the socket, in the background: the server may answer before it has read them all.
func (s *liveServer) raw(t *testing.T, request string) net.Conn {
	t.Helper()
	conn, _ := s.send(t, request)
	return conn
}

// send is raw, with a channel that is closed when all is written or nobody takes more.
func (s *liveServer) send(t *testing.T, request string) (net.Conn, <-chan struct{}) {
	t.Helper()
	conn, err := net.Dial("unix", s.socket)
	if err != nil {
		t.Fatal(err)
	}
	sent := make(chan struct{})
	go func() {
		defer close(sent)
		io.WriteString(conn, request)
	}()
	t.Cleanup(func() {
		conn.Close()
		<-sent
	})
	return conn, sent
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
	models.context = 1 << 20
	o := testOptions(models)
	o.MaxBody = 300 << 10
	s := serveLive(t, o)
	o = testOptions(models)
	o.BodyTimeout = 50 * time.Millisecond
	hurried := serveLive(t, o) // apart, because a busy machine pauses too
	large := `{"model":"m","prompt":"` + strings.Repeat("x", 301<<10) + `"}`
	for _, c := range []struct {
		name, request string
		want          int
	}{
		{"too slow", "POST /v1/completions HTTP/1.1\r\nHost: weft\r\nContent-Length: 100\r\n\r\n{", 408},
		{"announced too large", post(api.PathCompletions, large), 413},
		{"too large in chunks", fmt.Sprintf("POST /v1/completions HTTP/1.1\r\nHost: weft\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n0\r\n\r\n", len(large), large), 413},
		{"within the limit", post(api.PathCompletions, `{"model":"m","prompt":"`+strings.Repeat("x ", 100<<10)+`"}`), 200},
		{"no JSON", post(api.PathCompletions, "\x00\xff"), 400},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			to := s
			if c.want == http.StatusRequestTimeout {
				to = hurried
			}
			if got := statusOf(t, to.raw(t, c.request)); got != c.want {
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
	models.context = 1 << 20
	o := testOptions(models)
	o.MaxBody = 1 << 20
	o.BodyRoom = 4 << 20
	s := serveLive(t, o)
	body := `{"model":"m","prompt":"` + strings.Repeat("x ", 300<<10) + `"}`
	request := post(api.PathCompletions, body)
	conns := map[net.Conn]<-chan struct{}{}
	for range 8 { // all but the last byte: each body holds its room
		conn, sent := s.send(t, request[:len(request)-1])
		conns[conn] = sent
	}
	eventually(t, "some are turned away", func() bool { return strings.Contains(s.log.String(), "status=503") })
	if !strings.Contains(s.log.String(), "too many large requests") {
		t.Errorf("for another reason: %s", s.log)
	}
	for conn, sent := range conns {
		<-sent // what is closed before it was sent is no request, and not in the log
		conn.Close()
	}
	eventually(t, "all are gone", func() bool { return strings.Count(s.log.String(), "msg=request") == len(conns) })
	for i := range 8 { // one after the other there is room, though none of them ends
		s.raw(t, request)
		eventually(t, "it is at work", func() bool { return e.busy() == i+1 })
	}
}

// TestUploadBodies holds what an upload may do: take long, but not pause, and not end early.
func TestUploadBodies(t *testing.T) {
	t.Parallel()
	models := newFakeModels(t, nil)
	o := testOptions(models)
	o.MaxBody = 10
	store := &fakeStore{files: map[string]string{}}
	o.Store = store
	s := serveLive(t, o)
	if got, err := s.client.Upload(t.Context(), "a", strings.NewReader(strings.Repeat("x", 1<<20)), -1); err != nil || got.Bytes != 1<<20 {
		t.Errorf("got %+v, %v", got, err)
	}
	o = testOptions(models)
	o.BodyTimeout, o.Store = 50*time.Millisecond, store
	s = serveLive(t, o) // another, because a busy machine pauses too
	conn := s.raw(t, "PUT /weft/v1/models/b HTTP/1.1\r\nHost: weft\r\nContent-Length: 100\r\n\r\nxxx")
	if got := statusOf(t, conn); got != 408 {
		t.Errorf("a body that pauses is answered %d", got)
	}
	if _, ok := store.files["b"]; ok {
		t.Error("half a file was stored")
	}
}
