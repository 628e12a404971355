package daemon

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/weft-run/weft/adapters"
	"github.com/weft-run/weft/daemon/api"
	"github.com/weft-run/weft/daemon/server"
	"github.com/weft-run/weft/runtime/engine"
	"github.com/weft-run/weft/runtime/models"
	"github.com/weft-run/weft/runtime/parts"
	"github.com/weft-run/weft/runtime/repository"
)

// arrivalPatience is how long a request waits for a model that is just arriving: the settle time, a load from a slow disk, and some air.
// loadPatience is how long it waits for one that was unloaded: it is there and was whole, so that only its size and the disk decide.
const (
	arrivalPatience = 10 * time.Second
	loadPatience    = 5 * time.Minute
)

// book shows the repository and the registry of adapters to the server in the server's own words.
type book struct {
	models   *repository.Repository
	adapters *adapters.Registry
	drafts   *drafts
	device   models.Device
	look     func(context.Context) // brings both up to date with their folders
}

// Acquire leases a model and its adapters. A no is only given after a fresh look at the folders, and what is there but not yet still is
// waited for: so the request behind a copy or a replacement finds it, however quickly it follows. What was unloaded is loaded again.
func (b *book) Acquire(ctx context.Context, w server.Wanted) (*server.Model, error) {
	m, err := b.acquireArriving(ctx, w)
	// Others may have it unloaded again between the two, but not for ever.
	for try := 0; isLoading(err) && try < 3; try++ {
		var waits *repository.RefusedError
		errors.As(err, &waits)
		if err := b.load(ctx, waits.Name); err != nil {
			return nil, err
		}
		m, err = b.acquireArriving(ctx, w)
	}
	return m, err
}

// load waits for a model that was unloaded.
func (b *book) load(ctx context.Context, name string) error {
	patience, cancel := context.WithTimeout(ctx, loadPatience)
	defer cancel()
	err := b.models.Load(patience, name)
	if errors.Is(err, context.DeadlineExceeded) && ctx.Err() == nil {
		return &repository.RefusedError{Name: name, Reason: fmt.Sprintf("it is not loaded after %v", loadPatience), Waiting: true}
	}
	return err
}

// isLoading says whether an error is about a model that was unloaded and is on its way back.
func isLoading(err error) bool {
	waits := (*repository.RefusedError)(nil)
	return errors.As(err, &waits) && waits.Loading
}

func (b *book) acquireArriving(ctx context.Context, w server.Wanted) (*server.Model, error) {
	ctx, cancel := context.WithTimeout(ctx, arrivalPatience)
	defer cancel()
	m, err := b.acquire(ctx, w)
	if mistake := (*api.FieldError)(nil); err != nil && !errors.As(err, &mistake) && !isLoading(err) {
		return b.await(ctx, w)
	}
	return m, err
}

// acquire leases what there is now.
func (b *book) acquire(ctx context.Context, w server.Wanted) (*server.Model, error) {
	want, err := resolve(w, b)
	if err != nil {
		return nil, err
	}
	if want.base == "" {
		if want.base, err = b.baseOf(ctx, want.picks); err != nil {
			return nil, err
		}
	}
	lease, err := b.models.Acquire(want.base)
	if err != nil {
		return nil, err
	}
	if !want.said {
		for _, text := range lease.Settings.DefaultAdapters {
			want.picks = append(want.picks, resolveStack(text, b)...)
		}
		err = want.check()
	}
	var held []*adapters.Lease
	if err == nil {
		held, err = b.hold(ctx, lease, want.picks)
	}
	release := func() {
		for _, l := range held {
			l.Release()
		}
		lease.Release()
	}
	if err != nil {
		release()
		return nil, err
	}
	return modelOf(lease, held, want.picks, release), nil
}

// baseOf is the base of adapters that come without one: the only one that the first of them is for.
func (b *book) baseOf(ctx context.Context, picks []pick) (string, error) {
	if len(picks) == 0 { // all switched off: there is no telling of what
		return "", &api.FieldError{Field: "model", Want: "a model, or an adapter that is not switched off", Got: "adapters at scale 0"}
	}
	bases, err := b.adapters.Bases(ctx, picks[0].name)
	if err != nil {
		return "", err
	}
	if len(bases) > 1 {
		names := make([]string, len(bases))
		for i, base := range bases {
			names[i] = base.Name + "+" + picks[0].name
		}
		return "", &adapters.UnfitError{Adapter: picks[0].name, Reason: "it is for several models in service; name one: " + strings.Join(names, ", ")}
	}
	return bases[0].Name, nil
}

