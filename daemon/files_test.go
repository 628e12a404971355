package daemon

import (
	"bytes"
	"log/slog"
	"net"
	"os"
	"strings"
	"syscall"
	"testing"

	"github.com/weft-run/weft/daemon/config"
)

func TestConnectionLimit(t *testing.T) {
	one := []config.Address{{Network: "unix", Address: "/a"}, {Network: "unix", Address: "/b"}}
	both := append(one[:2:2], config.Address{Network: "tcp", Address: "127.0.0.1:1"})
	for name, c := range map[string]struct {
		listen []config.Address
		files  uint64
		want   int
		said   bool
	}{
		"enough":          {one, 5000, 4096, false},
		"without limit":   {both, 1<<64 - 1, 4096, false},
		"1024":            {one, 1024, 512, true},
		"1024 over both":  {both, 1024, 256, true},
		"hardly anything": {both, 64, fewestConnections, true},
	} {
		t.Run(name, func(t *testing.T) {
			var log bytes.Buffer
			cfg := config.Default()
			cfg.Listen = c.listen
			if got := connectionLimit(cfg, c.files, slog.New(slog.NewTextHandler(&log, nil))); got != c.want {
				t.Errorf("%d connections, want %d", got, c.want)
			}
			if said := strings.Contains(log.String(), "LimitNOFILE="); said != c.said {
				t.Errorf("the log is %q", log.String())
			}
		})
	}
	if n := openFiles(); n < 64 {
		t.Errorf("this process may open %d files", n)
	}
}

// crowded is a listener on a process that has opened all it may.
type crowded struct{ net.Listener }

func (crowded) Accept() (net.Conn, error) {
	return nil, &net.OpError{Op: "accept", Err: os.NewSyscallError("accept4", syscall.EMFILE)}
}
func (crowded) Addr() net.Addr { return &net.UnixAddr{Name: "/s", Net: "unix"} }

// A listener without descriptors says so once in a while, and hands the error on, which net/http waits for and tries again.
func TestNoDescriptorsIsASentence(t *testing.T) {
	var log bytes.Buffer
	l := &patient{Listener: crowded{}, log: slog.New(slog.NewTextHandler(&log, nil))}
	for range 100 {
		_, err := l.Accept()
		temporary, ok := err.(interface{ Temporary() bool })
		if !ok || !temporary.Temporary() {
			t.Fatalf("the error is %v, for which net/http ends", err)
		}
	}
	if strings.Count(log.String(), "no connection is taken until others end") != 1 || !strings.Contains(log.String(), "too many open files") {
		t.Errorf("log is %q", log.String())
	}
}
