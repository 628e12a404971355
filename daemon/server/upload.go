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

// maxModelName bounds the name of what is uploaded, so that its file's name and that of the hidden file before it stay within what file
// systems take.
const maxModelName = 200

// fileName is the name of a model or adapter to be stored or deleted. It never becomes a path: what could steer one is refused.
func fileName(r *http.Request) (string, error) {
	name := strings.TrimSuffix(r.PathValue("name"), ".gguf")
	bad := func(want string) error {
		return &api.FieldError{Field: "name", Want: want, Got: fmt.Sprintf("%q", name[:min(len(name), maxModelName)])}
	}
	switch {
	case name == "":
		return "", bad("a name")
	case len(name) > maxModelName:
		return "", bad(fmt.Sprintf("a name of at most %d bytes", maxModelName))
	case !utf8.ValidString(name) || strings.ContainsFunc(name, func(c rune) bool { return c < ' ' || c == 0x7f || c == '/' || c == '\\' }):
		return "", bad("a name without slashes and control characters")
	case strings.HasPrefix(name, "."):
		return "", bad("a name that does not begin with a dot")
	}
	return name, nil
}

// target is the name of the model or adapter that a request is about, of a caller who may change it. stored says whether there is a
// folder for it.
func (s *Server) target(r *http.Request, rec *record, stored bool) (string, error) {
	if !s.isAdmin(rec.caller) {
		return "", ErrForbidden
	}
	if !stored {
		return "", fmt.Errorf("%w: %w", ErrForbidden, errNoStore)
	}
	if s.o.State() == StateDraining {
		return "", ErrDraining
	}
	name, err := fileName(r)
	if err != nil {
		return "", err
	}
	rec.model = name
	return name, nil
}

func (s *Server) handleUpload(w http.ResponseWriter, r *http.Request, rec *record) error {
	name, err := s.target(r, rec, s.o.Store != nil)
	if err != nil {
		return err
	}
	return s.receive(w, r, func(body *upload) (api.Stored, error) {
		return s.o.Store.Put(r.Context(), name, body, r.ContentLength)
	})
}

// receive answers an upload with what put made of its body.
func (s *Server) receive(w http.ResponseWriter, r *http.Request, put func(body *upload) (api.Stored, error)) error {
	s.working(r) // an upload may take hours, and has its own limit on pauses
	body := &upload{s: s, w: w, r: r.Body}
	stored, err := put(body)
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
	name, err := s.target(r, rec, s.o.Store != nil)
	if err != nil {
		return err
	}
	if err := s.o.Store.Delete(r.Context(), name); err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			if m, err := s.o.Models.Status(name); err == nil && m.BuiltIn {
				return &routeError{http.StatusNotFound, fmt.Sprintf("%q is built in and has no file; `builtin = false` in the configuration leaves it out", name)}
			}
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
