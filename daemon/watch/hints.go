package watch

import (
	"errors"
	"log/slog"
	"path/filepath"
	"sync"

	"github.com/fsnotify/fsnotify"
	"golang.org/x/sys/unix"
)

// hints turns events of the file system into hints on C. C holds one hint at most: several events are one reason to look. All
// methods are called from one goroutine; close ends the one that open starts. Where the system gives no events, or none for a
// folder, the timer does the work, and each look tries again.
type hints struct {
	C       chan struct{}
	events  func() (*fsnotify.Watcher, error)
	watcher *fsnotify.Watcher   // nil while the system gives no events
	folders map[string]folderID // watched folders and what they were when their watch was set
	log     *slog.Logger
	without string        // what the log has said to be without events; "" when nothing is
	done    chan struct{} // closed when the goroutine of watcher has ended

	mu      sync.Mutex
	arrived map[string]bool // paths that have come, or been replaced, since they were asked for; guarded by mu
}

// mostArrived bounds what is remembered of them: the listing of the folder finds the others.
const mostArrived = 64

type folderID struct{ device, inode uint64 }

func newHints(log *slog.Logger, events func() (*fsnotify.Watcher, error)) *hints {
	return &hints{C: make(chan struct{}, 1), events: events, folders: map[string]folderID{}, log: log, arrived: map[string]bool{}}
}

// open makes sure that there are events, where the system gives some.
func (h *hints) open() {
	if h.watcher != nil {
		return
	}
	w, err := h.events()
	if err != nil {
		h.lacking("", err)
		return
	}
	h.watcher, h.done = w, make(chan struct{})
	go h.run()
}

// lacking has the log say once that there are no events for a folder, or for any folder (""), and what to do.
func (h *hints) lacking(folder string, err error) {
	if h.without != "" {
		return
	}
	h.without = folder
	if folder == "" {
		h.without = "all folders"
	}
	advice := "the file system may not give events"
	switch {
	case errors.Is(err, unix.EMFILE):
		advice = "raise the limit of open files (LimitNOFILE=) or sysctl fs.inotify.max_user_instances"
	case errors.Is(err, unix.ENOSPC): // whose text speaks of a device
		err, advice = errWatches, "raise sysctl fs.inotify.max_user_watches"
	}
	h.log.Warn("no file events; changes are found by looking regularly", "folder", h.without, "reason", err, "advice", advice)
}

var errWatches = errors.New("the user's limit of watched folders is reached")

// complete is called after a look in which no folder was without events.
func (h *hints) complete() {
	if h.without != "" {
		h.log.Info("file events are there again", "folder", h.without)
		h.without = ""
	}
}

func (h *hints) run() {
	defer close(h.done)
	for {
		select {
		case e, ok := <-h.watcher.Events:
			if !ok {
				return
			}
			// What is being written under a name that does not count would hold up the look at its rename by the gap. Other events of such names
			// do tell something: a link that is exchanged may be what names that count lead through.
			if e.Op&^(fsnotify.Write|fsnotify.Chmod) == 0 && Ignored(filepath.Base(e.Name)) {
				continue
			}
			if e.Has(fsnotify.Create) {
				h.note(e.Name)
			}
		case err, ok := <-h.watcher.Errors:
			if !ok {
				return
			}
			// An overflowing queue among them: a reason to look, like any event.
			h.log.Debug("file events were lost; looking at the whole folder", "reason", err)
		}
		h.hint()
	}
}

func (h *hints) note(path string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.arrived) < mostArrived {
		h.arrived[path] = true
	}
}

// arrivals returns the names that have come into dir since the last call.
func (h *hints) arrivals(dir string) (names []string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for path := range h.arrived {
		if name := filepath.Base(path); filepath.Dir(path) == filepath.Clean(dir) && !Ignored(name) {
			names = append(names, name)
		}
	}
	clear(h.arrived)
	return names
}

func (h *hints) hint() {
	select {
	case h.C <- struct{}{}:
	default:
	}
}

// follow sets a watch on dir, anew when another folder has taken its place. added says that it set one, ok that there is one or
// need be none.
func (h *hints) follow(dir string) (added, ok bool) {
	if h.watcher == nil {
		return false, false
	}
	var st unix.Stat_t
	if err := unix.Stat(dir, &st); err != nil || st.Mode&unix.S_IFMT != unix.S_IFDIR {
		h.forget(dir)
		return false, true
	}
	id := folderID{st.Dev, st.Ino}
	if h.folders[dir] == id {
		return false, true
	}
	h.forget(dir)
	if err := h.watcher.Add(dir); err != nil {
		if errors.Is(err, unix.ENOENT) {
			return false, true // gone meanwhile
		}
		h.lacking(dir, err)
		return false, false
	}
	h.folders[dir] = id
	return true, true
}

// followFolders sets watches on the subfolders that a look has found and takes them off those that are gone. A new watch is a
// reason to look again: what was put into the subfolder between the look and the watch gave no event. It says whether all have one.
func (h *hints) followFolders(dir string, found []Entry) bool {
	present := map[string]bool{dir: true}
	all := true
	for _, e := range found {
		if e.Folder {
			path := filepath.Join(dir, e.Name)
			present[path] = true
			added, ok := h.follow(path)
			if added {
				h.hint()
			}
			all = all && ok
		}
	}
	for path := range h.folders {
		if !present[path] {
			h.forget(path)
		}
	}
	return all
}

func (h *hints) forget(dir string) {
	if _, ok := h.folders[dir]; ok {
		_ = h.watcher.Remove(dir) // fails when the folder, and so the watch, is gone already
		delete(h.folders, dir)
	}
}

func (h *hints) close() {
	if h.watcher == nil {
		return
	}
	_ = h.watcher.Close()
	<-h.done
}
