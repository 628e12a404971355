package door

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// TestPolicy (H36): names and pages that a browser was made to bring.
func TestPolicy(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, host, origin string
		policy             Policy
		unix               bool
		refused            string // the header at fault
		cross              bool
	}{
		{name: "localhost", host: "localhost:8080"},
		{name: "localhost in capitals, with a dot", host: "LocalHost.:8080"},
		{name: "a name below localhost", host: "app.localhost"},
		{name: "loopback", host: "127.0.0.1:8080"},
		{name: "another address", host: "192.168.1.7:8080"},
		{name: "IPv6", host: "[::1]:8080"},
		{name: "IPv6 without port", host: "[fe80::1]"},
		{name: "HTTP/1.0 without a name", host: ""},
		{name: "a rebound name", host: "evil.example:8080", refused: "Host"},
		{name: "a name that ends like ours", host: "evillocalhost", refused: "Host"},
		{name: "a name that begins like an address", host: "127.0.0.1.evil.example", refused: "Host"},
		{name: "an allowed name", host: "Box.lan:8080", policy: Policy{Hosts: []string{"box.lan"}}},
		{name: "any name", host: "evil.example", policy: Policy{Hosts: []string{"*"}}},
		{name: "the same origin", host: "localhost:8080", origin: "http://localhost:8080"},
		{name: "another port", host: "localhost:8080", origin: "http://localhost:3000", refused: "Origin"},
		{name: "a foreign page", host: "127.0.0.1:8080", origin: "https://evil.example", refused: "Origin"},
		{name: "no page at all", host: "127.0.0.1:8080", origin: "null", refused: "Origin"},
		{name: "a page of no web", host: "127.0.0.1:8080", origin: "file://127.0.0.1:8080", refused: "Origin"},
		{name: "an allowed page", host: "127.0.0.1:8080", origin: "https://app.example", policy: Policy{Origins: []string{"https://app.example"}}, cross: true},
		{name: "any page, but a rebound name", host: "evil.example", origin: "http://evil.example", policy: Policy{Origins: []string{"*"}}, refused: "Host"},
		{name: "anything on the socket", host: "evil.example", origin: "https://evil.example", unix: true},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			r := httptest.NewRequest(http.MethodPost, "/", nil)
			r.Host = c.host
			if c.origin != "" {
				r.Header.Set("Origin", c.origin)
			}
			caller := Caller{Network: "tcp"}
			if c.unix {
				caller.Network = "unix"
			}
			cross, err := c.policy.Check(r.WithContext(WithCaller(r.Context(), caller)))
			refused := ""
			var foreign *ForeignError
			if errors.As(err, &foreign) {
				refused = foreign.Header
			}
			if refused != c.refused || cross != c.cross {
				t.Errorf("got cross %v, %v", cross, err)
			}
		})
	}
}

func TestPreflight(t *testing.T) {
	t.Parallel()
	r := httptest.NewRequest(http.MethodOptions, "/v1/completions", nil)
	r.Header.Set("Origin", "https://app.example")
	r.Header.Set("Access-Control-Request-Method", "POST")
	r.Header.Set("Access-Control-Request-Headers", "content-type")
	w := httptest.NewRecorder()
	if !Allow(w, r) || w.Code != http.StatusNoContent || w.Header().Get("Access-Control-Allow-Origin") != "https://app.example" ||
		w.Header().Get("Access-Control-Allow-Headers") != "content-type" {
		t.Errorf("answered %d %v", w.Code, w.Header())
	}
	w = httptest.NewRecorder()
	r = httptest.NewRequest(http.MethodPost, "/v1/completions", nil)
	if Allow(w, r) {
		t.Error("a request was taken for a preflight")
	}
}

// serve starts a server with the hooks under test.
func serve(t *testing.T, network, address string, connections *Connections, h http.HandlerFunc) net.Addr {
	t.Helper()
	l, err := net.Listen(network, address)
	if err != nil {
		t.Fatal(err)
	}
	srv := &http.Server{Handler: h, ConnContext: ConnContext, ConnState: connections.ConnState}
	go srv.Serve(l)
	t.Cleanup(func() { srv.Close() })
	return l.Addr()
}

