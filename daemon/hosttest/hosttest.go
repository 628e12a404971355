// Package hosttest gives tests what they need of the machine: its tools, namespaces of their own in which they may mount, and other
// users. Where the machine has not got it, a test is skipped with one loud line. Test support: no product code imports it.
package hosttest

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
)

// Tool returns the path of a program. Where it is not installed the test is skipped, or fails when WEFT_REQUIRE_TESTDATA is
// set, as CI does.
func Tool(t testing.TB, name string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err == nil {
		return path
	}
	if os.Getenv("WEFT_REQUIRE_TESTDATA") != "" {
		t.Fatalf("%s is not installed and WEFT_REQUIRE_TESTDATA is set", name)
	}
	t.Skipf("LOUD: skipped: %s is not installed", name)
	return ""
}

// inside names the test that runs in namespaces of its own.
const inside = "WEFT_TEST_NAMESPACE"

// Namespace runs the calling test, which is no subtest, once more in a process with a user and a mount namespace of its own, and is
// true there: that process may mount and set limits, and what it mounted is gone with it. In the first process it is false, with
// the other's result already told.
func Namespace(t *testing.T) bool {
	t.Helper()
	if os.Getenv(inside) == t.Name() {
		return true
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(self, "-test.run=^"+regexp.QuoteMeta(t.Name())+"$", "-test.v", "-test.count=1")
	cmd.Env = append(os.Environ(), inside+"="+t.Name())
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags:  syscall.CLONE_NEWUSER | syscall.CLONE_NEWNS,
		UidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getuid(), Size: 1}},
		GidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getgid(), Size: 1}},
	}
	report(t, cmd, "in namespaces of its own")
	return false
}

// Mount mounts in the namespaces of Namespace.
func Mount(t *testing.T, source, target, kind string, flags uintptr, options string) {
	t.Helper()
	if err := syscall.Mount(source, target, kind, flags, options); err != nil {
		t.Skipf("LOUD: skipped: mounting %s on %s: %v", source, target, err)
	}
}

// nobody is the user that owns nothing.
const nobody = 65534

// PlainUser runs the calling test, which is no subtest, once more as a plain user where this is root, who may read and write whatever
// the modes of files say. It is true in the process of a plain user.
func PlainUser(t *testing.T) bool {
	t.Helper()
	if os.Geteuid() != 0 {
		return true
	}
	// The program and its temporary folders must be where the other user gets to.
	dir, err := os.MkdirTemp("", "weft") //nolint:usetesting // the test's own folder is for this user alone
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	if err := os.Chmod(dir, 0o777); err != nil { //nolint:gosec // another user is to write there
		t.Fatal(err)
	}
	program := filepath.Join(dir, "test")
	copySelf(t, program)
	cmd := exec.Command(program, "-test.run=^"+regexp.QuoteMeta(t.Name())+"$", "-test.v", "-test.count=1")
	cmd.Dir, cmd.Env = dir, append(os.Environ(), "TMPDIR="+dir, "HOME="+dir)
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}}
	report(t, cmd, "as another user")
	return false
}

// copySelf copies the program that runs to where everybody may execute it.
func copySelf(t *testing.T, to string) {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(self)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(to, data, 0o755); err != nil { //nolint:gosec // it is a program
		t.Fatal(err)
	}
}

// report runs the calling test in another process and tells its result as that of this one.
func report(t *testing.T, cmd *exec.Cmd, where string) {
	t.Helper()
	var out strings.Builder
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Start(); err != nil {
		t.Skipf("LOUD: skipped: this machine does not let the test run %s: %v", where, err)
	}
	err := cmd.Wait()
	switch {
	case err != nil:
		t.Errorf("%s: %v\n%s", where, err, out.String())
	case strings.Contains(out.String(), "--- SKIP: "+t.Name()+" "):
		t.Skip(out.String())
	default:
		t.Logf("%s:\n%s", where, out.String())
	}
}
