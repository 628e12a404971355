package server

import (
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"strconv"
	"strings"

	"github.com/weft-run/weft/daemon/api"
)

var errNoAdapters = &routeError{http.StatusNotFound, "this daemon keeps no adapters"}

func (s *Server) handleAdapters(w http.ResponseWriter, _ *http.Request, _ *record) error {
	out := api.AdapterStatuses{Adapters: s.adapters()}
	if s.o.Adapters != nil {
		out.Resident, out.Budget = s.o.Adapters.Memory()
	}
	return s.writeJSON(w, http.StatusOK, &out)
}

// adapters lists all there are, never nil.
func (s *Server) adapters() []api.AdapterStatus {
	if s.o.Adapters == nil {
		return []api.AdapterStatus{}
	}
	return s.o.Adapters.List()
}

// adapterStatus answers with one adapter.
func (s *Server) adapterStatus(w http.ResponseWriter, name string) error {
	st, err := s.o.Adapters.Status(name)
	if err != nil {
		return err
	}
	return s.writeJSON(w, http.StatusOK, &st)
}

func (s *Server) handleAdapter(w http.ResponseWriter, r *http.Request, _ *record) error {
	if s.o.Adapters == nil {
		return errNoAdapters
	}
	return s.adapterStatus(w, r.PathValue("name"))
}

func (s *Server) handleAdapterAction(w http.ResponseWriter, r *http.Request, rec *record) error {
	if !s.isAdmin(rec.caller) {
		return ErrForbidden
	}
	if s.o.Adapters == nil {
		return errNoAdapters
	}
	action := r.PathValue("action")
	switch action {
	case api.ActionLoad, api.ActionUnload, api.ActionPin, api.ActionUnpin, api.ActionTest:
	default:
		return &routeError{http.StatusNotFound, fmt.Sprintf("an adapter can be told to %s, %s, %s, %s and %s, not to %q",
			api.ActionLoad, api.ActionUnload, api.ActionPin, api.ActionUnpin, api.ActionTest, action)}
	}
	if err := s.o.Adapters.Act(r.Context(), r.PathValue("name"), action); err != nil {
		return err
	}
	return s.adapterStatus(w, r.PathValue("name"))
}

func (s *Server) handleAdapterUpload(w http.ResponseWriter, r *http.Request, rec *record) error {
	name, err := s.target(r, rec, s.o.AdapterStore != nil)
	if err != nil {
		return err
	}
	expect, err := expected(r)
	if err != nil {
		return err
	}
	return s.receive(w, r, func(body *upload) (api.Stored, error) {
		return s.o.AdapterStore.Put(r.Context(), name, body, r.ContentLength, expect)
	})
}

// expected is the generation that a request wants replaced: the entity tag of If-Match, or 0.
func expected(r *http.Request) (uint64, error) {
	tag := r.Header.Get("If-Match")
	if tag == "" {
		return 0, nil
	}
	n, err := strconv.ParseUint(strings.TrimSuffix(strings.TrimPrefix(tag, `"`), `"`), 10, 64)
	if err != nil || n == 0 {
		return 0, &api.FieldError{Field: "If-Match", Want: "the generation to be replaced, such as \"3\"", Got: fmt.Sprintf("%.40q", tag)}
	}
	return n, nil
}

func (s *Server) handleAdapterDelete(w http.ResponseWriter, r *http.Request, rec *record) error {
	name, err := s.target(r, rec, s.o.AdapterStore != nil)
	if err != nil {
		return err
	}
	if err := s.o.AdapterStore.Delete(r.Context(), name); err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return &routeError{http.StatusNotFound, fmt.Sprintf("there is no file of an adapter called %q in the adapters folder", name)}
		}
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}
