package cpu

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

// linuxCores asks the kernel. None of its calls waits for long or allocates.
type linuxCores struct{ all unix.CPUSet }

// newCores takes the calling thread's cores for all that there are. More threads than these are neighbours to one another, whom no order
// of cores helps.
func newCores(threads int) cores {
	c := new(linuxCores)
	if err := unix.SchedGetaffinity(0, &c.all); err != nil || threads > c.all.Count() {
		return anyCores{}
	}
	return c
}

func (c *linuxCores) current() int32 {
	var core uint32
	if _, _, e := unix.RawSyscall(unix.SYS_GETCPU, uintptr(unsafe.Pointer(&core)), 0, 0); e != 0 {
		return noCore
	}
	return int32(core)
}

func (c *linuxCores) lost() int64 {
	var usage unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_THREAD, &usage); err != nil {
		return 0
	}
	return usage.Nivcsw
}

func (c *linuxCores) yield() { _, _, _ = unix.Syscall(unix.SYS_SCHED_YIELD, 0, 0, 0) }

func (c *linuxCores) keepOff(core int32) {
	set := c.all
	if core != noCore {
		set.Clear(int(core))
	}
	if set.Count() > 0 {
		_ = unix.SchedSetaffinity(0, &set) // refused where the cores were changed from outside: it stays where it is
	}
}
