package server

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"strings"
	"unicode/utf8"

	"github.com/weft-run/weft/daemon/api"
)

// maxModelName bounds an uploaded model's name, so that its file's name and that of the hidden file before it stay within what file
// systems take.
const maxModelName = 200

// modelName is the name of a model to be stored or deleted. It never becomes a path: what could steer one is refused.
func modelName(r *http.Request) (string, error) {
	name := strings.TrimSuffix(r.PathValue("name"), ".gguf")
	bad := func(want string) error {
		return &api.FieldError{Field: "name", Want: want, Got: fmt.Sprintf("%q", name[:min(len(name), maxModelName)])}
	}
	switch {
	case name == "":
		return "", bad("a model's name")
	case len(name) > maxModelName:
		return "", bad(fmt.Sprintf("a name of at most %d bytes", maxModelName))
	case !utf8.ValidString(name) || strings.ContainsFunc(name, func(c rune) bool { return c < ' ' || c == 0x7f || c == '/' || c == '\\' }):
		return "", bad("a name without slashes and control characters")
	case strings.HasPrefix(name, "."):
		return "", bad("a name that does not begin with a dot")
	}
	return name, nil
}

// target is where models go, for a caller who may change them, and the name of the one that the request is about.
func (s *Server) target(r *http.Request, rec *record) (Store, string, error) {
	if !s.isAdmin(rec.caller) {
		return nil, "", ErrForbidden
	}
	if s.o.Store == nil {
		return nil, "", fmt.Errorf("%w: %w", ErrForbidden, errNoStore)
	}
	if s.o.State() == StateDraining {
		return nil, "", ErrDraining
	}
	name, err := modelName(r)
	if err != nil {
		return nil, "", err
	}
	rec.model = name
	return s.o.Store, name, nil
}

func (s *Server) handleUpload(w http.ResponseWriter, r *http.Request, rec *record) error {
	store, name, err := s.target(r, rec)
	if err != nil {
		return err
	}
	s.working(r) // an upload may take hours, and has its own limit on pauses
	body := &upload{s: s, w: w, r: r.Body}
	stored, err := store.Put(r.Context(), name, body, r.ContentLength)
	switch {
	case errors.Is(body.err, os.ErrDeadlineExceeded):
		return errTooSlow
	case body.err != nil && r.Context().Err() != nil:
		return fmt.Errorf("%w: %w", errClientGone, body.err)
	case body.err != nil:
		return fmt.Errorf("%w: %w", errCut, body.err)
	case err != nil:
		return err
	}
	return s.writeJSON(w, http.StatusCreated, stored)
}

func (s *Server) handleDelete(w http.ResponseWriter, r *http.Request, rec *record) error {
	store, name, err := s.target(r, rec)
	if err != nil {
		return err
	}
	if err := store.Delete(r.Context(), name); err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return &routeError{http.StatusNotFound, fmt.Sprintf("there is no file of a model called %q in the models folder", name)}
		}
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

// upload reads a body that may take hours, as long as it never pauses for longer than any other body may take.
type upload struct {
	s   *Server
	w   http.ResponseWriter
	r   io.Reader
	err error // what the body itself ended with, if not well
}

func (u *upload) Read(b []byte) (int, error) {
	u.s.expect(u.w)
	n, err := u.r.Read(b)
	switch {
	case errors.Is(err, io.EOF):
		u.s.arrived(u.w) // writing the file to the disk may take long too
	case err != nil:
		u.err = err
	}
	return n, err
}
