package server

import (
	"fmt"
	"net/http"

	"github.com/weft-run/weft/daemon/api"
	"github.com/weft-run/weft/runtime/pagestore"
)

// Sessions is what the server needs of the pages that are kept on disk.
type Sessions interface {
	Sessions() []pagestore.Info
	Forget(pagestore.Session) (bytes int64, found bool, err error)
}

// handleSessions lists the caller's sessions, everybody's to an administrator.
func (s *Server) handleSessions(w http.ResponseWriter, _ *http.Request, rec *record) error {
	list := api.SessionList{Sessions: []api.SessionStatus{}}
	if s.o.Sessions != nil {
		for _, info := range s.o.Sessions.Sessions() {
			if info.Caller == rec.caller.Domain() || s.isAdmin(rec.caller) {
				list.Sessions = append(list.Sessions, api.SessionStatus{
					Session: info.Name, Caller: info.Caller, Model: info.Model, Tokens: info.Tokens, Bytes: info.Bytes, Used: info.Used,
				})
			}
		}
	}
	return s.writeJSON(w, http.StatusOK, &list)
}

// handleForgetSession removes what is kept of a session, the caller's own or, for an administrator, another's.
func (s *Server) handleForgetSession(w http.ResponseWriter, r *http.Request, rec *record) error {
	session := pagestore.Session{Caller: rec.caller.Domain(), Name: r.PathValue("name")}
	if err := api.ParseSession(session.Name); err != nil {
		return err
	}
	if caller := r.URL.Query().Get("caller"); caller != "" && caller != session.Caller {
		if !s.isAdmin(rec.caller) {
			return ErrForbidden
		}
		session.Caller = caller
	}
	found := false
	if s.o.Sessions != nil {
		var err error
		if _, found, err = s.o.Sessions.Forget(session); err != nil {
			return &routeError{http.StatusInsufficientStorage, err.Error()}
		}
	}
	if !found {
		return &routeError{http.StatusNotFound, fmt.Sprintf("nothing is kept of a session %q of %s; `weft sessions` lists what is", session.Name, session.Caller)}
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}
