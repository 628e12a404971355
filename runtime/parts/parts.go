// Package parts owns what is read out of a model's file before anything is computed with it: the architecture with its weights, the
// tokenizer and the chat template, and whether they are parts of one model. The repository serves what Read returns and refuses a
// file for what Read reports, and `weft inspect` shows the same: there is no second judge. It starts no engine, reserves no memory
// and does not know under which name a model is served.
//
// Of tensors it reads the few small ones that an architecture keeps decoded; a file of any size costs its header.
package parts

import (
	"errors"
	"fmt"

	"github.com/weft-run/weft/runtime/chat"
	"github.com/weft-run/weft/runtime/gguf"
	"github.com/weft-run/weft/runtime/models"
	"github.com/weft-run/weft/runtime/tokenizer"
)

// Options are what Read has to know beside the file.
type Options struct {
	// Name is what errors of the template call it.
	Name string
	// Template is Jinja text, or the name of a template that the program has; "": the file's own.
	Template string
}

// Parts are what a file holds. They are immutable, and Model must not be used after the file was closed.
type Parts struct {
	Model     models.Model
	Tokenizer *tokenizer.Tokenizer
	// Template is the chat template and TemplateOrigin says where it comes from. The template is nil where the file's own cannot be
	// used; TemplateProblem says why.
	Template        *chat.Template
	TemplateOrigin  string
	TemplateProblem string
}

// Read makes everything of a file that needs no engine. The error joins all reasons against serving the file that can be told from
// it; the parts in which nothing is wrong are there all the same, so that they can be shown.
func Read(f *gguf.File, o Options) (*Parts, error) {
	p := &Parts{}
	var reasons [3]error
	p.Model, reasons[0] = models.Load(f)
	p.Tokenizer, reasons[1] = tokenizer.New(f.Meta())
	if p.Model != nil && p.Tokenizer != nil {
		if n, rows := p.Tokenizer.Size(), p.Model.Config().Vocab; n != rows {
			reasons[1] = fmt.Errorf("%w: the vocabulary has %d tokens, and the embedding has %d rows", ErrMismatch, n, rows)
		}
	}
	if p.Tokenizer != nil { // a template writes the text of special tokens
		reasons[2] = p.readTemplate(f.Meta(), o)
	}
	return p, errors.Join(reasons[:]...)
}
