package api

import (
	"fmt"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strings"
)

// Host is where a daemon listens: a Unix socket or a TCP address.
type Host struct {
	Socket string // path of a Unix socket; else
	URL    string // http://host:port, no path
}

func (h Host) String() string {
	if h.Socket != "" {
		return "unix://" + h.Socket
	}
	return h.URL
}

// ParseHost reads unix:///path, a plain path, http://host:port, https://host:port or tcp://host:port.
func ParseHost(s string) (Host, error) {
	if strings.HasPrefix(s, "/") {
		return Host{Socket: s}, nil
	}
	if name, port, err := net.SplitHostPort(s); err == nil && name != "" && port != "" && strings.Trim(port, "0123456789") == "" {
		return Host{}, fmt.Errorf("api: host %q: want unix:///path or http://host:port; did you mean http://%s?", s, s)
	}
	u, err := url.Parse(s)
	if err != nil {
		return Host{}, fmt.Errorf("api: host %q: %w", s, err)
	}
	switch u.Scheme {
	case "unix":
		if u.Host != "" || !strings.HasPrefix(u.Path, "/") {
			return Host{}, fmt.Errorf("api: host %q: a socket is written unix:///absolute/path", s)
		}
		return Host{Socket: u.Path}, nil
	case "tcp", "http", "https":
		if u.Host == "" || strings.Trim(u.Path, "/") != "" || u.RawQuery != "" || u.Fragment != "" || u.User != nil {
			return Host{}, fmt.Errorf("api: host %q: want http://host:port and nothing else", s)
		}
		if u.Scheme == "tcp" {
			u.Scheme = "http"
		}
		h := Host{URL: u.Scheme + "://" + u.Host}
		if _, err := url.Parse(h.URL); err != nil { // which is stricter about the host of an http URL
			return Host{}, fmt.Errorf("api: host %q: %w", s, err)
		}
		return h, nil
	}
	return Host{}, fmt.Errorf("api: host %q: want unix:///path or http://host:port", s)
}

// FindHost says where the daemon of this machine most likely is, as its own defaults have it: $WEFT_HOST, else the first of
// /run/weft/weftd.sock, $XDG_RUNTIME_DIR/weft/weftd.sock and weftd.sock in the user's data folder that exists, else the first of
// them. getenv is os.Getenv outside tests.
func FindHost(getenv func(string) string) (Host, error) {
	if s := getenv("WEFT_HOST"); s != "" {
		h, err := ParseHost(s)
		if err != nil {
			return Host{}, fmt.Errorf("WEFT_HOST: %w", err)
		}
		return h, nil
	}
	sockets := []string{"/run/weft/weftd.sock"}
	if dir := getenv("XDG_RUNTIME_DIR"); dir != "" {
		sockets = append(sockets, filepath.Join(dir, "weft", "weftd.sock"))
	}
	if dir := getenv("WEFT_DATA_DIR"); dir != "" {
		sockets = append(sockets, filepath.Join(dir, "weftd.sock"))
	}
	data := getenv("XDG_DATA_HOME")
	if home := getenv("HOME"); data == "" && home != "" {
		data = filepath.Join(home, ".local", "share")
	}
	if data != "" {
		sockets = append(sockets, filepath.Join(data, "weft", "weftd.sock"))
	}
	for _, s := range sockets {
		if _, err := os.Stat(s); err == nil {
			return Host{Socket: s}, nil
		}
	}
	return Host{Socket: sockets[0]}, nil
}
