package daemon

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/weft-run/weft/daemon/config"
)

// listen opens every listener, or none.
func listen(ctx context.Context, cfg config.Config, log *slog.Logger) ([]net.Listener, error) {
	var open []net.Listener
	for _, a := range cfg.Listen {
		var l net.Listener
		var err error
		if a.Network == "unix" {
			l, err = listenUnix(ctx, a.Address, cfg.SocketGroup, log)
		} else {
			var lc net.ListenConfig
			l, err = lc.Listen(ctx, a.Network, a.Address)
		}
		if err != nil {
			for _, l := range open {
				l.Close()
			}
			return nil, fmt.Errorf("daemon: listening on %v: %w", a, err)
		}
		open = append(open, l)
	}
	return open, nil
}

// listenUnix opens a Unix socket for the daemon's user and the group's members. A socket that a crashed daemon left is taken away; one
// that somebody listens on is an error. Closing the listener removes the socket.
func listenUnix(ctx context.Context, path, group string, log *slog.Logger) (net.Listener, error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil { //nolint:gosec // clients of other groups must get to the socket, whose own mode decides
		return nil, err
	}
	if err := removeStale(ctx, path); err != nil {
		return nil, err
	}
	lc := net.ListenConfig{Control: func(_, _ string, c syscall.RawConn) error {
		var inner error
		// The socket file takes the mode of the descriptor it is bound to, so there is no moment at which others may connect.
		err := c.Control(func(fd uintptr) { inner = unix.Fchmod(int(fd), 0o600) })
		return errors.Join(err, inner)
	}}
	l, err := lc.Listen(ctx, "unix", path)
	if err != nil {
		return nil, err
	}
	if err := giveToGroup(path, group, log); err != nil {
		l.Close()
		return nil, err
	}
	return l, nil
}

// giveToGroup lets the members of a group use the socket. A machine without the group, or a daemon that is not in it, keeps
// the socket for the daemon's own group.
func giveToGroup(path, group string, log *slog.Logger) error {
	if g, err := user.LookupGroup(group); err == nil {
		gid, err := strconv.Atoi(g.Gid)
		if err != nil {
			return fmt.Errorf("group %s: %w", group, err)
		}
		if err := os.Chown(path, -1, gid); err != nil {
			log.Warn("the socket cannot be given to the group; only this user and its own group may use it", "socket", path, "group", group, "reason", err)
		}
	}
	return os.Chmod(path, 0o660) //nolint:gosec // the group is meant to connect
}

// removeStale takes away a socket that nobody listens on.
func removeStale(ctx context.Context, path string) error {
	info, err := os.Lstat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if info.Mode().Type() != fs.ModeSocket {
		return fmt.Errorf("%s exists and is not a socket; move it away or choose another path with --listen", path)
	}
	d := net.Dialer{Timeout: time.Second}
	conn, err := d.DialContext(ctx, "unix", path)
	switch {
	case err == nil:
		conn.Close()
		return fmt.Errorf("%s is %w; stop that one or choose another path with --listen", path, ErrInUse)
	case errors.Is(err, unix.ECONNREFUSED):
		return os.Remove(path)
	}
	// A full backlog, or a socket that is not ours to open: somebody may be there.
	return fmt.Errorf("%s may be %w: %w", path, ErrInUse, err)
}
