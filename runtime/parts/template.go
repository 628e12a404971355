package parts

import (
	"fmt"
	"strings"

	"github.com/weft-run/weft/runtime/chat"
	"github.com/weft-run/weft/runtime/gguf"
	"github.com/weft-run/weft/runtime/tokenizer"
)

const keyTemplate = "tokenizer.chat_template"

// readTemplate chooses and parses the chat template: what the settings say, else the file's own. One that the settings ask for must
// be usable. A file without a usable one is served for completions.
func (p *Parts) readTemplate(meta gguf.Metadata, opts Options) error {
	o := chat.Options{Name: opts.Name, BOS: special(p.Tokenizer, p.Tokenizer.BOS), EOS: special(p.Tokenizer, p.Tokenizer.EOS)}
	if own := opts.Template; own != "" {
		// Text without a brace would render as itself, whatever the messages: it is a name.
		parse := chat.New
		if !strings.Contains(own, "{") {
			parse = chat.Fallback
		}
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
		p.TemplateProblem = "the file has no chat template"
		return nil
	}
	if p.Template, err = chat.New(source, o); err != nil {
		p.Template, p.TemplateProblem = nil, err.Error()
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
