package daemon

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/weft-run/weft/adapters"
	"github.com/weft-run/weft/runtime/engine"
	"github.com/weft-run/weft/runtime/models"
	"github.com/weft-run/weft/runtime/repository"
)

// probeTokens is the length of the prompt that adapters are tested with, invocation tokens aside.
const probeTokens = 4

// bases shows the repository to the registry of adapters.
type bases struct {
	models *repository.Repository
	ready  func() bool
	device models.Device
}

func (b bases) Serving() []adapters.BaseInfo {
	known := b.models.Bases()
	all := make([]adapters.BaseInfo, len(known))
	for i := range known {
		all[i] = baseInfo(&known[i])
	}
	return all
}

// Lease gives the base of a name, by that name and no alias.
func (b bases) Lease(ctx context.Context, name string) (adapters.Base, error) {
	l, err := b.models.Acquire(name)
	if isLoading(err) {
		if err = b.models.Load(ctx, name); err == nil {
			l, err = b.models.Acquire(name)
		}
	}
	if err != nil {
		return nil, err
	}
	return base{l, b.device}, nil
}

func (b bases) Idle() bool { return !b.models.Busy() }

func (b bases) MakeWay(ctx context.Context, took time.Duration) { b.models.MakeWay(ctx, took) }

func (b bases) Ready() bool { return b.ready() }

// base is a leased model as adapters need it.
type base struct {
	*repository.Lease
	device models.Device
}

func baseInfo(b *repository.Base) adapters.BaseInfo {
	return adapters.BaseInfo{
		Name: b.Name, Generation: b.Generation, Unloaded: b.Generation == 0, Digest: b.Digest, Architecture: b.Architecture, Targets: b.Targets,
		Answers: slices.Concat(b.Aliases, b.CallsItself),
	}
}

func (b base) Info() adapters.BaseInfo {
	info := b.Base()
	return baseInfo(&info)
}

func (b base) Bind() adapters.Binder { return binder{models.NewBinder(b.Network, b.device)} }

// binder is a model's as adapters need it.
type binder struct{ *models.Binder }

func (b binder) Bound(digest string, invocation []int32) (adapters.Bound, error) {
	a, err := b.Adapter(digest, invocation)
	if err != nil {
		return nil, err // and no adapter, not even a typed nil
	}
	return a, nil
}

// Probe computes tokens that are spread over the vocabulary, so that few of them are alike, and the invocation behind them.
func (b base) Probe(ctx context.Context, a adapters.Bound, invocation []int32) ([]float32, error) {
	prompt := make([]int32, 0, repository.MaxProbe)
	for i := range probeTokens {
		prompt = append(prompt, int32((i+1)*b.Config.Vocab/(probeTokens+1)))
	}
	if len(invocation) > repository.MaxProbe-probeTokens {
		return nil, fmt.Errorf("%w: its invocation has %d tokens, and at most %d can be tested", adapters.ErrUntestable, len(invocation), repository.MaxProbe-probeTokens)
	}
	prompt = append(prompt, invocation...)
	var uses []models.AdapterUse
	if a != nil {
		uses = []models.AdapterUse{{Adapter: a.(*models.Adapter), Scale: 1}}
	}
	logits, err := b.Lease.Probe(ctx, prompt, uses)
	if overflow := (*engine.NonFiniteError)(nil); errors.As(err, &overflow) {
		return nil, fmt.Errorf("%w: %w", adapters.ErrUntestable, err)
	}
	return logits, err
}
