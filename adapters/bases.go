package adapters

import (
	"context"
	"time"

	"github.com/weft-run/weft/kernels/quant"
	"github.com/weft-run/weft/runtime/models"
)

// Bound is an adapter in the form that one loaded base computes with. It is immutable; who holds it needs nothing else of it.
type Bound interface {
	Bytes() int64
}

// Taker takes an adapter's changes as they are read. Several goroutines may call it at once.
type Taker interface {
	// Decode sets dst to the values of src: quant.Decode.
	Decode(t quant.Type, dst []float32, src []byte)
	// Add takes a change and keeps nothing of it. The error says why the change cannot be computed with; it must be one where some value is
	// infinite or not a number.
	Add(*models.Delta) error
}

// Binder takes an adapter for a base.
type Binder interface {
	Taker
	// Bound ends the adapter, when all calls of Add have returned nil.
	Bound(digest string, invocation []int32) (Bound, error)
}

// BaseInfo says which generation of a base stands in service.
type BaseInfo struct {
	Name       string
	Generation uint64
	// Unloaded says that it is loaded when somebody wants it; it has no generation until then.
	Unloaded bool
	// Digest is that of the file's header: what was proven on one generation holds for another of the same file.
	Digest       string
	Architecture string
	Targets      []models.Target
	// Answers are the names, beside Name, by which adapters may call the base: aliases, and what its file says of itself.
	Answers []string
}

// Base is a base held for a while. Its generation stays loaded until Release.
type Base interface {
	Info() BaseInfo
	// Bind begins an adapter for the base.
	Bind() Binder
	// Probe computes a fixed prompt, with the invocation tokens of an activated adapter at its end, and returns the logits behind it. a is
	// nil for the base alone. An error that is not
	// ErrUntestable is not the adapter's fault.
	Probe(ctx context.Context, a Bound, invocation []int32) ([]float32, error)
	Release()
}

// Bases are the models in service as the registry reaches them. All methods are called without the registry's lock.
type Bases interface {
	Serving() []BaseInfo
	// Lease holds the base of a name; one that is unloaded is loaded first, as long as ctx allows. The error is not nil where nothing of that
	// name is in service by now.
	Lease(ctx context.Context, name string) (Base, error)
	// Idle says whether no request is being computed: then what can wait is done.
	Idle() bool
	// MakeWay rests behind a piece of work as long as that took, or until ctx ends, if requests are being computed: their steps take as long as the
	// thread that has the least of its core.
	MakeWay(ctx context.Context, took time.Duration)
	// Ready says whether all models that were there at the start have been looked at. Until then the base that is missing may still come.
	Ready() bool
}
