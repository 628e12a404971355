package daemon

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/weft-run/weft/daemon/api"
	"github.com/weft-run/weft/daemon/config"
	"github.com/weft-run/weft/runtime/modeltest"
)

// live is a daemon that runs in the test's own process, behind a real socket.
type live struct {
	t      *testing.T
	cfg    config.Config
	client *api.Client
	cancel context.CancelFunc
	done   chan struct{}
	err    error // of Run; read after done
	log    *syncBuffer
}

// syncBuffer is a log that a test may read while the daemon writes.
type syncBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *syncBuffer) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *syncBuffer) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

// telling is the log without the requests that waiting tests send all the time and that went well.
func (s *syncBuffer) telling() string {
	var lines strings.Builder
	for line := range strings.Lines(s.String()) {
		if !strings.Contains(line, "msg=request") || !strings.Contains(line, "status=200") {
			lines.WriteString(line)
		}
	}
	return lines.String()
}

// dataDir is a folder whose path is short enough for a socket.
func dataDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "weft") //nolint:usetesting // the test's own folder may be too long a path
	must(t, err)
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

// liveSettings are those of a daemon in dir that settles quickly.
func liveSettings(dir string) config.Config {
	cfg := settings(dir)
	cfg.Listen = []config.Address{{Network: "unix", Address: filepath.Join(dir, "weftd.sock")}}
	cfg.SettleTime, cfg.RescanInterval = 100*time.Millisecond, 200*time.Millisecond
	cfg.MemoryBudget = config.Size{Bytes: 1 << 30}
	return cfg
}

// startLive runs a daemon and waits until it is ready. It is stopped at the end of the test.
func startLive(t *testing.T, cfg config.Config) *live {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	l := &live{t: t, cfg: cfg, cancel: cancel, done: make(chan struct{}), log: new(syncBuffer)}
	l.client = api.NewClient(api.Host{Socket: cfg.Listen[0].Address})
	go func() {
		defer close(l.done)
		l.err = Run(ctx, cfg, NewLog(l.log, cfg.LogLevel, "text"))
	}()
	t.Cleanup(func() {
		l.client.Close()
		l.stop()
		if t.Failed() {
			t.Logf("log of the daemon:\n%s", l.log.telling())
		}
	})
	l.until("the daemon to be ready", func() bool {
		select {
		case <-l.done:
			t.Fatalf("the daemon ended: %v", l.err)
		default:
		}
		return l.client.Ready(context.Background()) == nil
	})
	return l
}

// stop ends the daemon and returns what Run returned.
func (l *live) stop() error {
	l.cancel()
	<-l.done
	return l.err
}

// until waits for a condition, and fails the test when that takes too long.
func (l *live) until(what string, ok func() bool) {
	l.t.Helper()
	deadline := time.After(time.Minute)
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !ok() {
		select {
		case <-tick.C:
		case <-deadline:
			l.t.Fatalf("waiting for %s", what)
		}
	}
}

func (l *live) path(name string) string { return filepath.Join(l.cfg.ModelsDir, name) }

// write puts a file into the models folder as a plain copy does.
func (l *live) write(name string, data []byte) {
	l.t.Helper()
	must(l.t, os.WriteFile(l.path(name), data, 0o644))
}

// rename puts a file into the models folder as one ought to.
func (l *live) rename(name string, data []byte) {
	l.t.Helper()
	l.write(".new", data)
	must(l.t, os.Rename(l.path(".new"), l.path(name)))
}

// model returns the status of the newest thing with a name.
func (l *live) model(name string) (api.ModelStatus, bool) {
	l.t.Helper()
	all, err := l.client.ModelStatuses(context.Background())
	must(l.t, err)
	for _, m := range all.Models {
		if m.Name == name {
			return m, true
		}
	}
	return api.ModelStatus{}, false
}

// is waits until a model is in a state with a reason that holds some words, or with none where there are no words.
func (l *live) is(name, state, reason string) {
	l.t.Helper()
	var last string
	l.until(fmt.Sprintf("%s to be %s: %q", name, state, reason), func() bool {
		m, _ := l.model(name)
		if now := m.State + ": " + m.Reason; now != last {
			last = now
			l.t.Logf("%s is %s", name, now)
		}
		return m.State == state && strings.Contains(m.Reason, reason) && (reason == "") == (m.Reason == "")
	})
}

// request asks a model for n greedy tokens behind a fixed prompt of ids.
func request(model string, n int) api.CompletionRequest {
	cold := 0.0
	return api.CompletionRequest{
		Model: model, Prompt: api.Tokens([]int32{1, 5, 9, 7, 3}), MaxTokens: &n,
		Sampling: api.Sampling{Temperature: &cold, IgnoreEOS: true, ReturnTokenIDs: true},
	}
}

// ask returns a model's greedy tokens and who made them.
func (l *live) ask(model string, n int) ([]int32, api.Base) {
	l.t.Helper()
	c, err := l.client.Complete(context.Background(), request(model, n))
	must(l.t, err)
	if got := len(c.Choices[0].TokenIDs); got != n {
		l.t.Fatalf("%s gave %d tokens of %d", model, got, n)
	}
	return c.Choices[0].TokenIDs, c.Weft.Base
}

// stream begins to read n greedy tokens of a model: it returns the stream and the tokens of its first chunk. It is closed at the end
// of the test, before the daemon is.
func (l *live) stream(model string, n int) (*api.Stream[api.Completion], []int32) {
	l.t.Helper()
	s, err := l.client.CompleteStream(context.Background(), request(model, n))
	must(l.t, err)
	l.t.Cleanup(func() { s.Close() })
	first, err := s.Next()
	must(l.t, err)
	return s, first.Choices[0].TokenIDs
}

// rest reads a stream to its end and returns its further tokens, what the last chunk says of itself, and what it ended with.
func rest(s *api.Stream[api.Completion]) (ids []int32, info *api.Info, err error) {
	for chunk, err := range s.All() {
		if err != nil {
			return ids, info, err
		}
		if len(chunk.Choices) > 0 {
			ids = append(ids, chunk.Choices[0].TokenIDs...)
		}
		if chunk.Weft != nil {
			info = chunk.Weft
		}
	}
	return ids, info, nil
}

// tiny is a small model with weights of its own.
func tiny(seed uint64) []byte { return modeltest.Tiny(modeltest.Spec{Seed: seed, Context: 2048}) }
