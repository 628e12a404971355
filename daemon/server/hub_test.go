package server

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/weft-run/weft/daemon/api"
)

// at makes the things of a list such as "model m 1 serving; adapter a 2 published+".
func at(text string) map[thing]api.Event {
	all := map[thing]api.Event{}
	for part := range strings.SplitSeq(text, "; ") {
		var t thing
		var state string
		if n, _ := fmt.Sscan(part, &t.kind, &t.name, &t.generation, &state); n < 4 {
			continue
		}
		e := api.Event{Kind: t.kind, Name: t.name, Generation: t.generation}
		e.State, e.Reason, _ = strings.Cut(state, ":")
		if strings.HasSuffix(e.State, "+") {
			e.State, e.Resident = strings.TrimSuffix(e.State, "+"), 1
		}
		all[t] = e
	}
	return all
}

func tellAll(list []api.Event) string {
	var out []string
	for _, e := range list {
		text := fmt.Sprint(e.Kind, " ", e.Name, " ", e.Generation, " ", e.State)
		if e.Reason != "" {
			text += ":" + e.Reason
		}
		if e.Resident > 0 {
			text += "+"
		}
		out = append(out, text)
	}
	return strings.Join(out, "; ")
}

// TestChanges: which events make one list out of another.
func TestChanges(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ before, now, want string }{
		{"model m 1 serving", "model m 1 serving", ""},
		{"", "adapter a 0 settling; model m 1 serving", "model m 1 serving; adapter a 0 settling"},
		{"adapter a 0 settling", "adapter a 1 published", "adapter a 1 published"},
		{"adapter a 1 published", "adapter a 1 published+", "adapter a 1 published+"},
		{"adapter a 1 published+", "adapter a 1 published:other", "adapter a 1 published:other"},
		{"adapter a 1 published", "adapter a 1 retiring; adapter a 2 published", "adapter a 1 retiring; adapter a 2 published"},
		{"adapter a 1 retiring; adapter a 2 published", "adapter a 2 published", "adapter a 1 gone"},
		{"model m 1 serving", "", "model m 1 gone; model m 0 removed"},
		{"adapter a 0 refused:bad", "", "adapter a 0 removed"},
		{"adapter a 0 refused:bad", "adapter a 0 refused:worse", "adapter a 0 refused:worse"},
		{"model m 1 retiring; model m 2 serving", "", "model m 1 gone; model m 0 removed; model m 2 gone"},
	} {
		if got := tellAll(changes(at(c.before), at(c.now))); got != c.want {
			t.Errorf("from %q to %q: %q, want %q", c.before, c.now, got, c.want)
		}
	}
}

// TestHub: each follower hears how things stand and then of every change; one that does not read is given up and holds up nobody.
func TestHub(t *testing.T) {
	t.Parallel()
	var h hub
	var now, ended atomic.Value
	now.Store("model m 1 serving")
	ended.Store(false)
	look := func() map[thing]api.Event { return at(now.Load().(string)) }
	stops := func() bool { return ended.Load().(bool) }
	reader, present := h.follow(look, stops)
	if len(present) != 1 || !present[0].Present || tellAll(present) != "model m 1 serving" {
		t.Errorf("present are %+v", present)
	}
	sleeper, _ := h.follow(look, stops)
	for i := range followerRoom + 1 {
		state := fmt.Sprintf("model m 1 serving:%d", i)
		h.mu.Lock() // the goroutine's own look would come too, and find nothing else
		now.Store(state)
		h.tell(look())
		h.mu.Unlock()
		if e := <-reader.events; e.Reason != fmt.Sprint(i) || e.Present {
			t.Fatalf("event %d is %+v", i, e)
		}
	}
	n := 0
	for range sleeper.events {
		n++
	}
	if n != followerRoom || !errors.Is(sleeper.why, errSlowReader) {
		t.Errorf("who did not read got %d events, and %v", n, sleeper.why)
	}
	if e := shape(sleeper.why); e.Status != http.StatusServiceUnavailable || *e.Code != api.CodeSlowReader {
		t.Errorf("it is told %+v", e)
	}
	now.Store("") // seen by the goroutine
	if got := tellAll([]api.Event{<-reader.events, <-reader.events}); got != "model m 1 gone; model m 0 removed" {
		t.Errorf("when all is gone: %s", got)
	}
	ended.Store(true)
	if _, more := <-reader.events; more || reader.why != nil {
		t.Errorf("at the end there is more, or %v", reader.why)
	}
	h.leave(sleeper)
	h.leave(reader)
	if h.stop != nil {
		t.Error("the goroutine runs on")
	}
	ended.Store(false)
	again, present := h.follow(look, stops)
	if len(present) != 0 {
		t.Errorf("present are %+v", present)
	}
	h.leave(again)
}
