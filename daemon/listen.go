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

// listen opens every listener, or none. stale is how many sockets of a killed daemon it took away.
func listen(ctx context.Context, cfg config.Config, log *slog.Logger) (open []net.Listener, stale int, err error) {
	for _, a := range cfg.Listen {
		var l net.Listener
		var err error
		if a.Network == "unix" {
			var took bool
			l, took, err = listenUnix(ctx, a.Address, cfg.SocketGroup, log)
			if took {
				stale++
			}
		} else {
			var lc net.ListenConfig
			l, err = lc.Listen(ctx, a.Network, a.Address)
		}
		if err != nil {
			for _, l := range open {
				l.Close()
			}
			return nil, stale, fmt.Errorf("daemon: listening on %v: %w", a, advised(err))
		}
		open = append(open, l)
	}
	return open, stale, nil
}

// advised says what to do about an error that is none of ours.
func advised(err error) error {
	switch {
	case errors.Is(err, unix.ENOSPC):
		return fmt.Errorf("%w; make room there or choose another path with --listen", err)
	case errors.Is(err, unix.EADDRINUSE):
		return fmt.Errorf("%w; stop what listens there or choose another port with --listen", err)
	case errors.Is(err, unix.EACCES), errors.Is(err, unix.EROFS):
		return fmt.Errorf("%w; make the folder writable for this user or choose another path with --listen", err)
	}
	return err
}

// listenUnix opens a Unix socket for the daemon's user and the group's members. A socket that a crashed daemon left is taken away; one
// that somebody listens on is an error. Closing the listener removes the socket.
func listenUnix(ctx context.Context, path, group string, log *slog.Logger) (l net.Listener, stale bool, err error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil { //nolint:gosec // clients of other groups must get to the socket, whose own mode decides
		return nil, false, err
	}
	if stale, err = removeStale(ctx, path); err != nil {
		return nil, false, err
	}
	lc := net.ListenConfig{Control: func(_, _ string, c syscall.RawConn) error {
		var inner error
		// The socket file takes the mode of the descriptor it is bound to, so there is no moment at which others may connect.
		err := c.Control(func(fd uintptr) { inner = unix.Fchmod(int(fd), 0o600) })
		return errors.Join(err, inner)
	}}
	if l, err = lc.Listen(ctx, "unix", path); err != nil {
		return nil, stale, err
	}
	if err := giveToGroup(path, group, log); err != nil {
		l.Close()
		return nil, stale, err
	}
	return l, stale, nil
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

// removeStale takes away a socket that nobody listens on, and says whether there was one.
func removeStale(ctx context.Context, path string) (bool, error) {
	info, err := os.Lstat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	if info.Mode().Type() != fs.ModeSocket {
		return false, fmt.Errorf("%s exists and is not a socket; move it away or choose another path with --listen", path)
	}
	d := net.Dialer{Timeout: time.Second}
	conn, err := d.DialContext(ctx, "unix", path)
	switch {
	case err == nil:
		conn.Close()
		return false, fmt.Errorf("%s is %w; stop that one or choose another path with --listen", path, ErrInUse)
	case errors.Is(err, unix.ECONNREFUSED):
		return true, os.Remove(path)
	}
	// A full backlog, or a socket that is not ours to open: somebody may be there.
	return false, fmt.Errorf("%s may be %w: %w", path, ErrInUse, err)
}
