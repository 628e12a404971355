package server

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/weft-run/weft/adapters"
	"github.com/weft-run/weft/daemon/api"
	"github.com/weft-run/weft/daemon/server/door"
	"github.com/weft-run/weft/runtime/chat"
	"github.com/weft-run/weft/runtime/engine"
	"github.com/weft-run/weft/runtime/repository"
	"github.com/weft-run/weft/runtime/sampler"
)

// Sentinels of what the server itself refuses.
var (
	// ErrStarting says that the models have not all been looked at yet.
	ErrStarting = errors.New("the daemon is starting, models are still being loaded")
	// ErrDraining says that the daemon takes no new requests.
	ErrDraining = errors.New("the daemon is stopping")
	// ErrForbidden refuses an act of administration.
	ErrForbidden = errors.New("only root and the daemon's own user may change models and adapters, over the Unix socket")
	// ErrNoRoom is wrapped by a Store that cannot hold a file.
	ErrNoRoom = errors.New("no room for the file")

	errClientGone = errors.New("the client is gone")
	errSlowReader = errors.New("events came faster than they were read: ask again, how everything stands comes first")
	errTooSlow    = errors.New("the request body did not arrive in time")
	errBusy       = errors.New("too many large requests are being read, try again")
	errCut        = errors.New("the request body ended before its length")
	errNoTemplate = errors.New("name another template by `template` in the model's settings, or use /v1/completions")
	errPanic      = errors.New("internal error")
)

// statusClientGone is nginx's: the client left before its answer was whole. Nobody receives it: the connection is cut; the log and the
// metrics show it.
const statusClientGone = 499

// BodyTooLargeError refuses a body by its size.
type BodyTooLargeError struct{ Limit int64 }

func (e *BodyTooLargeError) Error() string {
	return fmt.Sprintf("the request body is larger than the limit of %d bytes", e.Limit)
}

// routeError is a path that is not there, or is there for other methods.
type routeError struct {
	status  int
	message string
}

func (e *routeError) Error() string { return e.message }

