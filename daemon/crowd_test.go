package daemon

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/weft-run/weft/daemon/api"
)

// dial opens a connection to the daemon's socket. The descriptor is closed at the end of the test.
func (l *live) dial() net.Conn {
	l.t.Helper()
	conn, err := net.Dial("unix", l.cfg.Listen[0].Address)
	must(l.t, err)
	l.t.Cleanup(func() { conn.Close() })
	return conn
}

// get asks for a path on a connection of its own.
func (l *live) get(path string) (int, string) {
	l.t.Helper()
	conn := l.dial()
	defer conn.Close()
	fmt.Fprintf(conn, "GET %s HTTP/1.1\r\nHost: weft\r\nConnection: close\r\n\r\n", path)
	must(l.t, conn.SetReadDeadline(time.Now().Add(20*time.Second)))
	r, err := http.ReadResponse(bufio.NewReader(conn), nil)
	must(l.t, err)
	defer r.Body.Close()
	body, err := io.ReadAll(r.Body)
	must(l.t, err)
	return r.StatusCode, string(body)
}

// descriptors counts what this process has open: the daemon's sockets and the test's own.
func descriptors(t *testing.T) int {
	t.Helper()
	fds, err := os.ReadDir("/proc/self/fd")
	must(t, err)
	return len(fds)
}

// TestH34IdleCrowd: 10,000 connections that ask for nothing, a quarter of each kind: silent ones, ones that had an answer, ones that began a
// header, ones that began a body. Through all of it the next client is answered at once and a running stream goes on, the
// daemon's descriptors stay bounded, and when the crowd has gone nothing of it is left.
func TestH34IdleCrowd(t *testing.T) {
	crowd := 10_000
	if testing.Short() {
		crowd = 1000
	}
	if room := int(min(openFiles(), 1<<20)) - 2000; crowd > room {
		t.Logf("this process may open too few files for a crowd of %d", crowd)
		crowd = max(room, 200)
	}
	cfg := liveSettings(dataDir(t))
	cfg.MaxConnections, cfg.MaxPerCaller = 512, 256
	l := startLive(t, cfg)
	l.rename("m.gguf", tiny(1))
	want, _ := l.ask("m", 500)
	stream, got := l.stream("m", 500)
	before := descriptors(t)
	const whole = "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"
	for name, says := range map[string]string{
		"silent": "", "answered once": whole, "half a header": whole[:20],
		"half a body": "POST /v1/completions HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{",
	} {
		t.Run(name, func(t *testing.T) {
			var conns []net.Conn
			defer func() {
				for _, c := range conns {
					c.Close()
				}
			}()
			for i := range crowd / 4 {
				conn, err := net.Dial("unix", cfg.Listen[0].Address)
				must(t, err)
				conns = append(conns, conn)
				io.WriteString(conn, says)
				if i%500 == 250 {
					if status, _ := l.get("/v1/models"); status != http.StatusOK {
						t.Fatalf("behind %d connections the answer is %d", i, status)
					}
				}
			}
			if status, _ := l.get("/v1/models"); status != http.StatusOK {
				t.Errorf("the answer is %d", status)
			}
			if n := descriptors(t) - before - len(conns); n > 512+50 {
				t.Errorf("the daemon holds %d descriptors more than before", n)
			}
		})
	}
	more, _, err := rest(stream)
	if err != nil || !slices.Equal(append(got, more...), want) {
		t.Errorf("the stream beside them gave %d tokens and %v", len(got)+len(more), err)
	}
	l.until("the descriptors to be given back", func() bool { return descriptors(t) <= before+5 })
}

// heapInUse is the memory of live objects, in bytes.
func heapInUse() int64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// deadReaderBytes bounds what one reader that reads nothing may cost the daemon: the tokens that wait for it with twenty alternatives
// each, the buffers of its connection and the request itself.
const deadReaderBytes = 512 << 10

// TestH34DeadReaders: many clients that ask for long answers and read nothing. Each costs a bounded amount of memory, however long
// its answer would be; others that ask behind them get theirs whole; and after stall_timeout nothing of them is left.
func TestH34DeadReaders(t *testing.T) {
	const dead = 40 // five times what is decoded at once
	cfg := liveSettings(dataDir(t))
	cfg.StallTimeout = 3 * time.Second
	l := startLive(t, cfg)
	l.rename("m.gguf", tiny(1))
	want, _ := l.ask("m", 500)
	cold, n, alternatives := 0.0, 2000, 20
	r := request("m", n)
	r.Sampling = api.Sampling{Temperature: &cold, IgnoreEOS: true, Stream: true}
	r.Logprobs = &alternatives
	body, err := json.Marshal(r)
	must(t, err)
	before := heapInUse()
	for range dead {
		conn := l.dial()
		fmt.Fprintf(conn, "POST %s HTTP/1.1\r\nHost: weft\r\nContent-Length: %d\r\n\r\n%s", api.PathCompletions, len(body), body)
	}
	l.until("all of them to have come to work", func() bool { // on a busy machine the first are given up before the last are there
		gone := strings.Count(l.log.String(), "status=499")
		m, _ := l.model("m")
		return m.Running+m.Queued+gone == dead
	})
	for range 3 {
		if got, _ := l.ask("m", 500); !slices.Equal(got, want) {
			t.Error("behind dead readers the answer is another one")
		}
	}
	m, _ := l.model("m")
	grown := heapInUse() - before
	t.Logf("%d readers that read nothing (%d of them still held) cost %d KiB each", dead, m.Running+m.Queued, grown/dead>>10)
	if grown > dead*deadReaderBytes {
		t.Errorf("%d dead readers cost %d bytes, want at most %d for each", dead, grown, deadReaderBytes)
	}
	l.until("all of them to be given up", func() bool { m, _ := l.model("m"); return m.Running+m.Queued == 0 })
	l.until("the log to say so", func() bool { return strings.Count(l.log.String(), "status=499") == dead })
	if _, err := l.client.Complete(context.Background(), request("m", 5)); err != nil {
		t.Error(err)
	}
}
