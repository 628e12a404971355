package api

import (
	"encoding/json"
	"fmt"
	"strings"
)

// Message is one message of a chat: its role, its content as one string, and whatever other fields it came with (name, tool_calls,
// tool_call_id), which the model's template may look at. In a decoded message role, content, name and tool_call_id are strings
// (content may be nil) and all other fields are json.RawMessage, so that the order of their names is kept: a template may print it.
type Message map[string]any

// NewMessage returns a message of a role and a text.
func NewMessage(role, content string) Message { return Message{"role": role, "content": content} }

// Role is the message's role, or "".
func (m Message) Role() string { s, _ := m["role"].(string); return s }

// Content is the message's text, or "" where it has none.
func (m Message) Content() string { s, _ := m["content"].(string); return s }

// ChatRequest is the body of POST /v1/chat/completions.
type ChatRequest struct {
	Model    string    `json:"model"`
	Messages []Message `json:"messages"`
	Sampling
	MaxTokens           *int              `json:"max_tokens,omitempty"`
	MaxCompletionTokens *int              `json:"max_completion_tokens,omitempty"` // wins over max_tokens
	Logprobs            bool              `json:"logprobs,omitempty"`
	TopLogprobs         *int              `json:"top_logprobs,omitempty"`
	Tools               []json.RawMessage `json:"tools,omitempty"`
	ToolChoice          string            `json:"tool_choice,omitempty"` // "auto" or "none"
	TemplateArguments   map[string]any    `json:"chat_template_kwargs,omitempty"`

	// Ignored names the fields of the body that Weft does not know. Filled by DecodeChat.
	Ignored []string `json:"-"`
}

// Limit is the most tokens to generate, or nil where the request does not say.
func (r *ChatRequest) Limit() *int {
	if r.MaxCompletionTokens != nil {
		return r.MaxCompletionTokens
	}
	return r.MaxTokens
}

// DecodeChat reads and checks the body of a chat completion. Errors are *FieldError, *UnsupportedError or wrap ErrBody.
func (l Limits) DecodeChat(body []byte) (*ChatRequest, error) {
	v, err := l.parse(body)
	if err != nil {
		return nil, err
	}
	r := new(ChatRequest)
	var repeat *float64
	t := r.Sampling.table(l, &repeat)
	t["model"] = text(&r.Model, MaxNameBytes)
	t["messages"] = l.messages(&r.Messages)
	t["max_tokens"] = integer(&r.MaxTokens, 1, MaxTokens)
	t["max_completion_tokens"] = integer(&r.MaxCompletionTokens, 1, MaxTokens)
	t["logprobs"] = boolean(&r.Logprobs)
	t["top_logprobs"] = integer(&r.TopLogprobs, 0, MaxTopLogprobs)
	t["tools"] = l.tools(&r.Tools)
	t["tool_choice"] = toolChoice(&r.ToolChoice)
	t["functions"] = unsupported("use \"tools\"", "[]")
	t["chat_template_kwargs"] = object(&r.TemplateArguments)
	t["stream_options"] = streamOptions(&r.StreamOptions, &r.Ignored)
	if err := t.read("", v, &r.Ignored); err != nil {
		return nil, err
	}
	switch {
	case r.Model == "":
		return nil, missingModel()
	case len(r.Messages) == 0:
		return nil, &FieldError{Field: "messages", Want: "an array of at least one message"}
	case r.TopLogprobs != nil && *r.TopLogprobs > 0 && !r.Logprobs:
		return nil, &FieldError{Field: "top_logprobs", Want: "it only beside \"logprobs\": true", Got: "it without"}
	}
	if r.ToolChoice == "none" {
		r.Tools = nil
	}
	return r, r.settle(repeat)
}

func (l Limits) messages(dst *[]Message) setter {
	return func(path string, v value) error {
		if !v.isArray() {
			return &FieldError{Field: path, Want: "an array of messages", Got: v.String()}
		}
		for i, e := range v.elements() {
			if i == l.Messages {
				return &FieldError{Field: path, Want: fmt.Sprintf("at most %d messages", l.Messages), Got: "more"}
			}
			m, err := l.message(fmt.Sprintf("%s[%d]", path, i), e)
			if err != nil {
				return err
			}
			*dst = append(*dst, m)
		}
		return nil
	}
}

