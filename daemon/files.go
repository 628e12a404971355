package daemon

import (
	"errors"
	"log/slog"
	"math"
	"net"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/weft-run/weft/daemon/config"
)

// ownFiles are the descriptors that are kept for models, state, the log and whatever else is not a connection.
const ownFiles = 512

// fewestConnections are held in any case, however little the process may open.
const fewestConnections = 8

// openFiles is how many descriptors the process may have. The Go runtime has raised the soft limit to the hard one by now.
func openFiles() uint64 {
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		return math.MaxInt64
	}
	return limit.Cur
}

// connectionLimit is how many connections to hold over each network: max_connections, or less where the process may not open that
// many files. So it is not accept that fails in a crowd, but the longest idle connection that makes room.
func connectionLimit(cfg config.Config, files uint64, log *slog.Logger) int {
	networks := map[string]bool{}
	for _, a := range cfg.Listen {
		networks[a.Network] = true
	}
	if files > math.MaxInt32 {
		return cfg.MaxConnections
	}
	room := (int(files) - ownFiles) / max(len(networks), 1)
	if room >= cfg.MaxConnections {
		return cfg.MaxConnections
	}
	room = min(max(room, fewestConnections), cfg.MaxConnections)
	log.Warn("the process may open too few files for max_connections and holds fewer; raise LimitNOFILE= of the unit (or ulimit -n), or lower max_connections",
		"open_files", files, "max_connections", cfg.MaxConnections, "holds", room)
	return room
}

// saidEvery is how long a patient listener says nothing again.
const saidEvery = time.Minute

// patient is a listener that says why it accepts nothing when descriptors have run out. net/http waits a moment and tries again.
type patient struct {
	net.Listener
	log *slog.Logger

	mu   sync.Mutex
	said time.Time // under mu
}

func (p *patient) Accept() (net.Conn, error) {
	conn, err := p.Listener.Accept()
	if errors.Is(err, syscall.EMFILE) || errors.Is(err, syscall.ENFILE) {
		p.say(err)
	}
	return conn, err
}

func (p *patient) say(err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if time.Since(p.said) < saidEvery {
		return
	}
	p.said = time.Now()
	p.log.Warn("no connection is taken until others end: no more files can be opened; raise LimitNOFILE= of the unit (or ulimit -n), or lower max_connections",
		"listener", p.Addr(), "reason", err)
}