func TestCaller(t *testing.T) {
	t.Parallel()
	callers := make(chan Caller, 1)
	h := func(_ http.ResponseWriter, r *http.Request) { callers <- From(r.Context()) }
	ask := func(network string, addr net.Addr) Caller {
		t.Helper()
		client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			var d net.Dialer
			return d.DialContext(ctx, network, addr.String())
		}}}
		resp, err := client.Get("http://weft/")
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		return <-callers
	}
	unix := serve(t, "unix", filepath.Join(t.TempDir(), "s"), NewConnections(8, 8), h)
	if got, want := ask("unix", unix), (Caller{Network: "unix", UID: os.Getuid(), GID: os.Getgid(), PID: os.Getpid()}); got != want {
		t.Errorf("on the socket: got %+v, want %+v", got, want)
	}
	tcp := serve(t, "tcp", "127.0.0.1:0", NewConnections(8, 8), h)
	if got := ask("tcp", tcp); got.Network != "tcp" || got.UID != -1 || got.Remote == "" || got.String() != got.Remote {
		t.Errorf("over TCP: got %+v", got)
	}
	if got := From(t.Context()); got != unknown || got.String() != "unknown" {
		t.Errorf("nobody: got %+v", got)
	}
}

// TestConnections holds who goes for whom.
func TestConnections(t *testing.T) {
	t.Parallel()
	now := time.Unix(0, 0)
	pipe := func() net.Conn {
		a, b := net.Pipe()
		t.Cleanup(func() { a.Close(); b.Close() })
		return a
	}
	c := NewConnections(4, 3)
	in := func(conn net.Conn, network string, who any) net.Conn {
		now = now.Add(time.Second)
		return c.note(conn, mark{network, who, fresh, now})
	}
	at := func(conn net.Conn, s stage) {
		now = now.Add(time.Second)
		if c.note(conn, mark{stage: s, since: now}) != nil {
			t.Error("a connection went for one that was there already")
		}
	}
	work := func(conn net.Conn) { c.Working(context.WithValue(t.Context(), connKey{}, conn)) }

	a, b, d := pipe(), pipe(), pipe()
	for _, x := range []net.Conn{a, b, d} {
		if in(x, "unix", 1) != nil {
			t.Fatal("a connection within the limits was closed")
		}
		at(x, reading)
		work(x)
	}
	if e := pipe(); in(e, "unix", 1) != e {
		t.Error("with all of a user at work the user's newcomer is not turned away")
	}
	e := pipe()
	if in(e, "unix", 2) != nil || in(pipe(), "tcp", "127.0.0.1") != nil {
		t.Error("another user, or another network, was turned away")
	}
	at(e, reading)
	f := pipe()
	if in(f, "unix", 3) != e {
		t.Error("a request that is only arriving was not given up for a newcomer")
	}
	at(e, reading) // it was closed a moment ago, and comes not back
	at(f, reading)
	work(f)
	at(b, idle)
	at(a, idle)
	g := pipe()
	if in(g, "unix", 4) != b {
		t.Error("the longest idle was not closed")
	}
	h := pipe()
	if in(h, "unix", 4) != a {
		t.Error("the next idle was not closed")
	}
	if i := pipe(); in(i, "unix", 5) != g {
		t.Error("the one that never asked was not closed")
	}
	if c.Held() != 5 {
		t.Errorf("%d are held", c.Held())
	}
	c.forget(d)
	if in(pipe(), "unix", 6) != nil || c.Held() != 5 {
		t.Error("a closed connection keeps its place")
	}
}

// TestIdleCrowd opens far more connections than are held; the last request is still served.
func TestIdleCrowd(t *testing.T) {
	t.Parallel()
	connections := NewConnections(8, 8)
	addr := serve(t, "unix", filepath.Join(t.TempDir(), "s"), connections, func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "ok") })
	for range 200 {
		conn, err := net.Dial("unix", addr.String())
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
	}
	client := &http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		var d net.Dialer
		return d.DialContext(ctx, "unix", addr.String())
	}}}
	defer client.CloseIdleConnections()
	resp, err := client.Get("http://weft/")
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if n := connections.Held(); n > 8 {
		t.Errorf("%d connections are held", n)
	}
}
