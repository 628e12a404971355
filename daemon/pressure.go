package daemon

import (
	"context"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"runtime/debug"
	"time"

	"golang.org/x/sys/unix"

	"github.com/weft-run/weft/adapters"
	"github.com/weft-run/weft/runtime/repository"
)

const (
	// pressed and relieved are the strains at which giving back begins and ends.
	pressed, relieved = 1, 0.2
	// pressedLook is the time between two looks while memory is wanted: what was given back shows by then. calmLook is that of other times
	// where the kernel tells when stalls begin, and idleLook where it does not. soonLook is that where usage tells at once: while a control
	// group is over its limit and there is something to give back, and when one may be full before the next look.
	pressedLook = time.Second
	calmLook    = 10 * time.Second
	idleLook    = 2 * time.Second
	soonLook    = 100 * time.Millisecond
	// fastest is how many bytes a second others are thought to take at most: a group is looked at again before it can be full at that rate.
	fastest = 512 << 20
	// stallTrigger asks the kernel to tell when tasks have waited for memory for 0.2 s of 2 s; shorter windows want privileges.
	stallTrigger = "some 200000 2000000\x00"
)

// memoryHolder is what has memory to give back.
type memoryHolder interface {
	// GiveBackPages gives back cache pages that no request holds, those that sessions keep only where it is told to.
	GiveBackPages(ctx context.Context, sessions bool) (bytes int64)
	// GiveBackAdapters drops adapters that no request holds.
	GiveBackAdapters() (bytes int64)
	// GiveBack unloads the idle model that was unused for the longest time.
	GiveBack(ctx context.Context, why string) (name string, bytes int64)
}

// holders are the models and the adapters.
type holders struct {
	*repository.Repository
	adapters *adapters.Registry
}

func (h holders) GiveBackAdapters() int64 { return h.adapters.GiveBack() }

// GiveBack also gives back what the heap had for the model: the collector would keep it for a while.
func (h holders) GiveBack(ctx context.Context, why string) (name string, bytes int64) {
	if name, bytes = h.Repository.GiveBack(ctx, why); bytes > 0 {
		debug.FreeOSMemory()
	}
	return name, bytes
}

// pressure gives memory back while the machine, or a control group of this process, is short of it, before the kernel takes it by
// killing. One thing at a time: unused pages of caches, then adapters that no request holds, then idle models, the longest unused first, then pages that sessions keep; and no more
// than until the strain is over. It is one goroutine's.
type pressure struct {
	gauge gauge
	from  memoryHolder
	log   *slog.Logger
	given func(what string, bytes int64) // counts; may be nil
	state func(level float64)            // is told of each measure; may be nil

	clock func() time.Time

	byStalls, byLimits bool // who wants memory
	empty              bool // since then everything was given back, and the log says so
}

// step measures and gives back one thing, if memory is wanted. It returns when to look again; calm is the answer where there is no hurry.
func (p *pressure) step(ctx context.Context, calm time.Duration) time.Duration {
	s := p.gauge.measure(p.clock())
	if p.state != nil {
		p.state(max(s.stalls.level, s.limits.level))
	}
	on := p.byStalls || p.byLimits
	p.byStalls, p.byLimits = s.stalls.wanted(p.byStalls), s.limits.wanted(p.byLimits)
	switch {
	case p.byLimits:
		p.giveBack(ctx, s.limits.why)
	case p.byStalls:
		p.giveBack(ctx, s.stalls.why)
	default:
		p.empty = false
		if on {
			p.log.Info("memory pressure is over")
		}
		return soon(s.left, calm)
	}
	if p.empty {
		return pressedLook
	}
	p.gauge.restart(p.clock()) // the stalls until now are no reason to give back more
	if p.byLimits {
		return soonLook
	}
	return pressedLook
}

// wanted is whether memory is wanted for a strain, where it was or was not before.
func (s strain) wanted(before bool) bool {
	return s.level >= pressed || before && s.level > relieved
}

// soon is how long to wait where so many bytes are left until a control group is pressed.
func soon(left int64, calm time.Duration) time.Duration {
	if left >= fastest*int64(calm/time.Second) {
		return calm
	}
	return max(soonLook, time.Duration(left)*time.Second/fastest)
}

