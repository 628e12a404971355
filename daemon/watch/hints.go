package watch

import (
	"log/slog"
	"path/filepath"

	"github.com/fsnotify/fsnotify"
	"golang.org/x/sys/unix"
)

// hints turns events of the file system into hints on C. C holds one hint at most: several events are one reason to look. All
// methods are called from one goroutine; close ends the one that newHints started.
type hints struct {
	C       chan struct{}
	watcher *fsnotify.Watcher
	folders map[string]folderID // watched folders and what they were when their watch was set
	log     *slog.Logger
	failed  bool // whether the log has said that a watch cannot be set
	done    chan struct{}
}

type folderID struct{ device, inode uint64 }

// newHints returns nil when the system gives us no events: the timer does the work then.
func newHints(log *slog.Logger) *hints {
	w, err := fsnotify.NewWatcher()
	if err != nil {
		log.Warn("no file events; changes are found by looking regularly", "reason", err)
		return nil
	}
	h := &hints{C: make(chan struct{}, 1), watcher: w, folders: map[string]folderID{}, log: log, done: make(chan struct{})}
	go h.run()
	return h
}

func (h *hints) run() {
	defer close(h.done)
	for {
		select {
		case _, ok := <-h.watcher.Events:
			if !ok {
				return
			}
		case _, ok := <-h.watcher.Errors: // an overflowing queue among them: a reason to look, like any event
			if !ok {
				return
			}
		}
		h.hint()
	}
}

func (h *hints) hint() {
	select {
	case h.C <- struct{}{}:
	default:
	}
}

// follow sets a watch on dir, anew when another folder has taken its place. It says whether it set one.
func (h *hints) follow(dir string) bool {
	var st unix.Stat_t
	if err := unix.Stat(dir, &st); err != nil || st.Mode&unix.S_IFMT != unix.S_IFDIR {
		h.forget(dir)
		return false
	}
	id := folderID{st.Dev, st.Ino}
	if h.folders[dir] == id {
		return false
	}
	h.forget(dir)
	if err := h.watcher.Add(dir); err != nil {
		if !h.failed {
			h.failed = true
			h.log.Warn("no file events for a folder; its changes are found by looking regularly", "folder", dir, "reason", err)
		}
		return false
	}
	h.folders[dir] = id
	return true
}

// followFolders sets watches on the subfolders that a look has found and takes them off those that are gone. A new watch is a
// reason to look again: what was put into the subfolder between the look and the watch gave no event.
func (h *hints) followFolders(dir string, found []Entry) {
	present := map[string]bool{dir: true}
	for _, e := range found {
		if e.Folder {
			path := filepath.Join(dir, e.Name)
			present[path] = true
			if h.follow(path) {
				h.hint()
			}
		}
	}
	for path := range h.folders {
		if !present[path] {
			h.forget(path)
		}
	}
}

func (h *hints) forget(dir string) {
	if _, ok := h.folders[dir]; ok {
		_ = h.watcher.Remove(dir) // fails when the folder, and so the watch, is gone already
		delete(h.folders, dir)
	}
}

func (h *hints) close() {
	_ = h.watcher.Close()
	<-h.done
}
