package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/weft-run/weft/daemon/api"
)

// asDaemon makes the test binary a weftd: it then runs main with its arguments.
const asDaemon = "RUN_AS_WEFTD"

func TestMain(m *testing.M) {
	if group := os.Getenv(inGroup); group != "" {
		join(group)
	}
	if os.Getenv(asDaemon) != "" {
		main()
	}
	if os.Getenv(asEater) != "" {
		eat()
	}
	os.Exit(m.Run())
}

// program is a weftd in a process of its own.
type program struct {
	t      *testing.T
	cmd    *exec.Cmd
	stderr bytes.Buffer // to be read after wait
	done   chan error
	client *api.Client
	socket string
}

// start runs weftd in a folder and waits until it is ready.
func start(t *testing.T, dir string) *program {
	t.Helper()
	p := command(t, "--config", "", "--data-dir", dir, "--listen", "unix://"+filepath.Join(dir, "s"))
	p.socket = filepath.Join(dir, "s")
	p.client = api.NewClient(api.Host{Socket: p.socket})
	t.Cleanup(p.client.Close)
	must(t, p.cmd.Start())
	go func() { p.done <- p.cmd.Wait() }()
	t.Cleanup(func() { _ = p.cmd.Process.Kill() }) // it has ended, but in a test that failed
	p.until("it to be ready", func() bool { return p.client.Ready(context.Background()) == nil })
	return p
}

func command(t *testing.T, args ...string) *program {
	t.Helper()
	self, err := os.Executable()
	must(t, err)
	p := &program{t: t, cmd: exec.Command(self, args...), done: make(chan error, 1)}
	p.cmd.Env = []string{asDaemon + "=1", "HOME=" + t.TempDir()}
	p.cmd.Stderr = &p.stderr
	return p
}

// wait returns the exit code.
func (p *program) wait() int {
	p.t.Helper()
	select {
	case <-p.done:
	case <-time.After(time.Minute):
		p.t.Fatal("weftd does not end")
	}
	return p.cmd.ProcessState.ExitCode()
}

func (p *program) until(what string, ok func() bool) {
	p.t.Helper()
	deadline := time.After(time.Minute)
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !ok() {
		select {
		case <-tick.C:
		case err := <-p.done:
			p.t.Fatalf("waiting for %s: weftd ended: %v\n%s", what, err, p.stderr.String())
		case <-deadline:
			p.t.Fatalf("waiting for %s", what)
		}
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// folder is one whose path is short enough for a socket.
func folder(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "weftd") //nolint:usetesting // the test's own folder may be too long a path
	must(t, err)
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

func TestExitCodes(t *testing.T) {
	dir := folder(t)
	bad := filepath.Join(dir, "bad.toml")
	must(t, os.WriteFile(bad, []byte("theads = 2\n"), 0o600))
	taken := filepath.Join(dir, "taken")
	must(t, os.WriteFile(taken, nil, 0o600))
	for _, c := range []struct {
		name   string
		args   []string
		code   int
		stdout string
		stderr string
	}{
		{"version", []string{"--version"}, 0, "weftd ", ""},
		{"help", []string{"--help"}, 0, "--data-dir VALUE", ""},
		{"check", []string{"--check", "--config", "", "--data-dir", dir}, 0, "data_dir = \"" + dir + "\" # flag", ""},
		{"unknown flag", []string{"--data-dri", dir}, 2, "", `the nearest known one is "--data-dir"`},
		{"unknown key", []string{"--config", bad, "--check"}, 2, "", bad + `: unknown key "theads"; the nearest known one is "threads"`},
		{"argument", []string{"serve"}, 2, "", `unknown argument "serve"`},
		{"bench without a file", []string{"bench"}, 2, "", "weftd bench FILE"},
		{"bench of nothing", []string{"bench", filepath.Join(dir, "nothing.gguf")}, 1, "", "no such file"},
		{"folder that cannot be", []string{"--config", "", "--data-dir", taken}, 1, "", "data_dir"},
		{"level that is none", []string{"--config", "", "--cpu", "abacus", "--data-dir", dir, "--listen", "unix://" + dir + "/s"}, 1, "", `"abacus"`},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := command(t, c.args...)
			stdout, err := p.cmd.Output()
			var exit *exec.ExitError
			if err != nil && !errors.As(err, &exit) {
				t.Fatal(err)
			}
			last := strings.TrimSpace(p.stderr.String())
			last = last[strings.LastIndex(last, "\n")+1:]
			if p.cmd.ProcessState.ExitCode() != c.code || !strings.Contains(string(stdout), c.stdout) || !strings.Contains(last, c.stderr) {
				t.Errorf("exit code %d, want %d; stdout\n%s\nstderr\n%s", p.cmd.ProcessState.ExitCode(), c.code, stdout, p.stderr.String())
			}
			if c.code != 0 && !strings.HasPrefix(last, "weftd: ") {
				t.Errorf("the reason is %q", last)
			}
		})
	}
}