// giveBack gives back the first thing that there is.
func (p *pressure) giveBack(ctx context.Context, why string) {
	tell := func(what string, bytes int64, attrs ...any) {
		p.empty = false
		if p.given != nil {
			p.given(what, bytes)
		}
		p.log.Warn("memory is given back under pressure", append([]any{"what", what, "bytes", bytes, "reason", why}, attrs...)...)
	}
	if n := p.from.GiveBackPages(ctx, false); n > 0 {
		tell("pages", n)
		return
	}
	if n := p.from.GiveBackAdapters(); n > 0 {
		tell("adapters", n)
		return
	}
	if name, n := p.from.GiveBack(ctx, why); n > 0 {
		tell("model", n, "model", name)
		return
	}
	if n := p.from.GiveBackPages(ctx, true); n > 0 {
		tell("sessions", n)
		return
	}
	if !p.empty {
		p.empty = true
		p.log.Warn("memory pressure, and nothing is left to give back: what is loaded is in use or pinned; give the daemon more memory, or unpin models, or lower memory_budget", "reason", why)
	}
}

// run steps until ctx ends: when the kernel tells of stalls, where it does, and by a timer.
func (p *pressure) run(ctx context.Context, trigger *stallWatch) {
	calm := idleLook
	if trigger != nil {
		calm = calmLook
	}
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		most := calm
		select {
		case <-ctx.Done():
			return
		case <-trigger.stalls():
			most = pressedLook // the last look may be long ago, and the share of that time small
		case <-timer.C:
		}
		timer.Reset(p.step(ctx, most))
	}
}

// mindMemory gives memory back under pressure, until ctx ends.
func (p *process) mindMemory(ctx context.Context) {
	if !p.cfg.MemoryPressure {
		return
	}
	root := os.DirFS("/")
	trigger, err := watchStalls(stallFiles(root))
	if err != nil {
		p.log.Debug("the kernel does not tell of memory stalls by itself; they are looked for regularly", "every", idleLook, "reason", err)
	}
	defer trigger.close()
	minder := pressure{gauge: gauge{root: root}, from: holders{p.models, p.adapters}, log: p.log, given: p.metrics.GivenBack, state: p.metrics.Pressed, clock: time.Now}
	minder.run(ctx, trigger)
}

// stallWatch is the kernel's word of stalls, as a channel. The goroutine that waits for it ends with close.
type stallWatch struct {
	c      chan struct{} // one message: tasks waited for memory
	file   *os.File
	end    [2]int // a pipe: closing its first end wakes the goroutine
	closed chan struct{}
}

// stalls never says anything where there is no watch.
func (w *stallWatch) stalls() <-chan struct{} {
	if w == nil {
		return nil
	}
	return w.c
}

// watchStalls asks the kernel to tell of stalls, of the first of the files that it takes that for: nil, and why, where there is none.
func watchStalls(files []string) (*stallWatch, error) {
	err := fs.ErrNotExist
	for _, name := range files {
		var f *os.File
		f, err = os.OpenFile(name, os.O_RDWR|unix.O_NONBLOCK, 0)
		if err != nil {
			continue
		}
		if _, err = unix.Write(int(f.Fd()), []byte(stallTrigger)); err != nil {
			f.Close()
			continue
		}
		w := &stallWatch{c: make(chan struct{}, 1), file: f, closed: make(chan struct{})}
		if err = unix.Pipe2(w.end[:], unix.O_CLOEXEC); err != nil {
			f.Close()
			return nil, err
		}
		go w.wait()
		return w, nil
	}
	return nil, fmt.Errorf("daemon: no word of memory stalls: %w", err)
}

// wait passes the kernel's word on. The goroutine ends when the pipe or the file does.
func (w *stallWatch) wait() {
	defer close(w.closed)
	polled := []unix.PollFd{{Fd: int32(w.file.Fd()), Events: unix.POLLPRI}, {Fd: int32(w.end[0]), Events: unix.POLLIN}}
	for {
		if _, err := unix.Poll(polled, -1); err != nil && err != unix.EINTR {
			return
		}
		if polled[1].Revents != 0 || polled[0].Revents&(unix.POLLERR|unix.POLLNVAL) != 0 {
			return
		}
		if polled[0].Revents&unix.POLLPRI != 0 {
			select {
			case w.c <- struct{}{}:
			default: // a message is there already
			}
		}
	}
}

// close ends the watch.
func (w *stallWatch) close() {
	if w == nil {
		return
	}
	unix.Close(w.end[1])
	<-w.closed
	unix.Close(w.end[0])
	w.file.Close()
}
