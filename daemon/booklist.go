package daemon

import (
	"cmp"
	"context"
	"fmt"
	"time"

	"github.com/weft-run/weft/daemon/api"
	"github.com/weft-run/weft/runtime/repository"
)

// List says of every model what it is and how it is.
func (b *book) List() []api.ModelStatus {
	all := b.models.List()
	list := make([]api.ModelStatus, len(all))
	for i, s := range all {
		list[i] = b.statusOf(s)
	}
	return list
}

// Status says it of one.
func (b *book) Status(name string) (api.ModelStatus, error) {
	s, err := b.models.Status(name)
	if err != nil {
		return api.ModelStatus{}, err
	}
	return b.statusOf(s), nil
}

// Act does what an administrator asks, to the model as its files are now.
func (b *book) Act(ctx context.Context, name, action string) error {
	b.look(ctx)
	switch action {
	case api.ActionLoad:
		return b.load(ctx, name)
	case api.ActionReload:
		return b.models.Reload(ctx, name)
	case api.ActionUnload:
		return b.models.Unload(name)
	case api.ActionPin, api.ActionUnpin:
		return b.models.Pin(name, action == api.ActionPin)
	}
	panic("BUG: daemon: no action " + action)
}

func (b *book) statusOf(s repository.Status) api.ModelStatus {
	m := api.ModelStatus{
		Name: s.Name, Aliases: s.Aliases, State: s.State, Reason: s.Reason, Next: s.Next, BuiltIn: s.Builtin, Files: s.Files, Bytes: s.Bytes,
		Generation: s.Generation, Architecture: s.Architecture, Quantization: s.Quantization, Parameters: s.Parameters, Context: s.ContextLen,
		Resident: s.Memory, Running: s.Engine.Running, Queued: s.Engine.Queue, PagesUsed: s.Engine.PagesUsed, PagesKept: s.Engine.PagesKept, PagesTotal: s.Engine.PagesTotal,
		Preempted: s.Engine.Preempted, Drafted: s.Engine.Drafted, Accepted: s.Engine.Accepted, Draft: s.Draft, DraftedByModel: s.Engine.DraftedByModel, AcceptedByModel: s.Engine.AcceptedByModel,
		Pinned: s.Pinned, Used: timeOrNil(s.Used), LastRefusal: s.LastRefusal, LastRefused: timeOrNil(s.LastRefused),
		Seen: timeOrNil(s.Arrived), Served: timeOrNil(s.Served),
	}
	if s.State == repository.StateServing {
		m.DraftNote = b.drafts.note(s.Name)
	}
	if s.HeaderDigest == "" {
		return m // never loaded: nothing is known of what is in the files
	}
	m.KVType = s.CacheType
	m.HeaderDigest, m.Digest = "sha256:"+s.HeaderDigest, digestOrPending(s.Digest)
	m.Template = cmp.Or(s.Template, s.TemplateProblem)
	m.SeenToReady = max(float64(s.Served.Sub(s.Wanted))/float64(time.Millisecond), 0) // the clock may have been set back between
	return m
}

func digestOrPending(digest string) string {
	if digest == "" {
		return api.DigestPending
	}
	return fmt.Sprintf("sha256:%s", digest)
}

func timeOrNil(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}
