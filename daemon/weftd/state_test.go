package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/weft-run/weft/daemon/api"
	"github.com/weft-run/weft/daemon/hosttest"
	"github.com/weft-run/weft/runtime/modeltest"
)

// logFile gives a program a log in a file, which a test may read while the program runs.
func (p *program) logFile() func() string {
	p.t.Helper()
	f, err := os.CreateTemp(p.t.TempDir(), "log")
	must(p.t, err)
	p.t.Cleanup(func() { f.Close() })
	p.cmd.Stderr = f
	return func() string {
		text, err := os.ReadFile(f.Name())
		must(p.t, err)
		return string(text)
	}
}

// run begins a prepared program and waits until it is ready.
func (p *program) run(socket string) {
	p.t.Helper()
	p.socket = socket
	p.client = api.NewClient(api.Host{Socket: socket})
	p.t.Cleanup(p.client.Close)
	must(p.t, p.cmd.Start())
	go func() { p.done <- p.cmd.Wait() }()
	p.t.Cleanup(func() { _ = p.cmd.Process.Kill() })
	p.until("it to be ready", func() bool { return p.client.Ready(context.Background()) == nil })
}

// says waits until the log has some words.
func (p *program) says(log func() string, words string) {
	p.t.Helper()
	defer func() {
		if p.t.Failed() {
			p.t.Logf("the log does not say %q:\n%s", words, log())
		}
	}()
	p.until(fmt.Sprintf("the log to say %q", words), func() bool { return strings.Contains(log(), words) })
}

// tell asks the built-in model for a few tokens.
func (p *program) tell() {
	p.t.Helper()
	n, cold := 4, 0.0
	_, err := p.client.Complete(context.Background(), api.CompletionRequest{
		Model: "stories260K", Prompt: api.Text("Once"), MaxTokens: &n, Sampling: api.Sampling{Temperature: &cold},
	})
	must(p.t, err)
}

// fill takes all room of a file system by a file, and returns the file's path.
func fill(t *testing.T, dir string) string {
	t.Helper()
	path := filepath.Join(dir, "filler")
	f, err := os.Create(path)
	must(t, err)
	defer f.Close()
	for chunk := make([]byte, 4096); ; {
		if _, err := f.Write(chunk); errors.Is(err, syscall.ENOSPC) {
			return path
		} else if err != nil {
			t.Fatal(err)
		}
	}
}

// stop ends a program and wants a clean end.
func (p *program) stop() {
	p.t.Helper()
	must(p.t, p.cmd.Process.Signal(syscall.SIGTERM))
	if code := p.wait(); code != 0 {
		p.t.Errorf("exit code %d", code)
	}
}

// TestFullDisk: without room for state and log the daemon serves as ever; without room for its socket it says so.
func TestFullDisk(t *testing.T) {
	t.Parallel()
	if !hosttest.Namespace(t) {
		return
	}
	dir := folder(t)
	state, sockets := filepath.Join(dir, "state"), filepath.Join(dir, "sockets")
	for _, d := range []string{state, sockets, filepath.Join(dir, "models")} {
		must(t, os.Mkdir(d, 0o755))
	}
	hosttest.Mount(t, "tmpfs", state, "tmpfs", 0, "size=16k")
	hosttest.Mount(t, "tmpfs", sockets, "tmpfs", 0, "size=16k,nr_inodes=1")
	filler := fill(t, state)
	must(t, os.WriteFile(filepath.Join(dir, "models", "m.gguf"), modeltest.Tiny(modeltest.Spec{}), 0o600))

	p := command(t, "--config", "", "--data-dir", dir, "--listen", "unix://"+dir+"/s")
	log := p.logFile()
	p.run(dir + "/s")
	p.tell()
	p.says(log, "the state folder cannot be written")
	p.says(log, "digests cannot be remembered")
	must(t, os.Remove(filler))
	p.says(log, "digests are remembered again")
	if text, err := os.ReadFile(filepath.Join(state, "digests")); err != nil || !strings.Contains(string(text), "\nend ") {
		t.Errorf("the file of digests is %q, %v", text, err)
	}
	p.stop()

	p = command(t, "--config", "", "--data-dir", dir, "--listen", "unix://"+dir+"/s")
	full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	must(t, err)
	defer full.Close()
	p.cmd.Stderr = full
	p.run(dir + "/s")
	p.tell()
	p.stop()

	p = command(t, "--config", "", "--data-dir", dir, "--listen", "unix://"+sockets+"/s")
	_ = p.cmd.Run()
	if text := p.stderr.String(); p.cmd.ProcessState.ExitCode() != 1 || !strings.Contains(text, "no space left on device; make room there") {
		t.Errorf("without room for the socket: exit code %d\n%s", p.cmd.ProcessState.ExitCode(), text)
	}
}

