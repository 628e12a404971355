package watch

import (
	"log/slog"
	"testing"

	"github.com/fsnotify/fsnotify"
)

// TestHintsOfHiddenFiles: writing a file under a name that does not count gives no hint, or the look at its rename would wait out the gap behind it.
// All else does, as a link with such a name may be on the way to a file that counts.
func TestHintsOfHiddenFiles(t *testing.T) {
	h := newHints(slog.New(slog.DiscardHandler), nil)
	h.watcher, h.done = &fsnotify.Watcher{Events: make(chan fsnotify.Event), Errors: make(chan error)}, make(chan struct{})
	go h.run()
	quiet := fsnotify.Event{Name: "/f/.a.tmp", Op: fsnotify.Write}
	for _, c := range []struct {
		event fsnotify.Event
		hint  bool
	}{
		{quiet, false},
		{fsnotify.Event{Name: "/f/a.gguf.part", Op: fsnotify.Write}, false},
		{fsnotify.Event{Name: "/f/.a", Op: fsnotify.Write | fsnotify.Chmod}, false},
		{fsnotify.Event{Name: "/f/..data", Op: fsnotify.Create}, true},
		{fsnotify.Event{Name: "/f/..data", Op: fsnotify.Rename}, true},
		{fsnotify.Event{Name: "/f/.a", Op: fsnotify.Remove}, true},
		{fsnotify.Event{Name: "/f/a.gguf", Op: fsnotify.Write}, true},
		{fsnotify.Event{Name: "/f/a.gguf", Op: fsnotify.Create}, true},
	} {
		h.watcher.Events <- c.event
		h.watcher.Events <- quiet // once it is taken the one before it is done with
		h.watcher.Events <- quiet
		select {
		case <-h.C:
			if !c.hint {
				t.Errorf("%v gave a hint", c.event)
			}
		default:
			if c.hint {
				t.Errorf("%v gave no hint", c.event)
			}
		}
	}
	close(h.watcher.Events)
	<-h.done
}