// message reads one message. Its content may be a string, null, or an array of text parts, which are joined by line ends because
// most templates expect a string. Other fields pass through to the template.
func (l Limits) message(path string, v value) (Message, error) {
	if !v.isObject() {
		return nil, &FieldError{Field: path, Want: "an object with role and content", Got: v.String()}
	}
	m := make(Message)
	for name, e := range v.members() {
		switch name {
		case "role", "name", "tool_call_id":
			if e.isNull() {
				continue
			}
			var s string
			if err := text(&s, MaxNameBytes)(path+"."+name, e); err != nil {
				return nil, err
			}
			m[name] = s
		case "content":
			s, err := l.content(path+".content", e)
			if err != nil {
				return nil, err
			}
			m[name] = s
		default:
			if !e.isNull() {
				m[name] = e.raw()
			}
		}
	}
	if m.Role() == "" {
		return nil, &FieldError{Field: path + ".role", Want: "a string such as \"user\""}
	}
	if _, ok := m["content"]; !ok {
		m["content"] = nil
	}
	if m["content"] == nil && m["tool_calls"] == nil { // an assistant that only called tools says nothing
		return nil, &FieldError{Field: path + ".content", Want: "a string or an array of text parts"}
	}
	return m, nil
}

func (l Limits) content(path string, v value) (any, error) {
	switch {
	case v.isNull():
		return nil, nil
	case v.isString():
		var s string
		err := text(&s, l.Text)(path, v)
		return s, err
	case !v.isArray():
		return nil, &FieldError{Field: path, Want: "a string or an array of text parts", Got: v.String()}
	}
	var parts []string
	for i, e := range v.elements() {
		path := fmt.Sprintf("%s[%d]", path, i)
		if i == l.Parts {
			return nil, &FieldError{Field: path, Want: fmt.Sprintf("at most %d parts", l.Parts), Got: "more"}
		}
		if !e.isObject() {
			return nil, &FieldError{Field: path, Want: "an object with type and text", Got: e.String()}
		}
		var kind string
		var s *string
		t := table{"type": text(&kind, MaxNameBytes), "text": optionalText(&s, l.Text)}
		if err := t.read(path+".", e, nil); err != nil {
			return nil, err
		}
		if kind != "text" {
			return nil, &UnsupportedError{Field: path, Reason: fmt.Sprintf("parts of type %q are not yet available, only \"text\"", shorten(kind))}
		}
		if s == nil {
			return nil, &FieldError{Field: path + ".text", Want: "a string"}
		}
		parts = append(parts, *s)
	}
	return strings.Join(parts, "\n"), nil
}

func (l Limits) tools(dst *[]json.RawMessage) setter {
	return func(path string, v value) error {
		if !v.isArray() {
			return &FieldError{Field: path, Want: "an array of tools", Got: v.String()}
		}
		for i, e := range v.elements() {
			path := fmt.Sprintf("%s[%d]", path, i)
			if i == l.Tools {
				return &FieldError{Field: path, Want: fmt.Sprintf("at most %d tools", l.Tools), Got: "more"}
			}
			if !e.isObject() {
				return &FieldError{Field: path, Want: "an object", Got: e.String()}
			}
			*dst = append(*dst, e.raw())
		}
		return nil
	}
}

func toolChoice(dst *string) setter {
	return func(path string, v value) error {
		if v.isString() {
			if *dst = v.text(); *dst == "auto" || *dst == "none" {
				return nil
			}
		}
		return &UnsupportedError{Field: path, Reason: "forcing a tool is not yet available, only \"auto\" and \"none\""}
	}
}

// object reads an object whose values are left as json.RawMessage.
func object(dst *map[string]any) setter {
	return func(path string, v value) error {
		if !v.isObject() {
			return &FieldError{Field: path, Want: "an object", Got: v.String()}
		}
		m := make(map[string]any)
		for name, e := range v.members() {
			m[name] = e.raw()
		}
		*dst = m
		return nil
	}
}