// TestLogThatNobodyReads: a broken pipe is no reason to end.
func TestLogThatNobodyReads(t *testing.T) {
	dir := folder(t)
	p := command(t, "--config", "", "--data-dir", dir, "--listen", "unix://"+dir+"/s", "--log-level", "debug")
	r, w, err := os.Pipe()
	must(t, err)
	p.cmd.Stderr = w
	must(t, r.Close())
	p.run(dir + "/s")
	must(t, w.Close())
	p.tell()
	p.stop()
}

// TestReadOnlyFolders: what is there is served, an upload is refused with the reason, and all is well when the folders can be
// written again.
func TestReadOnlyFolders(t *testing.T) {
	t.Parallel()
	if !hosttest.Namespace(t) {
		return
	}
	dir := folder(t)
	start(t, dir).stop() // makes the folders
	must(t, os.WriteFile(filepath.Join(dir, "models", "m.gguf"), modeltest.Tiny(modeltest.Spec{}), 0o600))
	hosttest.Mount(t, dir, dir, "", syscall.MS_BIND, "")
	hosttest.Mount(t, "", dir, "", syscall.MS_BIND|syscall.MS_REMOUNT|syscall.MS_RDONLY, "")
	socket := filepath.Join(folder(t), "s")
	p := command(t, "--config", "", "--data-dir", dir, "--listen", "unix://"+socket)
	log := p.logFile()
	p.run(socket)
	p.tell()
	p.says(log, "the state folder cannot be written")
	p.says(log, "digests cannot be remembered")
	upload := func() error {
		_, err := p.client.Upload(context.Background(), "up", strings.NewReader("x"), 1)
		return err
	}
	var no *api.Error
	if err := upload(); !errors.As(err, &no) || no.Status != 507 || !strings.Contains(no.Message, "read-only file system") {
		t.Errorf("uploading to a read-only folder: %v", err)
	}
	second := command(t, "--config", "", "--data-dir", dir, "--listen", "unix://"+socket+"2")
	_ = second.cmd.Run()
	if code := second.cmd.ProcessState.ExitCode(); code != exitInUse {
		t.Errorf("a second daemon on the read-only folder ended with %d\n%s", code, second.stderr.String())
	}
	hosttest.Mount(t, "", dir, "", syscall.MS_BIND|syscall.MS_REMOUNT, "")
	must(t, upload())
	p.says(log, "digests are remembered again")
	p.stop()
}

// TestNoWriteAccess: the same for a user whom the modes of the folders lock out.
func TestNoWriteAccess(t *testing.T) {
	t.Parallel()
	if !hosttest.PlainUser(t) {
		return
	}
	dir := folder(t)
	start(t, dir).stop()
	models, state := filepath.Join(dir, "models"), filepath.Join(dir, "state")
	file := filepath.Join(models, "m.gguf")
	must(t, os.WriteFile(file, modeltest.Tiny(modeltest.Spec{}), 0))
	must(t, os.Remove(filepath.Join(state, "weftd.lock")))
	must(t, os.Chmod(models, 0o500))
	must(t, os.Chmod(state, 0o500))
	p := command(t, "--config", "", "--data-dir", dir, "--listen", "unix://"+dir+"/s")
	log := p.logFile()
	p.run(dir + "/s")
	p.tell()
	p.says(log, "the state folder cannot be written")
	p.says(log, `msg="model refused" model=m`)
	p.says(log, "permission denied")
	var no *api.Error
	if _, err := p.client.Upload(context.Background(), "up", strings.NewReader("x"), 1); !errors.As(err, &no) || no.Status != 507 || !strings.Contains(no.Message, "permission denied") {
		t.Errorf("uploading without write access: %v", err)
	}
	must(t, os.Chmod(file, 0o600))
	p.says(log, `msg="model in service" model=m`)
	p.says(log, "digests cannot be remembered")
	must(t, os.Chmod(state, 0o700))
	p.says(log, "digests are remembered again")
	p.stop()

	must(t, os.Chmod(state, 0))
	p = command(t, "--config", "", "--data-dir", dir, "--listen", "unix://"+dir+"/s")
	_ = p.cmd.Run()
	if text := p.stderr.String(); p.cmd.ProcessState.ExitCode() != 1 || !strings.Contains(text, "permission denied; make it readable for this user") {
		t.Errorf("without access to the state: exit code %d\n%s", p.cmd.ProcessState.ExitCode(), text)
	}
	must(t, os.Chmod(state, 0o700)) // or it cannot be removed
	must(t, os.Chmod(models, 0o700))
}
