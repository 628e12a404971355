package door

import (
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
)

// Policy says which names a TCP listener answers to and which foreign pages may speak to it from a browser. A page that had its name
// pointed at 127.0.0.1 (DNS rebinding) is told apart by the Host header, which then holds that page's name. The Unix socket needs no
// such check: no browser reaches it.
type Policy struct {
	Hosts   []string // names beside localhost and plain addresses; "*" is any
	Origins []string // such as "https://app.example"; "*" is any
}

// ForeignError refuses a request that a page of a foreign site sent.
type ForeignError struct {
	Header string // "Host" or "Origin"
	Value  string
}

func (e *ForeignError) Error() string {
	if e.Header == "Origin" {
		return fmt.Sprintf("Origin %q is not allowed: pages of other sites may send requests only where the setting allowed_origins names them", e.Value)
	}
	return fmt.Sprintf("%s %q is not allowed: requests over TCP must name localhost, an address or a name in the setting allowed_hosts", e.Header, e.Value)
}

// Check returns a *ForeignError for a request that is not to be served. cross is true for one that comes from an allowed page of
// another origin, whose browser needs to be told so.
func (p Policy) Check(r *http.Request) (cross bool, err error) {
	if From(r.Context()).Network == "unix" {
		return false, nil
	}
	if !p.hostAllowed(r.Host) {
		return false, &ForeignError{Header: "Host", Value: r.Host}
	}
	origin := r.Header.Get("Origin")
	if origin == "" {
		return false, nil
	}
	if u, err := url.Parse(origin); err == nil && (u.Scheme == "http" || u.Scheme == "https") && strings.EqualFold(u.Host, r.Host) {
		return false, nil
	}
	for _, o := range p.Origins {
		if o == "*" || strings.EqualFold(o, origin) {
			return true, nil
		}
	}
	return false, &ForeignError{Header: "Origin", Value: origin}
}

func (p Policy) hostAllowed(hostport string) bool {
	host := hostport
	if h, _, err := net.SplitHostPort(hostport); err == nil {
		host = h
	}
	host = strings.ToLower(strings.TrimSuffix(strings.Trim(host, "[]"), "."))
	if host == "" || host == "localhost" || strings.HasSuffix(host, ".localhost") {
		return true // without a Host speaks HTTP/1.0, which no browser does
	}
	if _, err := netip.ParseAddr(host); err == nil {
		return true
	}
	for _, h := range p.Hosts {
		if h == "*" || strings.EqualFold(h, host) {
			return true
		}
	}
	return false
}

// Allow tells the browser of an allowed foreign page what it may do, and says whether the request was only its question (a
// preflight), which is then answered.
func Allow(w http.ResponseWriter, r *http.Request) (answered bool) {
	h := w.Header()
	h.Set("Access-Control-Allow-Origin", r.Header.Get("Origin"))
	h.Add("Vary", "Origin")
	h.Set("Access-Control-Expose-Headers", "X-Request-Id, Retry-After")
	if r.Method != http.MethodOptions || r.Header.Get("Access-Control-Request-Method") == "" {
		return false
	}
	h.Set("Access-Control-Allow-Methods", "GET, POST, PUT, DELETE")
	if want := r.Header.Get("Access-Control-Request-Headers"); want != "" {
		h.Set("Access-Control-Allow-Headers", want)
	}
	h.Set("Access-Control-Max-Age", "600")
	w.WriteHeader(http.StatusNoContent)
	return true
}
