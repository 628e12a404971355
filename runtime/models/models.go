// Package models owns the architectures: what a GGUF file's metadata and tensors mean, and the forward pass from token ids
// to logits. It does no arithmetic of its own (a kernels.Backend does), knows no request, and leaves sampling, batching
// and the ownership of cache pages to runtime/sampler, runtime/scheduler and runtime/kvcache.
//
// Units: positions, rows and context lengths are tokens; widths are float32 elements. Weights stay where they lie in the
// mapped file. A Model is immutable after Load and may be used by several goroutines at once, each with a Backend and a
// Workspace of its own. It must not be used after its gguf.File was closed.
package models

import (
	"fmt"
	"maps"
	"runtime/debug"
	"slices"
	"strings"

	"github.com/weft-run/weft/kernels"
	"github.com/weft-run/weft/runtime/gguf"
	"github.com/weft-run/weft/runtime/kvcache"
)

// Model is one loaded model.
type Model interface {
	// Config returns the shape of the model.
	Config() Config
	// Targets lists the weights that adapters may change. The slice is shared and must not be written.
	Targets() []Target
	// Forward computes the batch, writes its keys and values into pages, and returns the logits [len(batch.LogitRows),
	// Vocab], a view of ws that the next Forward overwrites. They may be read, and faults are known, after b.Sync. The batch
	// is not kept. It allocates nothing.
	Forward(b kernels.Backend, ws *Workspace, batch *Batch, pages *kvcache.Pages) kernels.Matrix
}

// Batch is one step: rows of any number of sequences, prefill and decode mixed. Row i is token Tokens[i] at Positions[i], and
// its key and value go to cache slot Slots[i] (page*PageTokens + offset). The rows of a sequence are one span.
type Batch struct {
	Tokens    []int32
	Positions []int32
	Slots     []int32
	Spans     []kernels.Span
	// LogitRows are the rows whose logits are wanted, each at most once. Only these pay for the final norm and the LM head.
	LogitRows []int32
	// Adapted are the rows that adapters change, in ascending runs that do not overlap. Rows of no run are the base's.
	Adapted []Adapted
	// Probe, where it is not nil, is called after each layer with the residual stream, to find the layer in which a value
	// stopped being finite. The last layer, and the final norm (called with layer == Layers), hold the LogitRows only.
	Probe func(layer int, x kernels.Matrix)
}

// architectures maps general.architecture to the function that builds the model from its config and weights.
var architectures = map[string]func(Config, *weights) Model{
	"llama": newLlama,
}

// Load makes the model of a file. Every tensor of the file must be used and every tensor that the architecture needs must be
// there, with a type that kernels compute and the shape that the metadata says; errors name the key or tensor.
func Load(f *gguf.File) (m Model, err error) {
	// Small tensors are read here, from a mapping that others may have truncated.
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		if r := recover(); r != nil {
			if _, fault := r.(interface{ Addr() uintptr }); !fault {
				panic(r)
			}
			m, err = nil, fmt.Errorf("models: reading small tensors: %w", kernels.ErrFault)
		}
	}()
	config, err := ReadConfig(f.Meta())
	if err != nil {
		return nil, err
	}
	w := newWeights(f)
	config.Rope.factors = w.ropeFactors(config.Rope.Dims)
	model := architectures[config.Architecture](config, w)
	if err := w.finish(); err != nil {
		return nil, err
	}
	return model, nil
}

// Architectures lists the supported values of general.architecture.
func Architectures() string {
	return strings.Join(slices.Sorted(maps.Keys(architectures)), ", ")
}
