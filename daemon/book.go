package daemon

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/weft-run/weft/daemon/api"
	"github.com/weft-run/weft/daemon/server"
	"github.com/weft-run/weft/runtime/engine"
	"github.com/weft-run/weft/runtime/parts"
	"github.com/weft-run/weft/runtime/repository"
)

// arrivalPatience is how long a request waits for a model that is just arriving: the settle time, a load from a slow disk, and some air.
const arrivalPatience = 10 * time.Second

// book shows the repository to the server in the server's own words.
type book struct {
	models *repository.Repository
	look   func(context.Context) // brings the repository up to date with the folder
}

// Acquire leases a model. A no is only given after a fresh look at the folder, and a model whose files are there but not yet still is
// waited for: so the request behind a copy or a replacement finds it, however quickly it follows.
func (b *book) Acquire(ctx context.Context, name string) (*server.Model, error) {
	lease, err := b.models.Acquire(name)
	if err != nil {
		if lease, err = b.await(ctx, name); err != nil {
			return nil, err
		}
	}
	digest, _ := lease.Digest()
	return &server.Model{
		Base: api.Base{
			Name: lease.Name, Digest: digestOrPending(digest), HeaderDigest: "sha256:" + lease.HeaderDigest, Generation: lease.Generation,
		},
		ContextLength: lease.ContextLen,
		Tokenizer:     lease.Tokenizer,
		Template:      lease.Template,
		TemplateNote:  templateNote(lease),
		NoTemplate:    lease.TemplateProblem,
		Engine:        engineOf{lease.Engine},
		Sampling:      lease.Settings.Sampling,
		Release:       lease.Release,
	}, nil
}

// templateNote is what answers to chats say of the template: nothing where it is the model's own or its operator's choice.
func templateNote(l *repository.Lease) string {
	if strings.HasPrefix(l.TemplateOrigin, parts.OriginFallback) {
		return l.TemplateOrigin
	}
	return ""
}

// await looks again, and then waits as long as the model is on its way and arrivalPatience lasts.
func (b *book) await(ctx context.Context, name string) (*repository.Lease, error) {
	ctx, cancel := context.WithTimeout(ctx, arrivalPatience)
	defer cancel()
	b.look(ctx)
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		lease, err := b.models.Acquire(name)
		var refused *repository.RefusedError
		if !errors.As(err, &refused) || !refused.Waiting {
			return lease, err
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil, err
		}
	}
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
		Name: s.Name, Aliases: s.Aliases, State: s.State, Reason: s.Reason, Next: s.Next, BuiltIn: s.Builtin, Files: s.Files, Bytes: s.Bytes,
		Generation: s.Generation, Architecture: s.Architecture, Quantization: s.Quantization, Parameters: s.Parameters, Context: s.ContextLen,
		Resident: s.Memory, Running: s.Engine.Running, Queued: s.Engine.Queue, PagesUsed: s.Engine.PagesUsed, PagesKept: s.Engine.PagesKept, PagesTotal: s.Engine.PagesTotal,
		Seen: timeOrNil(s.Arrived), Served: timeOrNil(s.Served),
	}
	if s.Generation == 0 {
		return m // never loaded: nothing is known of what is in the files
	}
	m.KVType = s.CacheType
	m.HeaderDigest, m.Digest = "sha256:"+s.HeaderDigest, digestOrPending(s.Digest)
	m.Template = cmp.Or(s.Template, s.TemplateProblem)
	m.SeenToReady = max(float64(s.Served.Sub(s.Arrived))/float64(time.Millisecond), 0) // the clock may have been set back between
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