// TestSIGTERMDrains: streams end whole, no new request is taken, the process ends with 0 and leaves no socket.
func TestSIGTERMDrains(t *testing.T) {
	p := start(t, folder(t))
	n, cold := 500, 0.0
	r := api.CompletionRequest{
		Model: "stories260K", Prompt: api.Text("Once"), MaxTokens: &n,
		Sampling: api.Sampling{Temperature: &cold, IgnoreEOS: true, StreamOptions: &api.StreamOptions{IncludeUsage: true}},
	}
	s, err := p.client.CompleteStream(context.Background(), r)
	must(t, err)
	defer s.Close()
	_, err = s.Next()
	must(t, err)
	must(t, p.cmd.Process.Signal(syscall.SIGTERM))
	p.until("the socket to be gone", func() bool { _, err := os.Stat(p.socket); return errors.Is(err, os.ErrNotExist) })
	other := api.NewClient(api.Host{Socket: p.socket})
	defer other.Close()
	if _, err := other.Status(context.Background()); err == nil {
		t.Error("a draining daemon takes new connections")
	}
	var usage *api.Usage
	for chunk, err := range s.All() {
		must(t, err)
		if chunk.Usage != nil {
			usage = chunk.Usage
		}
	}
	if usage == nil || usage.CompletionTokens != n {
		t.Errorf("the stream ended with %+v", usage)
	}
	if code := p.wait(); code != 0 {
		t.Errorf("exit code %d\n%s", code, p.stderr.String())
	}
}

// TestKilledDaemonStartsAgain: neither its lock nor its socket nor half an upload nor half a file of state stands in the way, and one
// line tells of them.
func TestKilledDaemonStartsAgain(t *testing.T) {
	dir := folder(t)
	p := start(t, dir)
	pid := p.cmd.Process.Pid
	left := []string{filepath.Join(dir, "models", ".m.upload-X"), filepath.Join(dir, "state", ".digests.tmp")}
	for _, path := range left {
		must(t, os.WriteFile(path, []byte("half"), 0o600))
	}
	must(t, p.cmd.Process.Kill())
	p.wait()
	if _, err := os.Stat(p.socket); err != nil {
		t.Fatalf("a killed daemon took its socket away: %v", err)
	}
	again := command(t, "--config", "", "--data-dir", dir, "--listen", "unix://"+dir+"/s")
	log := again.logFile()
	again.run(dir + "/s")
	for _, path := range left {
		if _, err := os.Stat(path); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("%s is still there: %v", path, err)
		}
	}
	again.says(log, fmt.Sprintf(`msg="the last daemon here did not end cleanly; what it left is removed" pid=%d sockets=1 uploads=1 state_files=1`, pid))
	second := command(t, "--config", "", "--data-dir", dir, "--listen", "unix://"+dir+"/other")
	if err := second.cmd.Run(); err == nil || second.cmd.ProcessState.ExitCode() != exitInUse ||
		!strings.Contains(second.stderr.String(), fmt.Sprintf("in use by another daemon (process %d)", again.cmd.Process.Pid)) {
		t.Errorf("a second daemon: %v\n%s", err, second.stderr.String())
	}
	second = command(t, "--config", "", "--data-dir", folder(t), "--listen", "unix://"+dir+"/s")
	if err := second.cmd.Run(); err == nil || second.cmd.ProcessState.ExitCode() != exitInUse {
		t.Errorf("a second daemon on the socket: %v\n%s", err, second.stderr.String())
	}
	must(t, again.cmd.Process.Signal(syscall.SIGINT))
	if code := again.wait(); code != 0 {
		t.Errorf("exit code %d\n%s", code, log())
	}
	third := command(t, "--config", "", "--data-dir", dir, "--listen", "unix://"+dir+"/s")
	log = third.logFile()
	third.run(dir + "/s")
	third.stop()
	if strings.Contains(log(), "cleanly") {
		t.Errorf("after a clean end the log says\n%s", log())
	}
}
