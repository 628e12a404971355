package daemon

import (
	"fmt"
	"time"

	"github.com/weft-run/weft/daemon/api"
	"github.com/weft-run/weft/daemon/server"
	"github.com/weft-run/weft/runtime/engine"
	"github.com/weft-run/weft/runtime/repository"
)

// book shows the repository to the server in the server's own words.
type book struct{ models *repository.Repository }

// Acquire leases a model.
func (b *book) Acquire(name string) (*server.Model, error) {
	lease, err := b.models.Acquire(name)
	if err != nil {
		return nil, err
	}
	digest, _ := lease.Digest()
	return &server.Model{
		Base: api.Base{
			Name: lease.Name, Digest: digestOrPending(digest), HeaderDigest: "sha256:" + lease.HeaderDigest, Generation: lease.Generation,
		},
		ContextLength: lease.ContextLen,
		Tokenizer:     lease.Tokenizer,
		Template:      lease.Template,
		Engine:        engineOf{lease.Engine},
		Sampling:      lease.Settings.Sampling,
		Release:       lease.Release,
	}, nil
}

// engineOf gives an engine's streams the server's interface.
type engineOf struct{ *engine.Engine }

func (e engineOf) Submit(r engine.Request) (server.Stream, error) {
	s, err := e.Engine.Submit(r)
	if err != nil {
		return nil, err // and no stream, not even a typed nil
	}
	return s, nil
}

// List says of every model what it is and how it is.
func (b *book) List() []api.ModelStatus {
	all := b.models.List()
	list := make([]api.ModelStatus, len(all))
	for i, s := range all {
		list[i] = statusOf(s)
	}
	return list
}

func statusOf(s repository.Status) api.ModelStatus {
	m := api.ModelStatus{
		Name: s.Name, Aliases: s.Aliases, State: s.State, Reason: s.Reason, BuiltIn: s.Builtin, Files: s.Files, Bytes: s.Bytes,
		Generation: s.Generation, Architecture: s.Architecture, Quantization: s.Quantization, Parameters: s.Parameters, Context: s.ContextLen,
		Resident: s.Memory, Running: s.Engine.Running, Queued: s.Engine.Queue, PagesUsed: s.Engine.PagesUsed, PagesTotal: s.Engine.PagesTotal,
		Seen: timeOrNil(s.Arrived), Served: timeOrNil(s.Served),
	}
	if s.Generation == 0 {
		return m // never loaded: nothing is known of what is in the files
	}
	m.HeaderDigest, m.Digest = "sha256:"+s.HeaderDigest, digestOrPending(s.Digest)
	m.Template = s.TemplateProblem
	if s.Template {
		m.Template = "ok"
	}
	m.SeenToReady = float64(s.Served.Sub(s.Arrived)) / float64(time.Millisecond)
	return m
}

func digestOrPending(digest string) string {
	if digest == "" {
		return "pending"
	}
	return fmt.Sprintf("sha256:%s", digest)
}

func timeOrNil(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}
