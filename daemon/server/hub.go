package server

import (
	"cmp"
	"maps"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/weft-run/weft/daemon/api"
)

const (
	// hubPause is how often the lists are compared while somebody follows them. What comes and goes in between is not told.
	hubPause = 100 * time.Millisecond
	// followerRoom is how many events may wait for one reader before it is given up.
	followerRoom = 256
)

// hub tells those who follow it what becomes of models and adapters. It compares the lists with what they were, from a goroutine that
// runs while there are followers: the repository and the registry say how things stand, and need not know who wants to hear of it.
type hub struct {
	mu        sync.Mutex // guards what follows, and is held while the lists are read
	followers map[*follower]bool
	known     map[thing]api.Event
	stop      chan struct{} // closed to end the goroutine; nil where none runs
	done      chan struct{} // closed when it has ended
}

// thing is what has a state: a name, or one generation of it.
type thing struct {
	kind, name string
	generation uint64
}

// compare orders things as events of one moment are told: models first, by name and generation.
func (t thing) compare(u thing) int {
	return cmp.Or(-cmp.Compare(t.kind, u.kind), cmp.Compare(t.name, u.name), cmp.Compare(t.generation, u.generation))
}

// follower is one reader of events. The channel is closed behind the last; why then says what ended it.
type follower struct {
	events chan api.Event
	why    error // nil: the daemon stops
}

// follow begins a follower and says how everything stands, in order. look reads the lists, ended says that no event is to come any more.
func (h *hub) follow(look func() map[thing]api.Event, ended func() bool) (*follower, []api.Event) {
	h.mu.Lock()
	defer h.mu.Unlock()
	f := &follower{events: make(chan api.Event, followerRoom)}
	if h.stop == nil {
		h.followers, h.known = map[*follower]bool{}, look()
		h.stop, h.done = make(chan struct{}), make(chan struct{})
		go h.run(look, ended, h.stop, h.done)
	}
	h.followers[f] = true
	var present []api.Event
	for _, t := range slices.SortedFunc(maps.Keys(h.known), thing.compare) {
		e := h.known[t]
		e.Present = true
		present = append(present, e)
	}
	return f, present
}

// leave ends a follower, and with the last the goroutine.
func (h *hub) leave(f *follower) {
	h.mu.Lock()
	delete(h.followers, f)
	var done chan struct{}
	if len(h.followers) == 0 && h.stop != nil {
		close(h.stop)
		h.stop, done = nil, h.done
	}
	h.mu.Unlock()
	if done != nil {
		<-done
	}
}

func (h *hub) run(look func() map[thing]api.Event, ended func() bool, stop, done chan struct{}) {
	defer close(done)
	tick := time.NewTicker(hubPause)
	defer tick.Stop()
	for {
		select {
		case <-stop:
			return
		case <-tick.C:
		}
		h.mu.Lock()
		if h.stop == stop { // else others follow by now, with a goroutine of their own
			h.tell(look())
			if ended() {
				for f := range h.followers {
					h.end(f, nil)
				}
			}
		}
		h.mu.Unlock()
	}
}

// tell sends what is other than it was. The caller holds mu.
func (h *hub) tell(now map[thing]api.Event) {
	for _, e := range changes(h.known, now) {
		for f := range h.followers {
			select {
			case f.events <- e:
			default:
				h.end(f, errSlowReader)
			}
		}
	}
	h.known = now
}

// end closes a follower's events; it still has to leave. The caller holds mu.
func (h *hub) end(f *follower, why error) {
	f.why = why
	close(f.events)
	delete(h.followers, f)
}

// changes lists what is other than before, models first: what is gone, and then what has come or changed.
func changes(before, now map[thing]api.Event) (list []api.Event) {
	type name struct{ kind, name string }
	there := map[name]bool{}
	for t := range now {
		there[name{t.kind, t.name}] = true
	}
	at := time.Now().UTC()
	removed := map[name]bool{}
	for _, t := range slices.SortedFunc(maps.Keys(before), thing.compare) {
		if _, still := now[t]; still {
			continue
		}
		e := before[t]
		gone := api.Event{Object: api.EventObject, Kind: e.Kind, Name: e.Name, Generation: e.Generation, Digest: e.Digest, Time: at}
		if gone.State = api.StateGone; t.generation != 0 {
			list = append(list, gone)
		}
		if n := (name{t.kind, t.name}); !there[n] && !removed[n] {
			removed[n] = true
			list = append(list, api.Event{Object: api.EventObject, Kind: e.Kind, Name: e.Name, State: api.StateRemoved, Time: at})
		}
	}
	for _, t := range slices.SortedFunc(maps.Keys(now), thing.compare) {
		was, known := before[t]
		e := now[t]
		if known && was.State == e.State && was.Reason == e.Reason && was.Next == e.Next && (was.Resident > 0) == (e.Resident > 0) {
			continue
		}
		e.Time = at
		list = append(list, e)
	}
	return list
}

// things is how all models and adapters stand.
func (s *Server) things() map[thing]api.Event {
	all, at := map[thing]api.Event{}, time.Now().UTC()
	for _, m := range s.models() {
		all[thing{api.EventModel, m.Name, m.Generation}] = api.Event{
			Object: api.EventObject, Kind: api.EventModel, Name: m.Name, State: m.State, Reason: m.Reason, Next: m.Next, Generation: m.Generation, Digest: m.Digest, Time: at,
		}
	}
	for _, a := range s.adapters() {
		all[thing{api.EventAdapter, a.Name, a.Generation}] = api.Event{
			Object: api.EventObject, Kind: api.EventAdapter, Name: a.Name, State: a.State, Reason: a.Reason, Next: a.Next, Generation: a.Generation, Digest: a.Digest,
			Resident: a.Resident, Time: at,
		}
	}
	return all
}

func (s *Server) handleEvents(w http.ResponseWriter, r *http.Request, _ *record) error {
	f, present := s.hub.follow(s.things, func() bool { return s.o.State() == StateDraining })
	defer s.hub.leave(f)
	out := s.newEvents(w)
	defer out.close()
	out.warm()
	if err := out.comment("following"); err != nil { // where nothing is there the head goes out all the same
		return err
	}
	for i := range present {
		if err := out.send(&present[i]); err != nil {
			return err
		}
	}
	for {
		select {
		case <-r.Context().Done():
			return errClientGone
		case e, more := <-f.events:
			if !more {
				return out.end(f.why)
			}
			if err := out.send(&e); err != nil {
				return err
			}
		}
	}
}
