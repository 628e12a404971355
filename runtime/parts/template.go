package parts

import (
	"fmt"
	"strings"

	"github.com/weft-run/weft/runtime/chat"
	"github.com/weft-run/weft/runtime/gguf"
	"github.com/weft-run/weft/runtime/tokenizer"
)

const keyTemplate = "tokenizer.chat_template"

// Where a model's chat template comes from.
const (
	OriginFile     = "file"
	OriginSettings = "settings"
	OriginFallback = "fallback " // and the template's name: neither the file nor the settings have one
)

// readTemplate chooses and parses the chat template: what the settings say, else the file's own. One that the settings ask for must
// be usable. A file that has none gets the one that its vocabulary speaks of. A file whose own does not parse is served for completions
// alone: another one in its place would be a prompt in a format that the model may not know, without a word.
func (p *Parts) readTemplate(meta gguf.Metadata, opts Options) error {
	o := chat.Options{Name: opts.Name, BOS: special(p.Tokenizer, p.Tokenizer.BOS), EOS: special(p.Tokenizer, p.Tokenizer.EOS)}
	if own := opts.Template; own != "" {
		// Text without a brace would render as itself, whatever the messages: it is a name.
		parse := chat.New
		if !strings.Contains(own, "{") {
			parse = chat.Fallback
		}
		p.TemplateOrigin = OriginSettings
		var err error
		if p.Template, err = parse(own, o); err != nil {
			return fmt.Errorf("%w: template: %w", ErrSetting, err)
		}
		return nil
	}
	source, err := meta.Str(keyTemplate, "")
	if err != nil {
		return err
	}
	if source == "" {
		name := chat.Guess(func(token string) bool {
			_, ok := p.Tokenizer.ID(token)
			return ok
		})
		p.TemplateOrigin = OriginFallback + name
		p.Template, err = chat.Fallback(name, o)
		return err
	}
	p.TemplateOrigin = OriginFile
	if p.Template, err = chat.New(source, o); err != nil {
		p.Template, p.TemplateOrigin, p.TemplateProblem = nil, "", err.Error()
	}
	return nil
}

// special is the text of a special token, "" where the model has none.
func special(t *tokenizer.Tokenizer, which func() (int32, bool)) string {
	id, ok := which()
	if !ok {
		return ""
	}
	return string(t.Piece(id))
}
