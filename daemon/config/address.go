package config

import (
	"fmt"
	"net"
	"net/url"
	"path/filepath"
	"strconv"
)

// maxSocketPath is the longest path of a Unix socket on Linux, in bytes (sun_path less its closing zero).
const maxSocketPath = 107

// Address is one place to listen at: network "unix" with an absolute path, or "tcp" with host:port.
type Address struct {
	Network string
	Address string
}

// ParseAddress reads "unix:///path" or "tcp://host:port".
func ParseAddress(text string) (Address, error) {
	u, err := url.Parse(text)
	if err != nil {
		return Address{}, fmt.Errorf("%w: listener %q: %w", ErrValue, text, err)
	}
	switch u.Scheme {
	case "unix":
		if u.Host != "" || !filepath.IsAbs(u.Path) {
			return Address{}, fmt.Errorf("%w: listener %q: a socket is written unix:///absolute/path", ErrValue, text)
		}
		path := filepath.Clean(u.Path)
		if len(path) > maxSocketPath {
			return Address{}, fmt.Errorf("%w: listener %q: the path has %d bytes and a socket may have %d; choose a shorter one with --listen",
				ErrValue, text, len(path), maxSocketPath)
		}
		return Address{Network: "unix", Address: path}, nil
	case "tcp", "http":
		host, port, err := net.SplitHostPort(u.Host)
		if err != nil || (u.Path != "" && u.Path != "/") {
			return Address{}, fmt.Errorf("%w: listener %q: TCP is written tcp://127.0.0.1:PORT", ErrValue, text)
		}
		if n, err := strconv.Atoi(port); err != nil || n < 0 || n > 65535 {
			return Address{}, fmt.Errorf("%w: listener %q: %q is not a port", ErrValue, text, port)
		}
		return Address{Network: "tcp", Address: net.JoinHostPort(host, port)}, nil
	}
	return Address{}, fmt.Errorf("%w: listener %q: it starts with neither unix:// nor tcp://", ErrValue, text)
}

// String returns the address as ParseAddress reads it.
func (a Address) String() string {
	return (&url.URL{Scheme: a.Network, Host: a.host(), Path: a.path()}).String()
}

func (a Address) host() string {
	if a.Network == "tcp" {
		return a.Address
	}
	return ""
}

func (a Address) path() string {
	if a.Network == "unix" {
		return a.Address
	}
	return ""
}
