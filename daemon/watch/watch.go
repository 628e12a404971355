// Package watch turns a folder into a stream of lists that say which files are in it and which of them are settled. It knows no
// file format, opens no file, and decides nothing about what a file is good for.
//
// Events of the file system are hints that make the next look come sooner; what is reported is only what a look at the folder
// itself has found. So the reports are the same with events switched off, only later. Times in a File are nanoseconds since 1970
// by the file system's clock; stillness is measured on our own. Run is one goroutine and, where events are used, one more
// that it starts and ends; the function it is given is called from Run's goroutine alone.
package watch

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/fsnotify/fsnotify"
)

// File is a regular file as a look found it, or a name that should have been one (then Problem is set and the rest is zero).
type File struct {
	Name       string // in its folder
	Path       string
	Device     uint64
	Inode      uint64
	Size       int64 // bytes
	ModTime    int64 // nanoseconds since 1970
	ChangeTime int64 // nanoseconds since 1970
	Settled    bool  // still long enough to count
	Problem    string
}

// Entry is one name in the watched folder: a file, or a subfolder with the files in it (not those of its own subfolders).
type Entry struct {
	Name   string
	Folder bool
	Files  []File // sorted by name; exactly one when Folder is false
}

// Settled says whether every file of the entry is settled.
func (e Entry) Settled() bool {
	for _, f := range e.Files {
		if !f.Settled {
			return false
		}
	}
	return true
}

// Options say how a folder is watched.
type Options struct {
	Settle time.Duration // how long size and times must have been still
	Rescan time.Duration // between two looks that nothing asked for
	Events bool          // use events of the file system as hints
	// Links makes a symbolic link to a folder count as the folder that it leads to, so that swapping the link swaps all files at once.
	Links bool
	Log   *slog.Logger // nil: no log
}

// minGap is the least time between two looks, so that a writer's stream of events costs ten looks a second and not thousands.
const minGap = 100 * time.Millisecond

// Watcher watches one folder. The folder need not exist, and may be deleted and made again.
type Watcher struct {
	dir    string
	opt    Options
	events func() (*fsnotify.Watcher, error) // where events come from; tests take others
	ask    chan struct{}                     // holds one signal that somebody waits for a look

	mu    sync.Mutex
	asked chan struct{} // closed after the next look and its report; nil when nobody waits; guarded by mu
}

// New returns a watcher of dir.
func New(dir string, opt Options) *Watcher {
	if opt.Log == nil {
		opt.Log = slog.New(slog.DiscardHandler)
	}
	return &Watcher{dir: dir, opt: opt, events: fsnotify.NewWatcher, ask: make(chan struct{}, 1)}
}

// Look makes Run look at the folder soon, and returns when that look and its report are done, or ctx is. It may be called from any
// goroutine but that of report.
func (w *Watcher) Look(ctx context.Context) {
	w.mu.Lock()
	if w.asked == nil {
		w.asked = make(chan struct{})
	}
	done := w.asked
	w.mu.Unlock()
	select {
	case w.ask <- struct{}{}:
	default: // a signal is there already
	}
	select {
	case <-done:
	case <-ctx.Done():
	}
}

// waiters returns what is to be closed after the look that begins now, or nil.
func (w *Watcher) waiters() chan struct{} {
	w.mu.Lock()
	defer w.mu.Unlock()
	done := w.asked
	w.asked = nil
	return done
}

// Run looks at the folder until ctx ends. It calls report after the first look and then after each one that found something
// else than before; the list is the caller's to keep. A slow report delays the next look and loses nothing.
func (w *Watcher) Run(ctx context.Context, report func([]Entry)) {
	var h *hints
	hint := make(<-chan struct{})
	if w.opt.Events {
		h = newHints(w.opt.Log, w.events)
		defer h.close()
		hint = h.C
	}
	t := newTracker(w.opt.Settle)
	began := time.Now()
	timer := time.NewTimer(0)
	defer timer.Stop()
	first := true
	failing := false
	var known []string // names that the last listing found
	for {
		select {
		case <-ctx.Done():
			return
		case <-w.ask:
		case <-hint:
		case <-timer.C:
		}
		done := w.waiters()
		started := time.Now()
		// Watches are put in place before the look: what happens after them gives a hint, what happened before is seen.
		hinted := true
		var arrived []string
		if h != nil {
			h.open()
			_, hinted = h.follow(w.dir)
			arrived = h.arrivals(w.dir)
		}
		var wake time.Time
		update := func(found []Entry) {
			var list []Entry
			var changed bool
			// Ours goes on from where it began, whatever becomes of the wall clock.
			list, changed, wake = t.update(began.Add(started.Sub(began)), started.Round(0), found)
			if changed || first {
				report(list)
			}
			first = false
		}
		// A rename over a file holds the folder until the old file's memory is given back, 25 ms of 25 MB, and who lists the folder waits for
		// that. Who asks for names does not.
		if len(known) > 0 && len(arrived) > 0 {
			if found, err := lookAtNames(w.dir, union(known, arrived), w.opt.Links); err == nil {
				update(found)
			}
		}
		found, err := look(w.dir, w.opt.Links)
		if (err != nil) != failing {
			failing = err != nil
			if failing {
				w.opt.Log.Warn("the watched folder cannot be read; looking again regularly", "folder", w.dir, "reason", err)
			} else {
				w.opt.Log.Info("the watched folder is readable again", "folder", w.dir)
			}
		}
		if err == nil || errors.Is(err, errGone) {
			if h != nil && h.followFolders(w.dir, found) && hinted {
				h.complete()
			}
			update(found)
			known = known[:0]
			for i := range found {
				known = append(known, found[i].Name)
			}
		}
		if done != nil {
			close(done)
		}
		delay := w.opt.Rescan
		if !wake.IsZero() {
			delay = min(delay, max(time.Until(wake), minGap/10))
		}
		timer.Reset(delay)
		// Hints wait out the gap here; the timer is checked by then too, and the look serves both.
		if !pause(ctx, minGap-time.Since(started)) {
			return
		}
	}
}

// union is the names of both lists, sorted, each once.
func union(a, b []string) []string {
	all := slices.Concat(a, b)
	slices.Sort(all)
	return slices.Compact(all)
}

// pause waits for d, or less when ctx ends, which it tells by false.
func pause(ctx context.Context, d time.Duration) bool {
	if d <= 0 {
		return ctx.Err() == nil
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	}
}
