package api

// DecodeTokenize reads and checks the body of POST /weft/v1/tokenize.
func (l Limits) DecodeTokenize(body []byte) (*TokenizeRequest, error) {
	r := new(TokenizeRequest)
	var given *string
	err := l.decode(body, table{
		"model":         text(&r.Model, MaxNameBytes),
		"text":          optionalText(&given, l.Text),
		"add_special":   optionalBoolean(&r.AddSpecial),
		"parse_special": boolean(&r.ParseSpecial),
		"pieces":        boolean(&r.Pieces),
	}, nil)
	switch {
	case err != nil:
		return nil, err
	case r.Model == "":
		return nil, missingModel()
	case given == nil:
		return nil, &FieldError{Field: "text", Want: "a string"}
	}
	r.Text = *given
	return r, nil
}

// DecodeDetokenize reads and checks the body of POST /weft/v1/detokenize.
func (l Limits) DecodeDetokenize(body []byte) (*DetokenizeRequest, error) {
	r := new(DetokenizeRequest)
	err := l.decode(body, table{"model": text(&r.Model, MaxNameBytes), "tokens": tokenIDs(&r.Tokens)}, nil)
	switch {
	case err != nil:
		return nil, err
	case r.Model == "":
		return nil, missingModel()
	case r.Tokens == nil:
		return nil, &FieldError{Field: "tokens", Want: "an array of token ids"}
	}
	return r, nil
}

// DecodeRender reads and checks the body of POST /weft/v1/render.
func (l Limits) DecodeRender(body []byte) (*RenderRequest, error) {
	r := new(RenderRequest)
	err := l.decode(body, table{
		"model":                 text(&r.Model, MaxNameBytes),
		"messages":              l.messages(&r.Messages),
		"tools":                 l.tools(&r.Tools),
		"add_generation_prompt": optionalBoolean(&r.AddGenerationPrompt),
		"chat_template_kwargs":  object(&r.TemplateArguments),
		"chat_template":         unsupported(refused["chat_template"]),
	}, nil)
	switch {
	case err != nil:
		return nil, err
	case r.Model == "":
		return nil, missingModel()
	case len(r.Messages) == 0:
		return nil, &FieldError{Field: "messages", Want: "an array of at least one message"}
	}
	return r, nil
}

// DecodePerplexity reads and checks the body of POST /weft/v1/perplexity.
func (l Limits) DecodePerplexity(body []byte) (*PerplexityRequest, error) {
	r := new(PerplexityRequest)
	var window *int
	err := l.decode(body, table{
		"model":  text(&r.Model, MaxNameBytes),
		"text":   text(&r.Text, l.Text),
		"tokens": tokenIDs(&r.Tokens),
		"window": integer(&window, 2, MaxTokens),
	}, &r.Ignored)
	switch {
	case err != nil:
		return nil, err
	case r.Model == "":
		return nil, missingModel()
	case (r.Text == "") == (len(r.Tokens) == 0):
		return nil, &FieldError{Field: "text", Want: "either it or \"tokens\", not empty", Got: "both or neither"}
	}
	if window != nil {
		r.Window = *window
	}
	return r, nil
}

// decode reads a body by a table. Fields that the table lacks are collected in ignored, or passed over where it is nil.
func (l Limits) decode(body []byte, t table, ignored *[]string) error {
	v, err := l.parse(body)
	if err != nil {
		return err
	}
	return t.read("", v, ignored)
}

func missingModel() error { return &FieldError{Field: "model", Want: "a model's name"} }
