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

// Models is what the server needs of the model repository.
type Models interface {
	// Acquire leases the model of a name, exactly matched. It may wait for a model that is just arriving, no longer than ctx.
	Acquire(ctx context.Context, name string) (*Model, error)
	// List says of every model what it is and how it is, ordered by name.
	List() []api.ModelStatus
}

// Model is one generation of a model, held by a lease until Release.
type Model struct {
	Base          api.Base
	ContextLength int // tokens of one sequence
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

// Store is the folder that uploaded models go to. Names have been checked: they are no paths.
type Store interface {
	// Put writes a model's file and lets it appear whole, by rename. Where r fails or ends before size bytes (if size is not
	// negative) nothing appears.
	Put(ctx context.Context, name string, r io.Reader, size int64) (api.Stored, error)
	// Delete removes it; the error wraps fs.ErrNotExist where there is none.
	Delete(ctx context.Context, name string) error
}