// hold leases adapters on a leased model. On failure it returns those that it has leased with the error.
func (b *book) hold(ctx context.Context, lease *repository.Lease, picks []pick) (held []*adapters.Lease, err error) {
	for _, p := range picks {
		l, err := b.adapters.Acquire(ctx, p.name, base{lease, b.device})
		if err != nil {
			return held, err
		}
		held = append(held, l)
		if l.DoRA && len(picks) > 1 {
			return held, &adapters.UnfitError{Adapter: l.Name, Reason: "it is a DoRA, which rescales whole rows of the base and so cannot be stacked; use it alone"}
		}
	}
	return held, nil
}

func modelOf(lease *repository.Lease, held []*adapters.Lease, picks []pick, release func()) *server.Model {
	digest, _ := lease.Digest()
	m := &server.Model{
		Base: api.Base{
			Name: lease.Name, Digest: digestOrPending(digest), HeaderDigest: "sha256:" + lease.HeaderDigest, Generation: lease.Generation,
		},
		Digest:        func(ctx context.Context) string { return awaitDigest(ctx, lease) },
		ContextLength: lease.ContextLen,
		KVType:        lease.CacheType.String(),
		Tokenizer:     lease.Tokenizer,
		Template:      lease.Template,
		TemplateNote:  templateNote(lease),
		NoTemplate:    lease.TemplateProblem,
		Sampling:      lease.Settings.Sampling,
		Release:       release,
	}
	engine := engineOf{Engine: lease.Engine}
	for i, l := range held {
		m.Adapters = append(m.Adapters, api.Adapter{Name: l.Name, Digest: "sha256:" + l.Digest, Scale: picks[i].scale, Generation: l.Generation})
		engine.uses = append(engine.uses, models.AdapterUse{Adapter: l.Adapter.(*models.Adapter), Scale: float32(picks[i].scale)})
	}
	m.Engine = engine
	return m
}

// awaitDigest returns the digest of a leased model, which the repository computes in the background, or api.DigestPending when ctx ends.
func awaitDigest(ctx context.Context, lease *repository.Lease) string {
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		if digest, known := lease.Digest(); known {
			return digestOrPending(digest)
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return api.DigestPending
		}
	}
}

// HasModel, HasAdapter and AdapterOf make the book a catalogue.
func (b *book) HasModel(name string) bool       { return b.models.Has(name) }
func (b *book) HasAdapter(name string) bool     { return b.adapters.Has(name) }
func (b *book) AdapterOf(id int) (string, bool) { return b.adapters.Name(id) }

// templateNote is what answers to chats say of the template: nothing where it is the model's own or its operator's choice.
func templateNote(l *repository.Lease) string {
	if strings.HasPrefix(l.TemplateOrigin, parts.OriginFallback) {
		return l.TemplateOrigin
	}
	return ""
}

// await looks again, and then waits as long as what is wanted is on its way and ctx lasts.
func (b *book) await(ctx context.Context, w server.Wanted) (*server.Model, error) {
	b.look(ctx)
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		m, err := b.acquire(ctx, w)
		if !onItsWay(err) || isLoading(err) {
			return m, err
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil, err
		}
	}
}

// onItsWay says whether an error is about what is there and not served yet.
func onItsWay(err error) bool {
	var (
		model   *repository.RefusedError
		adapter *adapters.RefusedError
	)
	return errors.As(err, &model) && model.Waiting || errors.As(err, &adapter) && adapter.Waiting
}

// engineOf gives an engine's streams the server's interface, and each request its adapters.
type engineOf struct {
	*engine.Engine
	uses []models.AdapterUse
}

func (e engineOf) Submit(r engine.Request) (server.Stream, error) {
	r.Adapters = e.uses
	s, err := e.Engine.Submit(r)
	if err != nil {
		return nil, err // and no stream, not even a typed nil
	}
	return s, nil
}
