package daemon

import (
	"context"
	"errors"
	"io"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/weft-run/weft/daemon/api"
	"github.com/weft-run/weft/runtime/modeltest"
)

// TestEvents follows an adapter from its arrival to its end, and the end of the daemon.
func TestEvents(t *testing.T) {
	l := startAdapted(t)
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	events, err := l.client.Events(ctx)
	must(t, err)
	defer events.Close()
	// hear reads on until an event of a kind and a name has a state, and a reason that holds some words.
	hear := func(kind, name, state, words string) *api.Event {
		t.Helper()
		for {
			e, err := events.Next()
			if err != nil {
				t.Fatalf("waiting for %s %s to be %s: %v", kind, name, state, err)
			}
			if e.Object != api.EventObject || e.Time.IsZero() {
				t.Errorf("an event is %+v", e)
			}
			if e.Kind == kind && e.Name == name && e.State == state && strings.Contains(e.Reason, words) {
				return e
			}
		}
	}
	if e := hear(api.EventModel, "m", api.StateServing, ""); !e.Present || e.Generation == 0 {
		t.Errorf("the model stands as %+v", e)
	}
	l.lay("g", modeltest.TinyAdapter(tinyAdapter(1)))
	_, used := l.adapted("m+g", 1)
	first := hear(api.EventAdapter, "g", api.StatePublished, "")
	if first.Present || first.Generation != used[0].Generation || first.Digest != used[0].Digest {
		t.Errorf("published is %+v, and what answers is %+v", first, used)
	}
	l.lay("g", []byte("GGUF"))
	if e := hear(api.EventAdapter, "g", api.StatePublished, "the file ends"); e.Next != api.StateRefused || e.Generation != first.Generation {
		t.Errorf("refused beside the published one: %+v", e)
	}
	l.lay("g", modeltest.TinyAdapter(tinyAdapter(2)))
	for next := first; next.Generation <= first.Generation; { // while it is tested, the first is told of with how far the next has come
		next = hear(api.EventAdapter, "g", api.StatePublished, "")
	}
	must(t, os.Remove(l.adapterPath("g.gguf")))
	hear(api.EventAdapter, "g", api.StateGone, "")
	hear(api.EventAdapter, "g", api.StateRemoved, "")
	l.write("bad.gguf", []byte("GGUF is not enough"))
	hear(api.EventModel, "bad", api.StateRefused, "")

	go l.cancel()
	for err == nil {
		_, err = events.Next()
	}
	if !errors.Is(err, io.EOF) {
		t.Errorf("the daemon's end ends the events with %v", err)
	}
	if err := l.stop(); err != nil {
		t.Errorf("the daemon ended with %v", err)
	}
}
