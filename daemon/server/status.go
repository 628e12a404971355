package server

import (
	"errors"
	"fmt"
	"net/http"
	"runtime"
	"slices"

	"github.com/weft-run/weft/daemon/api"
	"github.com/weft-run/weft/daemon/server/door"
)

// served lists the models that answer requests, those that are loaded first for that among them, and their aliases behind them, as OpenAI's list has them; then the adapters, by the
// name under which each can be asked for: its own where it is for one base alone.
func (s *Server) served() []api.Model {
	out := []api.Model{}
	for _, st := range s.o.Models.List() {
		if st.State != api.StateServing && st.State != api.StateUnloaded {
			continue
		}
		m := api.Model{ID: st.Name, Object: "model", OwnedBy: "weft", MaxModelLen: st.Context}
		if st.Served != nil {
			m.Created = st.Served.Unix()
		}
		for _, id := range append([]string{st.Name}, st.Aliases...) {
			m.ID = id
			out = append(out, m)
		}
	}
	return append(out, s.servedAdapters()...)
}

func (s *Server) servedAdapters() []api.Model {
	var out []api.Model
	for _, st := range s.adapters() {
		if st.State != api.StatePublished {
			continue
		}
		for _, b := range st.Bases {
			m := api.Model{ID: st.Name, Object: "model", OwnedBy: "weft", Parent: b.Name}
			if len(st.Bases) > 1 {
				m.ID = b.Name + "+" + st.Name
			}
			if st.Published != nil {
				m.Created = st.Published.Unix()
			}
			out = append(out, m)
		}
	}
	return out
}

func (s *Server) handleModels(w http.ResponseWriter, _ *http.Request, _ *record) error {
	return s.writeJSON(w, http.StatusOK, api.ModelList{Object: "list", Data: s.served()})
}

func (s *Server) handleModel(w http.ResponseWriter, r *http.Request, rec *record) error {
	id := r.PathValue("id")
	all := s.served()
	if i := slices.IndexFunc(all, func(m api.Model) bool { return m.ID == id }); i >= 0 {
		return s.writeJSON(w, http.StatusOK, all[i])
	}
	// The lease's refusal says what is near, or why the model cannot be served.
	model, err := s.acquire(r.Context(), rec, Wanted{Model: id})
	if err != nil {
		return err
	}
	defer model.Release()
	return s.writeJSON(w, http.StatusOK, api.Model{ID: id, Object: "model", OwnedBy: "weft", MaxModelLen: model.ContextLength})
}

func (s *Server) handleWeftModels(w http.ResponseWriter, _ *http.Request, _ *record) error {
	return s.writeJSON(w, http.StatusOK, api.ModelStatuses{Models: s.models()})
}

func (s *Server) handleWeftModel(w http.ResponseWriter, r *http.Request, _ *record) error {
	return s.modelStatus(w, r.PathValue("name"))
}

// modelStatus answers with one model.
func (s *Server) modelStatus(w http.ResponseWriter, name string) error {
	st, err := s.o.Models.Status(name)
	if err != nil {
		return err
	}
	return s.writeJSON(w, http.StatusOK, &st)
}

func (s *Server) handleModelAction(w http.ResponseWriter, r *http.Request, rec *record) error {
	if !s.isAdmin(rec.caller) {
		return ErrForbidden
	}
	name, action := r.PathValue("name"), r.PathValue("action")
	switch action {
	case api.ActionLoad, api.ActionUnload, api.ActionReload, api.ActionPin, api.ActionUnpin:
	default:
		return &routeError{http.StatusNotFound, fmt.Sprintf("a model can be told to %s, %s, %s, %s and %s, not to %q",
			api.ActionLoad, api.ActionUnload, api.ActionReload, api.ActionPin, api.ActionUnpin, action)}
	}
	s.working(r) // loading may take as long as reading the file does
	if err := s.o.Models.Act(r.Context(), name, action); err != nil {
		return err
	}
	return s.modelStatus(w, name)
}

func (s *Server) models() []api.ModelStatus {
	all := s.o.Models.List()
	if all == nil {
		return []api.ModelStatus{}
	}
	return all
}

func (s *Server) handleStatus(w http.ResponseWriter, _ *http.Request, rec *record) error {
	var st api.Status
	if s.o.Status != nil {
		st = s.o.Status()
	}
	st.Version, st.Numerics, st.State = s.o.Version, s.o.Numerics, s.o.State()
	st.Models = s.models()
	for _, m := range st.Models {
		st.Requests.Running += m.Running
		st.Requests.Queued += m.Queued
	}
	st.Caller = api.Caller{Network: rec.caller.Network, Admin: s.isAdmin(rec.caller)}
	if c := rec.caller; c.UID >= 0 {
		st.Caller.UID, st.Caller.GID, st.Caller.PID = &c.UID, &c.GID, &c.PID
	}
	return s.writeJSON(w, http.StatusOK, &st)
}

// isAdmin says whether a caller may change what is served: root and the daemon's own user on the Unix socket, where the kernel vouches
// for them; over TCP nobody, unless the operator opened it.
func (s *Server) isAdmin(c door.Caller) bool {
	switch c.Network {
	case "unix":
		return c.UID == 0 || c.UID >= 0 && c.UID == s.o.UID
	case "tcp":
		return s.o.AdminTCP
	}
	return false
}

// handleHealth answers as long as the process does.
func (s *Server) handleHealth(w http.ResponseWriter, _ *http.Request, _ *record) error {
	return s.writeJSON(w, http.StatusOK, api.Health{Status: "ok"})
}

// handleReady answers 200 once all models that lay there at the start have been looked at, and 503 again while the daemon drains.
func (s *Server) handleReady(w http.ResponseWriter, _ *http.Request, _ *record) error {
	switch s.o.State() {
	case StateStarting:
		return ErrStarting
	case StateDraining:
		return ErrDraining
	}
	return s.writeJSON(w, http.StatusOK, api.Health{Status: "ok"})
}

func (s *Server) handleVersion(w http.ResponseWriter, _ *http.Request, _ *record) error {
	return s.writeJSON(w, http.StatusOK, api.Version{
		Version: s.o.Version, Go: runtime.Version(), Platform: runtime.GOOS + "/" + runtime.GOARCH, Numerics: s.o.Numerics,
	})
}

var errNoStore = errors.New("this daemon keeps no models folder")
