package chat

import (
	"embed"
	"fmt"
	"slices"
	"strings"
)

// ChatML is the name of the template for a model that carries none and whose vocabulary says nothing of another.
const ChatML = "chatml"

//go:embed fallback/*.jinja
var fallbackFiles embed.FS

// marks are the templates there are by name, each with the tokens by which a vocabulary speaks of it, the surest first.
var marks = []struct {
	name   string
	tokens []string
}{
	{"llama3", []string{"<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>"}},
	{"gemma", []string{"<start_of_turn>", "<end_of_turn>"}},
	{"granite", []string{"<|start_of_role|>", "<|end_of_role|>"}},
	{"command-r", []string{"<|START_OF_TURN_TOKEN|>", "<|CHATBOT_TOKEN|>"}},
	{"deepseek", []string{"<｜User｜>", "<｜Assistant｜>"}},
	{ChatML, []string{"<|im_start|>", "<|im_end|>"}},
	{"phi3", []string{"<|user|>", "<|assistant|>", "<|end|>"}},
	{"mistral", []string{"[INST]", "[/INST]"}},
}

// Fallback returns a template by its name, for a model that carries none or whose operator chose another. New never falls
// back by itself: a prompt in a format the model has not seen is worse than an error that is read.
func Fallback(name string, o Options) (*Template, error) {
	names := make([]string, len(marks))
	for i, m := range marks {
		names[i] = m.name
	}
	slices.Sort(names)
	if !slices.Contains(names, name) {
		return nil, fmt.Errorf("%w %q; known are %s", ErrUnknownTemplate, name, strings.Join(names, ", "))
	}
	source, err := fallbackFiles.ReadFile("fallback/" + name + ".jinja")
	if err != nil {
		panic("BUG: chat: no file for the template " + name)
	}
	return New(string(source), o)
}

// Guess names the template that fits a vocabulary, by the tokens it has: a model is trained with the marks of turns that it has
// tokens for. Without any it is ChatML.
func Guess(has func(token string) bool) string {
	for _, m := range marks {
		if !slices.ContainsFunc(m.tokens, func(t string) bool { return !has(t) }) {
			return m.name
		}
	}
	return ChatML
}
