package server

import (
	"context"
	"io"

	"github.com/weft-run/weft/daemon/api"
	"github.com/weft-run/weft/runtime/chat"
	"github.com/weft-run/weft/runtime/engine"
	"github.com/weft-run/weft/runtime/sampler"
	"github.com/weft-run/weft/runtime/tokenizer"
)

// Wanted is what a request says of model and adapters.
type Wanted struct {
	Model    string              // may name adapters too
	Adapters []api.AdapterChoice // nil: not said; empty: none
	LoRA     []api.LoRAChoice    // the same in llama-server's words
}

// Models is what the server needs of the model repository and the registry of adapters.
type Models interface {
	// Acquire leases a model with the adapters that are wanted. It may wait for what is just arriving, no longer than ctx.
	Acquire(ctx context.Context, w Wanted) (*Model, error)
	// List says of every model what it is and how it is, ordered by name.
	List() []api.ModelStatus
	// Status says it of one, by its name or an alias. The error says what is near.
	Status(name string) (api.ModelStatus, error)
	// Act does one of the actions of daemon/api.
	Act(ctx context.Context, name, action string) error
}

// Adapters is what the server needs of the registry of adapters beside the leases that come with models.
type Adapters interface {
	// List says of every adapter what it is and how it is, ordered by name.
	List() []api.AdapterStatus
	// Memory returns the bytes that adapters take and may take, 0 where that is not bounded.
	Memory() (resident, budget int64)
	// Status says it of one. The error says what is near.
	Status(name string) (api.AdapterStatus, error)
	// Act does one of the actions of daemon/api.
	Act(ctx context.Context, name, action string) error
}

// Model is one generation of a model with adapters, held by a lease until Release.
type Model struct {
	Base     api.Base
	Adapters []api.Adapter // in the order of their application; Engine applies them
	// Digest is the base's digest once it is known; it waits no longer than ctx, and then says api.DigestPending.
	Digest        func(ctx context.Context) string
	ContextLength int    // tokens of one sequence
	KVType        string // of the cache
	Tokenizer     *tokenizer.Tokenizer
	Template      *chat.Template
	TemplateNote  string // of a template that is not the model's own: what answers say of it
	NoTemplate    string // why there is no template, where there is none
	Engine        Engine
	Sampling      map[string]float64 // the model's own defaults, by the name of the request's field
	Release       func()
}

// Engine computes. Token ids only.
type Engine interface {
	Submit(engine.Request) (Stream, error)
}

// Stream is one sequence being computed.
type Stream interface {
	Next(context.Context) (sampler.Token, error)
	Prompt(context.Context) ([]engine.PromptToken, error)
	Result() engine.Result
	Cancel()
}

// AdapterStore is the folder that uploaded adapters go to. Names have been checked: they are no paths.
type AdapterStore interface {
	// Put is Store's, for a GGUF file or an archive of a PEFT folder. expect is the generation to be replaced, or 0.
	Put(ctx context.Context, name string, r io.Reader, size int64, expect uint64) (api.Stored, error)
	Delete(ctx context.Context, name string) error
}

// Store is the folder that uploaded models go to. Names have been checked: they are no paths.
type Store interface {
	// Put writes a model's file and lets it appear whole, by rename. Where r fails or ends before size bytes (if size is not
	// negative) nothing appears.
	Put(ctx context.Context, name string, r io.Reader, size int64) (api.Stored, error)
	// Delete removes it; the error wraps fs.ErrNotExist where there is none.
	Delete(ctx context.Context, name string) error
}
