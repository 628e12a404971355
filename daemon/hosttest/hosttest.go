// Package hosttest gives tests what they need of the machine: its tools, namespaces of their own in which they may mount, and other
// users. Where the machine has not got it, a test is skipped with one loud line. Test support: no product code imports it.
package hosttest

import (
	"os"
	"os/exec"
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
	var out strings.Builder
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Start(); err != nil {
		t.Skipf("LOUD: skipped: this machine allows no namespaces to this user: %v", err)
	}
	err = cmd.Wait()
	switch {
	case err != nil:
		t.Errorf("in namespaces of its own: %v\n%s", err, out.String())
	case strings.Contains(out.String(), "--- SKIP: "+t.Name()+" "):
		t.Skip(out.String())
	default:
		t.Logf("in namespaces of its own:\n%s", out.String())
	}
	return false
}

// Mount mounts in the namespaces of Namespace.
func Mount(t *testing.T, source, target, kind string, flags uintptr, options string) {
	t.Helper()
	if err := syscall.Mount(source, target, kind, flags, options); err != nil {
		t.Skipf("LOUD: skipped: mounting %s on %s: %v", source, target, err)
	}
}

// Nobody returns credentials for a process that may do less than this one: root ignores the modes of files, so what a plain user
// meets is tested as another user. It is nil where this process is a plain user's already.
func Nobody() *syscall.Credential {
	if os.Geteuid() != 0 {
		return nil
	}
	return &syscall.Credential{Uid: 65534, Gid: 65534, NoSetGroups: false}
}
