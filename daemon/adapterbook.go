package daemon

import (
	"context"
	"time"

	"github.com/weft-run/weft/adapters"
	"github.com/weft-run/weft/daemon/api"
)

// adapterBook shows the registry of adapters to the server in the server's own words.
type adapterBook struct {
	registry *adapters.Registry
	look     func(context.Context)
}

func (b *adapterBook) Memory() (resident, budget int64) { return b.registry.Memory() }

func (b *adapterBook) List() []api.AdapterStatus {
	all := b.registry.List()
	list := make([]api.AdapterStatus, len(all))
	for i := range all {
		list[i] = adapterStatus(&all[i])
	}
	return list
}

func (b *adapterBook) Status(name string) (api.AdapterStatus, error) {
	st, err := b.registry.Status(name)
	if err != nil {
		return api.AdapterStatus{}, err
	}
	return adapterStatus(&st), nil
}

// Act does what an administrator asks, to the adapter as its files are now.
func (b *adapterBook) Act(ctx context.Context, name, action string) error {
	b.look(ctx)
	switch action {
	case api.ActionLoad:
		return b.registry.Load(ctx, name)
	case api.ActionTest:
		return b.registry.Test(ctx, name)
	case api.ActionUnload:
		return b.registry.Unload(name)
	case api.ActionPin, api.ActionUnpin:
		return b.registry.Pin(name, action == api.ActionPin)
	}
	panic("BUG: daemon: no action " + action)
}

func adapterStatus(s *adapters.Status) api.AdapterStatus {
	a := api.AdapterStatus{
		ID: s.ID, Name: s.Name, Aliases: s.Aliases, State: s.State, Reason: s.Reason, Next: s.Next, Format: string(s.About.Format),
		Generation: s.Number, Rank: s.About.Rank, Targets: s.About.Targets, DoRA: s.About.DoRA, Activated: s.About.Activated,
		For: s.For, Pinned: s.Pinned, Resident: s.Resident, Leases: s.Leases,
		Seen: timeOrNil(s.Seen), Published: timeOrNil(s.Published),
	}
	if s.Digest != "" {
		a.Digest = "sha256:" + s.Digest
	}
	if s.Number != 0 {
		a.SeenToReady = max(float64(s.Published.Sub(s.Seen))/float64(time.Millisecond), 0)
	}
	for _, f := range s.Files {
		a.Files = append(a.Files, f.Path)
		a.Bytes += f.Identity.Size
	}
	for _, on := range s.Bases {
		a.Bases = append(a.Bases, api.AdapterBase{Name: on.Base.Name, Generation: on.Base.Generation, Difference: on.Difference, Resident: on.Resident})
	}
	return a
}
