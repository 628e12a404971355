// Package server owns the daemon's HTTP surface: the handlers of OpenAI's and Weft's own endpoints, server-sent events, stop strings,
// the map from errors to statuses, the metrics and the one log line of each request. It loads no model and computes nothing: it asks
// the repository for a lease, hands token ids to its engine and turns the ids that come back into text. Who is calling, and whether
// the caller may speak at all, is daemon/server/door's.
//
// One goroutine serves each request, net/http's; a request for several choices has one more for each choice after the first, all
// joined before its handler returns. Nothing of a prompt or an answer is ever logged.
package server

import (
	"crypto/rand"
	"log/slog"
	"net/http"
	"strings"
	"sync/atomic"
	"time"

	"github.com/weft-run/weft/daemon/api"
	"github.com/weft-run/weft/daemon/server/door"
)

// Options are what a Server is made of. Models, Metrics and Log must be there.
type Options struct {
	Models Models
	Store  Store // nil: models are neither uploaded nor deleted
	// Adapters and AdapterStore are the same for adapters; nil: there are none.
	Adapters     Adapters
	AdapterStore AdapterStore
	// Sessions are those whose pages are kept on disk; nil: none are.
	Sessions Sessions
	// Caches returns the caches of the models in service; nil: there are none.
	Caches  func() []ModelCache
	Metrics *Metrics
	Log     *slog.Logger

	// State says how the daemon is: "starting", "ready" or "draining". nil: always ready.
	State func() string
	// Status fills what the daemon knows of itself; the server adds the caller and the models. May be nil.
	Status   func() api.Status
	Version  string
	Numerics string // version of the order of sums, stated in every answer

	Policy   door.Policy // names and pages that TCP callers may come by
	UID      int         // the daemon's own user, who may administer beside root
	AdminTCP bool        // whether every TCP caller may too

	Limits      api.Limits    // of a request's shape; the zero value: api.DefaultLimits
	MaxBody     int64         // bytes of one request body; 0: 32 MiB
	BodyRoom    int64         // bytes of all bodies over 64 KiB that are held at once; 0: 256 MiB
	BodyTimeout time.Duration // for a body to arrive, and for each piece of an upload; 0: one minute
	// TemplateTimeout is how long a chat template may take for one conversation; 0: chat.DefaultTimeout.
	TemplateTimeout time.Duration
	StallTimeout    time.Duration // for the client to take one event or one piece of an answer; 0: one minute
	KeepAlive       time.Duration // silence in a stream after which a comment is sent; 0: 15 seconds

	Connections *door.Connections // counted in the metrics; may be nil
}

// States of the daemon.
const (
	StateStarting = "starting"
	StateReady    = "ready"
	StateDraining = "draining"
)

// Server holds the handlers' common ground. It is safe for concurrent use.
type Server struct {
	o        Options
	bodies   atomic.Int64 // bytes of request bodies held now, small ones not counted
	encoders encoders
	tagKey   [32]byte // of the tags in the names of domains
	hub      hub
}

// New returns the handler of the whole HTTP surface.
func New(o Options) http.Handler {
	if o.Limits == (api.Limits{}) {
		o.Limits = api.DefaultLimits()
	}
	if o.MaxBody == 0 {
		o.MaxBody = 32 << 20
	}
	if o.BodyRoom == 0 {
		o.BodyRoom = 256 << 20
	}
	o.BodyRoom = max(o.BodyRoom, 4*o.MaxBody) // a buffer that grows is there twice for a moment
	if o.BodyTimeout == 0 {
		o.BodyTimeout = time.Minute
	}
	if o.StallTimeout == 0 {
		o.StallTimeout = time.Minute
	}
	if o.KeepAlive == 0 {
		o.KeepAlive = 15 * time.Second
	}
	if o.State == nil {
		o.State = func() string { return StateReady }
	}
	s := &Server{o: o, encoders: newEncoders()}
	_, _ = rand.Read(s.tagKey[:]) // it never fails
	o.Metrics.watch(o.Models, o.Adapters, o.Connections)
	return s.routes()
}

