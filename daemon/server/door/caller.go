package door

import (
	"context"
	"fmt"
	"net"
	"syscall"

	"golang.org/x/sys/unix"
)

// Caller is who opened a connection, as the kernel tells it. On the Unix socket the ids are those of the process that connected, at
// the time it connected: a process that hands its descriptor to another lends it its authority, and PID may by now be another
// process, so it is for logs alone.
type Caller struct {
	Network string // "unix" or "tcp"; "" where there is no connection, as in tests
	Remote  string // address of a TCP caller
	UID     int    // -1 where not known
	GID     int    // -1 where not known
	PID     int    // -1 where not known
}

// unknown is the caller of a request that came over no connection of ours.
var unknown = Caller{UID: -1, GID: -1, PID: -1}

// String names the caller for a log line.
func (c Caller) String() string {
	switch {
	case c.UID >= 0:
		return fmt.Sprintf("uid=%d", c.UID)
	case c.Remote != "":
		return c.Remote
	}
	return "unknown"
}

// Domain names those who may find each other's prompts in the cache: the processes of one user. TCP callers cannot be told
// apart, so they are one domain.
func (c Caller) Domain() string {
	if c.UID >= 0 {
		return fmt.Sprintf("uid=%d", c.UID)
	}
	return c.Network
}

type (
	callerKey struct{}
	connKey   struct{}
)

// ConnContext is for http.Server.ConnContext: it finds the caller of a new connection and leaves it, and the connection, in the context
// of all its requests.
func ConnContext(ctx context.Context, conn net.Conn) context.Context {
	return WithCaller(context.WithValue(ctx, connKey{}, conn), callerOf(conn))
}

// WithCaller returns a context in which From finds the caller.
func WithCaller(ctx context.Context, c Caller) context.Context {
	return context.WithValue(ctx, callerKey{}, c)
}

// From returns the caller of a request by its context.
func From(ctx context.Context) Caller {
	if c, ok := ctx.Value(callerKey{}).(Caller); ok {
		return c
	}
	return unknown
}

func callerOf(conn net.Conn) Caller {
	c := unknown
	c.Network = conn.LocalAddr().Network()
	if c.Network != "unix" {
		c.Network = "tcp"
		c.Remote = conn.RemoteAddr().String()
		return c
	}
	if cred, err := peerCredentials(conn); err == nil {
		c.UID, c.GID, c.PID = int(cred.Uid), int(cred.Gid), int(cred.Pid)
	}
	return c // without credentials: nobody, who may do what anybody may
}

func peerCredentials(conn net.Conn) (*unix.Ucred, error) {
	sc, ok := conn.(syscall.Conn)
	if !ok {
		return nil, fmt.Errorf("door: %T has no descriptor", conn)
	}
	raw, err := sc.SyscallConn()
	if err != nil {
		return nil, err
	}
	var cred *unix.Ucred
	var inner error
	err = raw.Control(func(fd uintptr) {
		cred, inner = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED)
	})
	if err != nil {
		return nil, err
	}
	return cred, inner
}
