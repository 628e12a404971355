package door

import (
	"errors"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"testing"
)

// FuzzPolicy: no Host and no Origin of a foreign page gets through, whatever they look like: what is let in by default names this
// machine or an address, and a page of the same host.
func FuzzPolicy(f *testing.F) {
	for _, seed := range [][2]string{
		{"localhost:8080", ""},
		{"127.0.0.1", "http://127.0.0.1"},
		{"[::1]:80", "null"},
		{"evil.example", ""},
		{"evil.example.localhost.", "https://evil.example"},
		{"localhost@evil.example", "http://localhost@evil.example"},
		{"[fe80::1%25eth0]", "http://[fe80::1%25eth0]"},
		{"::1", "file://"},
		{"a:b:c", "http://a:b:c"},
	} {
		f.Add(seed[0], seed[1])
	}
	f.Fuzz(func(t *testing.T, host, origin string) {
		ctx := WithCaller(t.Context(), Caller{Network: "tcp", UID: -1, GID: -1, PID: -1})
		r := (&http.Request{Host: host, URL: &url.URL{Path: "/"}, Header: http.Header{"Origin": {origin}}}).WithContext(ctx)
		cross, err := Policy{}.Check(r)
		if cross {
			t.Fatal("a foreign page is allowed that nobody named")
		}
		if err != nil {
			if foreign := (*ForeignError)(nil); !errors.As(err, &foreign) {
				t.Fatalf("the error is %v", err)
			}
			return
		}
		if u, err := url.Parse(origin); origin != "" && (err != nil || !strings.EqualFold(u.Host, host)) {
			t.Fatalf("origin %q is allowed at host %q", origin, host)
		}
		// An independent reading of what is this machine: the name without port, brackets and the final dot.
		name := strings.ToLower(host)
		if name == "" || strings.Contains(name, "localhost") {
			return
		}
		for _, text := range []string{name, name[:max(strings.LastIndexByte(name, ':'), 0)]} {
			if _, err := netip.ParseAddr(strings.TrimSuffix(strings.Trim(text, "[]"), ".")); err == nil || strings.Trim(text, "[].") == "" {
				return
			}
		}
		t.Fatalf("host %q is allowed", host)
	})
}
