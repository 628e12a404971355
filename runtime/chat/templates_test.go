package chat

import (
	"bufio"
	"encoding/json"
	"errors"
	"os"
	"testing"
	"time"
)

type conversation struct {
	Messages            json.RawMessage
	Tools               json.RawMessage
	Documents           json.RawMessage
	AddGenerationPrompt bool `json:"add_generation_prompt"`
	Extra               map[string]json.RawMessage
}

func (c conversation) input(t testing.TB) Input {
	t.Helper()
	in := Input{AddGenerationPrompt: c.AddGenerationPrompt, Now: time.Date(2026, 3, 7, 9, 5, 2, 0, time.UTC), Extra: map[string]any{}}
	parse := func(raw json.RawMessage) any {
		v, err := ParseJSON(raw)
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
	list := func(raw json.RawMessage) []any {
		if raw == nil {
			return nil
		}
		var items []json.RawMessage
		if err := json.Unmarshal(raw, &items); err != nil {
			t.Fatal(err)
		}
		out := make([]any, len(items))
		for i, item := range items {
			out[i] = parse(item)
		}
		return out
	}
	in.Messages, in.Tools, in.Documents = list(c.Messages), list(c.Tools), list(c.Documents)
	for name, raw := range c.Extra {
		in.Extra[name] = parse(raw)
	}
	return in
}

func loadConversations(t testing.TB) map[string]conversation {
	t.Helper()
	data, err := os.ReadFile("testdata/conversations.json")
	if err != nil {
		t.Fatal(err)
	}
	var out map[string]conversation
	if err := json.Unmarshal(data, &out); err != nil {
		t.Fatal(err)
	}
	return out
}

func loadTemplate(t testing.TB, name string) *Template {
	t.Helper()
	source, err := os.ReadFile("testdata/templates/" + name + ".jinja")
	if err != nil {
		t.Fatal(err)
	}
	tmpl, err := New(string(source), Options{Name: name, BOS: "<s>", EOS: "</s>"})
	if err != nil {
		t.Fatal(err)
	}
	return tmpl
}

// Every template renders every conversation as Hugging Face's renderer does, raises what it raises, and fails where it fails.
func TestTemplates(t *testing.T) {
	conversations := loadConversations(t)
	f, err := os.Open("testdata/renderings.jsonl")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, 1<<20)
	n := 0
	for ; lines.Scan(); n++ {
		var want struct {
			Template, Conversation string
			Want, Raised, Error    *string
		}
		if err := json.Unmarshal(lines.Bytes(), &want); err != nil {
			t.Fatal(err)
		}
		t.Run(want.Template+"/"+want.Conversation, func(t *testing.T) {
			got, err := loadTemplate(t, want.Template).Render(t.Context(), conversations[want.Conversation].input(t))
			var raised *RaisedError
			switch {
			case want.Raised != nil:
				if !errors.As(err, &raised) || raised.Message != *want.Raised {
					t.Errorf("got %q and the error %v, want it to raise %q", got, err, *want.Raised)
				}
			case want.Error != nil:
				if !errors.Is(err, ErrTemplate) {
					t.Errorf("got %q and the error %v, want an error: %s", got, err, *want.Error)
				}
			case err != nil:
				t.Errorf("got the error %v\nwant %q", err, *want.Want)
			case got != *want.Want:
				t.Errorf("\n got %q\nwant %q", got, *want.Want)
			}
		})
	}
	if n < 100 {
		t.Fatalf("only %d renderings", n)
	}
}
