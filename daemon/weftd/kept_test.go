package main

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/weft-run/weft/daemon/api"
	"github.com/weft-run/weft/daemon/hosttest"
)

// converse asks the built-in model within a session, for more than a page.
func (p *program) converse(session string) (answer []int32, reused int) {
	p.t.Helper()
	n, cold := 20, 0.0
	a, err := p.client.Complete(context.Background(), api.CompletionRequest{
		Model: "stories260K", Prompt: api.Text(strings.Repeat(session+" was a little girl. ", 12)), MaxTokens: &n,
		Sampling: api.Sampling{Temperature: &cold, IgnoreEOS: true, ReturnTokenIDs: true, Session: session},
	})
	must(p.t, err)
	return a.Choices[0].TokenIDs, a.Weft.ReusedTokens
}

// kept lists the sessions that are on disk.
func (p *program) kept() (names []string) {
	p.t.Helper()
	list, err := p.client.Sessions(context.Background())
	must(p.t, err)
	for _, s := range list.Sessions {
		names = append(names, s.Session)
	}
	slices.Sort(names)
	return names
}

func (p *program) keeps(names ...string) {
	p.t.Helper()
	p.until("it to keep "+strings.Join(names, ", "), func() bool { return slices.Equal(p.kept(), names) })
}

func (p *program) keepsAlso(name string) {
	p.t.Helper()
	p.until("it to keep "+name, func() bool { return slices.Contains(p.kept(), name) })
}

// digested waits until the built-in model's digest is known: before, nothing on disk can be found.
func (p *program) digested() {
	p.t.Helper()
	p.until("the digest", func() bool {
		m, err := p.client.ModelStatus(context.Background(), "stories260K")
		return err == nil && strings.HasPrefix(m.Digest, "sha256:")
	})
}

// onOwnFileSystem makes the folder of kept pages of a daemon a file system of its own.
func onOwnFileSystem(t *testing.T, dir, options string) (kv string) {
	t.Helper()
	kv = filepath.Join(dir, "state", "kv")
	must(t, os.MkdirAll(kv, 0o700))
	hosttest.Mount(t, "tmpfs", kv, "tmpfs", 0, options)
	return kv
}

// TestSessionsOnAFullDisk: a session that has no room is told of once and costs no answer; what is there is used, and when there is room
// sessions are kept again.
func TestSessionsOnAFullDisk(t *testing.T) {
	t.Parallel()
	if !hosttest.Namespace(t) {
		return
	}
	dir := folder(t)
	kv := onOwnFileSystem(t, dir, "size=512k")
	p := command(t, "--config", "", "--data-dir", dir, "--listen", "unix://"+dir+"/s")
	log := p.logFile()
	p.run(dir + "/s")
	ann, _ := p.converse("Ann")
	p.keeps("Ann")
	filler := fill(t, kv)
	for _, name := range []string{"Bea", "Cat", "Dot"} {
		first, _ := p.converse(name)
		if again, reused := p.converse(name); !slices.Equal(first, again) || reused == 0 {
			t.Errorf("%s: tokens %v, then %v with %d found", name, first, again, reused)
		}
	}
	p.says(log, "pages cannot be kept on disk")
	if again, _ := p.converse("Ann"); !slices.Equal(again, ann) {
		t.Errorf("Ann: tokens %v, then %v", ann, again)
	}
	must(t, os.Remove(filler))
	p.converse("Dot")
	p.says(log, "pages are kept on disk again")
	p.keeps("Ann", "Dot")
	p.stop()
	if text := log(); strings.Count(text, "cannot be kept") != 1 || !strings.Contains(text, "no space left on device; make room there") {
		t.Errorf("the log says\n%s", text)
	}
	if list, err := filepath.Glob(filepath.Join(kv, "*.tmp")); err != nil || len(list) > 0 {
		t.Errorf("%v is left; %v", list, err)
	}

	p = start(t, dir)
	p.keeps("Ann", "Dot")
	p.digested()
	if again, reused := p.converse("Ann"); !slices.Equal(again, ann) || reused == 0 {
		t.Errorf("after the restart: tokens %v, before %v; %d were found", again, ann, reused)
	}
	p.stop()
}

// TestSessionsOnAReadOnlyDisk: what is kept is used, what cannot be kept or removed is said, and all is well when the disk can be written again.
func TestSessionsOnAReadOnlyDisk(t *testing.T) {
	t.Parallel()
	if !hosttest.Namespace(t) {
		return
	}
	dir := folder(t)
	kv := onOwnFileSystem(t, dir, "size=8m")
	args := []string{"--config", "", "--data-dir", dir, "--listen", "unix://" + dir + "/s", "--kv-quota", "1MiB"}
	p := command(t, args...)
	p.run(dir + "/s")
	ann, _ := p.converse("Ann")
	others := []string{"Bea", "Cat", "Dot", "Eve", "Fay", "Gil", "Hal", "Ivy", "Jan", "Kay"} // more than the quota has room for
	for _, name := range others {
		p.converse(name)
		p.keepsAlso(name)
	}
	p.converse("Ann")
	p.keepsAlso("Ann")
	p.stop()
	hosttest.Mount(t, "", kv, "", syscall.MS_REMOUNT|syscall.MS_RDONLY, "")

	p = command(t, args...)
	log := p.logFile()
	p.run(dir + "/s")
	p.digested()
	there := p.kept()
	if again, reused := p.converse("Ann"); !slices.Equal(again, ann) || reused == 0 {
		t.Errorf("from the read-only disk: tokens %v, before %v; %d were found", again, ann, reused)
	}
	for _, name := range others {
		p.converse(name + "s")
	}
	p.says(log, "read-only file system; make the folder writable for the daemon's user")
	var no *api.Error
	if err := p.client.DeleteSession(context.Background(), "Ann", ""); !errors.As(err, &no) || no.Status != 507 || !strings.Contains(no.Message, "read-only file system") {
		t.Errorf("removing a session from a read-only disk: %v", err)
	}
	p.keeps(there...)
	hosttest.Mount(t, "", kv, "", syscall.MS_REMOUNT, "")
	p.converse("Lou")
	p.says(log, "pages are kept on disk again")
	must(t, p.client.DeleteSession(context.Background(), "Ann", ""))
	if slices.Contains(p.kept(), "Ann") {
		t.Error("Ann is still there")
	}
	p.stop()
	if text := log(); strings.Count(text, `level=WARN msg="`) != 1 { // beside that of the request that was refused
		t.Errorf("the log says\n%s", text)
	}
}

// TestSessionsWithoutAFolder: where the folder of kept pages cannot be made, it is made when it can be.
func TestSessionsWithoutAFolder(t *testing.T) {
	t.Parallel()
	if !hosttest.Namespace(t) {
		return
	}
	dir := folder(t)
	state := filepath.Join(dir, "state")
	must(t, os.MkdirAll(state, 0o700))
	hosttest.Mount(t, "tmpfs", state, "tmpfs", 0, "size=1m,mode=0700")
	hosttest.Mount(t, "", state, "", syscall.MS_REMOUNT|syscall.MS_RDONLY, "")
	p := command(t, "--config", "", "--data-dir", dir, "--listen", "unix://"+dir+"/s")
	log := p.logFile()
	p.run(dir + "/s")
	p.converse("Ann")
	p.says(log, "pages cannot be kept on disk")
	hosttest.Mount(t, "", state, "", syscall.MS_REMOUNT, "")
	p.converse("Bea")
	p.keepsAlso("Bea")
	p.stop()
}
