package cpu

import (
	"runtime"
	"testing"

	"golang.org/x/sys/unix"
)

// A thread keeps off a core when it is told to, and has all of them afterwards.
func TestCoresOfLinux(t *testing.T) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	c, ok := newCores(2).(*linuxCores)
	if !ok {
		t.Log("NOT TESTED: this machine has one core, and a thread cannot keep off it")
		return
	}
	if _, ok := newCores(c.all.Count() + 1).(anyCores); !ok {
		t.Error("more threads than cores are kept off some")
	}
	for range 4 {
		here := c.current()
		c.keepOff(here)
		if now := c.current(); now == here || now == noCore {
			t.Fatalf("it is on core %d, which it keeps off", now)
		}
	}
	c.keepOff(noCore)
	var have unix.CPUSet
	if err := unix.SchedGetaffinity(0, &have); err != nil || have != c.all {
		t.Errorf("it may use %d cores, and had %d: %v", have.Count(), c.all.Count(), err)
	}
	before := c.lost()
	for range 100 {
		c.yield()
	}
	if c.lost() < before {
		t.Error("the count of losses went back")
	}
	if n := testing.AllocsPerRun(100, func() { c.current(); c.lost(); c.keepOff(noCore) }); n != 0 {
		t.Errorf("asking allocates %v times", n)
	}
}