// handler answers one request. An error it returns becomes the answer, if none was begun, and stands in the log.
type handler func(w http.ResponseWriter, r *http.Request, rec *record) error

// endpoint is one method of one path. Its name stands in log and metrics.
type endpoint struct {
	method, path, name string
	handle             handler
}

// endpoints lists all there are.
func (s *Server) endpoints() []endpoint {
	return []endpoint{
		{"GET", api.PathModels, "models", s.handleModels},
		{"GET", api.PathModels + "/{id...}", "model", s.handleModel},
		{"POST", api.PathChatCompletions, "chat", s.handleChat},
		{"POST", api.PathCompletions, "completions", s.handleCompletions},

		{"GET", api.PathStatus, "status", s.handleStatus},
		{"GET", api.PathWeftModels, "weft_models", s.handleWeftModels},
		{"GET", api.PathEvents, "events", s.handleEvents},
		{"GET", api.PathWeftModels + "/{name}", "weft_model", s.handleWeftModel},
		{"PUT", api.PathWeftModels + "/{name}", "upload", s.handleUpload},
		{"DELETE", api.PathWeftModels + "/{name}", "delete", s.handleDelete},
		{"POST", api.PathWeftModels + "/{name}/{action}", "model_action", s.handleModelAction},
		{"GET", api.PathWeftAdapters, "adapters", s.handleAdapters},
		{"GET", api.PathWeftAdapters + "/{name}", "adapter", s.handleAdapter},
		{"PUT", api.PathWeftAdapters + "/{name}", "adapter_upload", s.handleAdapterUpload},
		{"DELETE", api.PathWeftAdapters + "/{name}", "adapter_delete", s.handleAdapterDelete},
		{"POST", api.PathWeftAdapters + "/{name}/{action}", "adapter_action", s.handleAdapterAction},
		{"GET", api.PathSessions, "sessions", s.handleSessions},
		{"DELETE", api.PathSessions + "/{name}", "forget_session", s.handleForgetSession},
		{"GET", api.PathCache, "cache", s.handleCache},
		{"DELETE", api.PathCache, "drop_cache", s.handleDropCache},
		{"POST", api.PathTokenize, "tokenize", s.handleTokenize},
		{"POST", api.PathDetokenize, "detokenize", s.handleDetokenize},
		{"POST", api.PathRender, "render", s.handleRender},
		{"POST", api.PathPerplexity, "perplexity", s.handlePerplexity},
		{"POST", api.PathVerify, "verify", s.handleVerify},

		{"GET", api.PathHealth, "health", s.handleHealth},
		{"GET", api.PathReady, "ready", s.handleReady},
		{"GET", api.PathVersion, "version", s.handleVersion},
		{"GET", api.PathMetrics, "metrics", s.handleMetrics},
	}
}

// routes makes one handler of them.
func (s *Server) routes() http.Handler {
	mux := http.NewServeMux()
	methods := map[string][]string{} // by path
	for _, e := range s.endpoints() {
		mux.Handle(e.method+" "+e.path, s.wrap(e.name, e.handle))
		methods[e.path] = append(methods[e.path], e.method)
	}
	for path, allowed := range methods { // any method that has no handler above
		mux.Handle(path, s.wrap("other", otherMethod(strings.Join(allowed, ", "))))
	}
	mux.Handle("/", s.wrap("other", notFound))
	return mux
}

func otherMethod(allowed string) handler {
	return func(w http.ResponseWriter, r *http.Request, _ *record) error {
		w.Header().Set("Allow", allowed)
		return &routeError{http.StatusMethodNotAllowed, r.Method + " is not a method of " + r.URL.Path + ", only " + allowed}
	}
}

func notFound(_ http.ResponseWriter, r *http.Request, _ *record) error {
	return &routeError{http.StatusNotFound, "there is no endpoint " + r.Method + " " + r.URL.Path}
}