// shape maps an error to the answer that tells it: the one place where errors get their statuses.
func shape(err error) *api.Error {
	var (
		field       *api.FieldError
		unsupported *api.UnsupportedError
		sampling    *sampler.FieldError
		notFound    *repository.NotFoundError
		refused     *repository.RefusedError
		tooLong     *engine.TooLongError
		full        *engine.QueueFullError
		lost        *engine.LostError
		nonFinite   *engine.NonFiniteError
		large       *BodyTooLargeError
		noFile      *fileNotFoundError
		foreign     *door.ForeignError
		raised      *chat.RaisedError
		route       *routeError
		noAdapter   *adapters.NotFoundError
		withdrawn   *adapters.RefusedError
		unfit       *adapters.UnfitError
		crowded     *adapters.BusyError
		stale       *adapters.StaleError
	)
	switch {
	case errors.As(err, &field):
		return answer(http.StatusBadRequest, api.TypeInvalidRequest, api.CodeInvalidValue, field.Field, field.Error())
	case errors.As(err, &unsupported):
		return answer(http.StatusBadRequest, api.TypeInvalidRequest, api.CodeUnsupported, unsupported.Field, unsupported.Error())
	case errors.As(err, &sampling):
		return answer(http.StatusBadRequest, api.TypeInvalidRequest, api.CodeInvalidValue, sampling.Field,
			fmt.Sprintf("field %q: want %s, got %v", sampling.Field, sampling.Want, sampling.Got))
	case errors.Is(err, api.ErrBody):
		return answer(http.StatusBadRequest, api.TypeInvalidRequest, api.CodeInvalidBody, "", trim(err))
	case errors.As(err, &tooLong):
		return answer(http.StatusBadRequest, api.TypeInvalidRequest, api.CodeContextLength, "prompt",
			fmt.Sprintf("the prompt has %s%d tokens and the context holds %d, answer included: shorten the prompt", tooLong.Bound(), tooLong.Prompt, tooLong.Context))
	case errors.As(err, &raised):
		return answer(http.StatusBadRequest, api.TypeInvalidRequest, api.CodeTemplate, "messages", fmt.Sprintf("the chat template of model %q refuses these messages (line %d): %s", raised.Template, raised.Line, raised.Message))
	case errors.Is(err, chat.ErrTemplate), errors.Is(err, chat.ErrBudget):
		return answer(http.StatusBadRequest, api.TypeInvalidRequest, api.CodeTemplate, "messages", trim(err))
	case errors.Is(err, errNoTemplate):
		return answer(http.StatusBadRequest, api.TypeInvalidRequest, api.CodeTemplate, "model", trim(err))
	case errors.As(err, &foreign):
		code := api.CodeForeignOrigin
		if foreign.Header == "Host" {
			code = api.CodeForeignHost
		}
		return answer(http.StatusForbidden, api.TypePermission, code, "", foreign.Error())
	case errors.Is(err, ErrForbidden):
		return answer(http.StatusForbidden, api.TypePermission, api.CodeForbidden, "", ErrForbidden.Error())
	case errors.Is(err, errSlowReader):
		return answer(http.StatusServiceUnavailable, api.TypeUnavailable, api.CodeSlowReader, "", errSlowReader.Error())
	case errors.Is(err, ErrStarting): // before what is not found yet
		return later(answer(http.StatusServiceUnavailable, api.TypeUnavailable, api.CodeStarting, "", ErrStarting.Error()), time.Second)
	case errors.As(err, &noAdapter):
		return answer(http.StatusNotFound, api.TypeNotFound, api.CodeAdapterNotFound, "model", trim(err))
	case errors.As(err, &unfit):
		return answer(http.StatusBadRequest, api.TypeInvalidRequest, api.CodeAdapterUnfit, "model", trim(err))
	case errors.As(err, &withdrawn):
		e := answer(http.StatusServiceUnavailable, api.TypeUnavailable, api.CodeAdapterRefused, "model", trim(err))
		if withdrawn.Waiting {
			return later(e, time.Second)
		}
		return e
	case errors.As(err, &crowded):
		return later(answer(http.StatusServiceUnavailable, api.TypeUnavailable, api.CodeAdapterMemory, "model", trim(err)), time.Second)
	case errors.As(err, &stale):
		return answer(http.StatusPreconditionFailed, api.TypeInvalidRequest, api.CodeStale, "If-Match", trim(err))
	case errors.As(err, &noFile):
		return answer(http.StatusNotFound, api.TypeNotFound, api.CodeFileNotFound, "receipt.base.digest", noFile.Error())
	case errors.As(err, &notFound):
		return answer(http.StatusNotFound, api.TypeNotFound, api.CodeModelNotFound, "model", trim(err))
	case errors.Is(err, fs.ErrNotExist):
		return answer(http.StatusNotFound, api.TypeNotFound, api.CodeNotFound, "", trim(err))
	case errors.As(err, &route):
		code := api.CodeNotFound
		if route.status == http.StatusMethodNotAllowed {
			code = api.CodeMethod
		}
		return answer(route.status, api.TypeInvalidRequest, code, "", route.message)
	case errors.As(err, &large):
		return answer(http.StatusRequestEntityTooLarge, api.TypeInvalidRequest, api.CodeBodyTooLarge, "", large.Error())
	case errors.Is(err, errTooSlow):
		return answer(http.StatusRequestTimeout, api.TypeInvalidRequest, api.CodeTimeout, "", errTooSlow.Error())
	case errors.As(err, &full):
		message := fmt.Sprintf("the queue of this model is full: %d requests wait", full.Queue)
		if full.Share > 0 {
			message = fmt.Sprintf("you have %d requests at work and waiting for this model, and your share of its queue is %d: what is left of it is for other callers",
				full.Mine, full.Share)
		}
		return later(answer(http.StatusTooManyRequests, api.TypeRateLimit, api.CodeQueueFull, "", message), full.RetryAfter)
	case errors.Is(err, engine.ErrDeadline):
		return answer(http.StatusGatewayTimeout, api.TypeServer, api.CodeDeadline, "", trim(err))
	case errors.Is(err, errBusy):
		return later(answer(http.StatusServiceUnavailable, api.TypeUnavailable, api.CodeQueueFull, "", errBusy.Error()), time.Second)
	case errors.Is(err, ErrDraining), errors.Is(err, engine.ErrClosed), errors.Is(err, repository.ErrClosed), errors.Is(err, adapters.ErrClosed):
		return later(answer(http.StatusServiceUnavailable, api.TypeUnavailable, api.CodeClosing, "", ErrDraining.Error()), 5*time.Second)
	case errors.As(err, &refused):
		e := answer(http.StatusServiceUnavailable, api.TypeUnavailable, api.CodeModelRefused, "model", trim(err))
		if refused.Waiting {
			return later(e, time.Second)
		}
		return e
	case errors.As(err, &lost):
		return answer(http.StatusServiceUnavailable, api.TypeUnavailable, api.CodeWeightsLost, "model", trim(err))
	case errors.As(err, &nonFinite):
		return answer(http.StatusInternalServerError, api.TypeServer, api.CodeNonFinite, "model", trim(err))
	case errors.Is(err, ErrNoRoom), errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
		return answer(http.StatusInsufficientStorage, api.TypeServer, api.CodeInsufficientMem, "", trim(err))
	case errors.Is(err, errCut):
		return answer(http.StatusBadRequest, api.TypeInvalidRequest, api.CodeInvalidBody, "", errCut.Error())
	case errors.Is(err, engine.ErrRequest):
		return answer(http.StatusBadRequest, api.TypeInvalidRequest, api.CodeInvalidValue, "prompt", trim(err))
	case errors.Is(err, errClientGone), errors.Is(err, context.Canceled), errors.Is(err, engine.ErrSlowReader), errors.Is(err, engine.ErrCancelled):
		return answer(statusClientGone, api.TypeServer, api.CodeClientGone, "", errClientGone.Error())
	}
	// What went wrong inside is for the log; a stranger learns the request's id, which finds it there.
	return answer(http.StatusInternalServerError, api.TypeServer, api.CodeInternal, "", "internal error; the daemon's log has it under this request's X-Request-Id")
}

func answer(status int, kind, code, param, message string) *api.Error {
	e := &api.Error{Message: message, Type: kind, Status: status, Code: &code}
	if param != "" {
		e.Param = &param
	}
	return e
}

func later(e *api.Error, after time.Duration) *api.Error {
	e.RetryAfter = max(after, time.Second)
	return e
}

// trim takes the package names that lead an error's text away: they are for the log.
func trim(err error) string {
	text := err.Error()
	for _, p := range []string{"repository: ", "adapters: ", "engine: ", "api: ", "chat: "} {
		text = strings.TrimPrefix(text, p)
	}
	return text
}

// fail answers with an error, unless the answer has begun.
func (s *Server) fail(w http.ResponseWriter, rec *record, err error) {
	e := shape(err)
	rec.err = err
	if e.Status == statusClientGone {
		panic(http.ErrAbortHandler)
	}
	if rec.status != 0 {
		return
	}
	if e.RetryAfter > 0 {
		seconds := int64((e.RetryAfter + time.Second - 1) / time.Second)
		w.Header().Set("Retry-After", strconv.FormatInt(seconds, 10))
	}
	_ = s.writeJSON(w, e.Status, api.ErrorResponse{Error: e}) // the client that does not read it is gone
}
