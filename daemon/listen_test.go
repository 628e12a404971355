package daemon

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/weft-run/weft/daemon/config"
)

func quiet() *slog.Logger { return slog.New(slog.DiscardHandler) }

func TestSocketIsForUserAndGroup(t *testing.T) {
	path := filepath.Join(t.TempDir(), "run", "weftd.sock")
	l, _, err := listenUnix(context.Background(), path, "no-such-group", quiet())
	must(t, err)
	info, err := os.Stat(path)
	must(t, err)
	if info.Mode().Perm() != 0o660 {
		t.Errorf("the socket has mode %v", info.Mode().Perm())
	}
	_, _, err = listenUnix(context.Background(), path, "", quiet())
	if !errors.Is(err, ErrInUse) {
		t.Errorf("listening on a live socket: %v", err)
	}
	must(t, l.Close())
	if _, err := os.Stat(path); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the socket is there after its end: %v", err)
	}
}

func TestStaleSocketIsTakenAway(t *testing.T) {
	path := filepath.Join(t.TempDir(), "weftd.sock")
	crashed, err := net.Listen("unix", path)
	must(t, err)
	crashed.(*net.UnixListener).SetUnlinkOnClose(false)
	must(t, crashed.Close())
	l, _, err := listenUnix(context.Background(), path, "", quiet())
	must(t, err)
	must(t, l.Close())
}

func TestWhatIsNotASocketStays(t *testing.T) {
	path := filepath.Join(t.TempDir(), "weftd.sock")
	must(t, os.WriteFile(path, []byte("precious"), 0o600))
	_, _, err := listenUnix(context.Background(), path, "", quiet())
	if err == nil || !strings.Contains(err.Error(), "is not a socket") {
		t.Errorf("listening where a file is: %v", err)
	}
	if got, _ := os.ReadFile(path); string(got) != "precious" {
		t.Error("the file was changed")
	}
}

func TestListenIsAllOrNothing(t *testing.T) {
	cfg := config.Default()
	path := filepath.Join(t.TempDir(), "weftd.sock")
	busy, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	defer busy.Close()
	cfg.Listen = []config.Address{{Network: "unix", Address: path}, {Network: "tcp", Address: busy.Addr().String()}}
	_, _, err = listen(context.Background(), cfg, quiet())
	if err == nil || !strings.Contains(err.Error(), "tcp://"+busy.Addr().String()) || !strings.Contains(err.Error(), "choose another port") {
		t.Errorf("listening on a busy port: %v", err)
	}
	if _, err := os.Stat(path); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the first listener's socket is still there: %v", err)
	}
}
