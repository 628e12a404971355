package api

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const (
	chatBase       = `{"model":"m","messages":[{"role":"user","content":"hi"}]%s}`
	completionBase = `{"model":"m","prompt":"hi"%s}`
)

// TestHostileNumbers (H31) gives every numeric field the values that broke other servers.
func TestHostileNumbers(t *testing.T) {
	t.Parallel()
	numbers := []string{"temperature", "top_p", "min_p", "typical_p", "repetition_penalty", "repeat_penalty", "frequency_penalty", "presence_penalty"}
	integers := []string{"top_k", "repeat_last_n", "seed", "n", "max_tokens", "max_completion_tokens", "priority", "deadline_ms"}
	never := []string{
		`"1"`, `"NaN"`, `"hot"`, `[]`, `[1]`, `{}`, `true`, `1e309`, `-1e309`, `-1e308`, `1e308`, `-2.5`, `-9223372036854775808`,
		`9223372036854775808`, `18446744073709551616`, strings.Repeat("9", 400), "0." + strings.Repeat("0", 400) + "1e999",
	}
	decoders := map[string]func(string) error{
		"chat": func(extra string) error {
			_, err := DefaultLimits().DecodeChat(fmt.Appendf(nil, chatBase, extra))
			return err
		},
		"completion": func(extra string) error {
			_, err := DefaultLimits().DecodeCompletion(fmt.Appendf(nil, completionBase, extra))
			return err
		},
	}
	check := func(endpoint, field, value string) {
		t.Helper()
		err := decoders[endpoint](fmt.Sprintf(`,%q:%s`, field, value))
		var bad *FieldError
		if !errors.As(err, &bad) || bad.Field != field || bad.Want == "" || bad.Got == "" {
			t.Errorf("%s: %s = %.40s: got %v, want a FieldError that names it", endpoint, field, value, err)
		}
		if err != nil && len(err.Error()) > 250 {
			t.Errorf("%s: %s: the error has %d bytes", endpoint, field, len(err.Error()))
		}
	}
	for endpoint := range decoders {
		for _, v := range never {
			for _, f := range numbers {
				check(endpoint, f, v)
			}
			for _, f := range integers {
				check(endpoint, f, v)
			}
		}
		for _, f := range integers {
			check(endpoint, f, "1.5")
			check(endpoint, f, "1e-3")
		}
		check(endpoint, "n", "0")
		check(endpoint, "n", "17")
		check(endpoint, "seed", "-2")
		check(endpoint, "top_k", "-2")
		check(endpoint, "deadline_ms", "0")
		check(endpoint, "service_tier", `"gold"`)
		check(endpoint, "service_tier", "1")
		check(endpoint, "repetition_penalty", "0")
	}
	check("chat", "max_tokens", "0")
	check("chat", "top_logprobs", "21")
	check("chat", "logprobs", "1")
	check("completion", "logprobs", "true")
	check("completion", "logprobs", "-1")
	check("completion", "max_tokens", "0") // without echo nothing is wanted
}

func TestDecodeErrors(t *testing.T) {
	t.Parallel()
	deep := strings.Repeat(`[`, DefaultLimits().Depth) + strings.Repeat(`]`, DefaultLimits().Depth)
	many := func(n int, one string) string { return strings.TrimSuffix(strings.Repeat(one+",", n), ",") }
	for _, c := range []struct{ name, body, field, want string }{
		{"empty", ``, "", "it is empty"},
		{"no JSON", `{"model": hot}`, "", "at byte 11"},
		{"cut", `{"model": "m", "messages`, "", "ends at byte 24 inside a value"},
		{"two values", `{"model":"m"} {"x":1}`, "", "something follows the object at byte 14"},
		{"an array", `[]`, "", "want a JSON object, got an array"},
		{"a number", `17`, "", "want a JSON object, got a number"},
		{"too deep", `{"x":` + deep + `}`, "", "nested 65 deep, limit is 64"},
		{"no model", `{"messages":[{"role":"user","content":"x"}]}`, "model", "is missing"},
		{"model null", `{"model":null,"messages":[{"role":"user","content":"x"}]}`, "model", "is missing"},
		{"model a number", `{"model":7}`, "model", "want a string, got the number 7"},
		{"model too long", `{"model":"` + strings.Repeat("m", 513) + `"}`, "model", "at most 512 bytes, got a string of 513 bytes"},
		{"a field twice", `{"model":"m","model":"n"}`, "model", "twice"},
		{"no messages", `{"model":"m"}`, "messages", "is missing"},
		{"messages empty", `{"model":"m","messages":[]}`, "messages", "at least one"},
		{"messages a string", `{"model":"m","messages":"hi"}`, "messages", "an array of messages, got a string of 2 bytes"},
		{"too many messages", `{"model":"m","messages":[` + many(DefaultLimits().Messages+1, `{"role":"u","content":""}`) + `]}`, "messages", "at most 8192"},
		{"message a string", `{"model":"m","messages":["hi"]}`, "messages[0]", "want an object"},
		{"no role", `{"model":"m","messages":[{"content":"x"}]}`, "messages[0].role", "is missing"},
		{"role a number", `{"model":"m","messages":[{"role":1,"content":"x"}]}`, "messages[0].role", "a string"},
		{"no content", `{"model":"m","messages":[{"role":"user"}]}`, "messages[0].content", "is missing"},
		{"content null", `{"model":"m","messages":[{"role":"user","content":null}]}`, "messages[0].content", "is missing"},
		{"content a number", `{"model":"m","messages":[{"role":"user","content":5}]}`, "messages[0].content", "text parts, got the number 5"},
		{"part a string", `{"model":"m","messages":[{"role":"user","content":["x"]}]}`, "messages[0].content[0]", "want an object"},
		{"part without text", `{"model":"m","messages":[{"role":"user","content":[{"type":"text"}]}]}`, "messages[0].content[0].text", "is missing"},
		{"an image", `{"model":"m","messages":[{"role":"user","content":[{"type":"image_url","image_url":{"url":"x"}}]}]}`, "messages[0].content[0]", `"image_url" are not yet available`},
		{"stop a number", fmt.Sprintf(chatBase, `,"stop":1`), "stop", "a string or an array"},
		{"stop empty", fmt.Sprintf(chatBase, `,"stop":""`), "stop", "not empty"},
		{"stop in stop", fmt.Sprintf(chatBase, `,"stop":[["x"]]`), "stop[0]", "want a string, got an array"},
		{"stop too long", fmt.Sprintf(chatBase, `,"stop":["`+strings.Repeat("x", 1025)+`"]`), "stop[0]", "at most 1024 bytes"},
		{"100000 stops", fmt.Sprintf(chatBase, `,"stop":[`+many(100_000, `"x"`)+`]`), "stop", "at most 64"},
		{"bias an array", fmt.Sprintf(chatBase, `,"logit_bias":[]`), "logit_bias", "an object"},
		{"bias of no token", fmt.Sprintf(chatBase, `,"logit_bias":{"-1":1}`), `logit_bias["-1"]`, "a token id"},
		{"bias infinite", fmt.Sprintf(chatBase, `,"logit_bias":{"1":1e400}`), `logit_bias["1"]`, "-100 to 100"},
		{"stream a string", fmt.Sprintf(chatBase, `,"stream":"true"`), "stream", "true or false, got a string of 4 bytes"},
		{"stream options alone", fmt.Sprintf(chatBase, `,"stream_options":{}`), "stream_options", "only beside"},
		{"usage a number", fmt.Sprintf(chatBase, `,"stream":true,"stream_options":{"include_usage":1}`), "stream_options.include_usage", "true or false"},
		{"tools an object", fmt.Sprintf(chatBase, `,"tools":{}`), "tools", "an array"},
		{"tool a string", fmt.Sprintf(chatBase, `,"tools":["x"]`), "tools[0]", "an object"},
		{"a tool demanded", fmt.Sprintf(chatBase, `,"tool_choice":"required"`), "tool_choice", "not yet available"},
		{"arguments an array", fmt.Sprintf(chatBase, `,"chat_template_kwargs":[]`), "chat_template_kwargs", "an object"},
		{"a template", fmt.Sprintf(chatBase, `,"chat_template":"{{ x }}"`), "chat_template", "never taken from a request"},
		{"JSON wanted", fmt.Sprintf(chatBase, `,"response_format":{"type":"json_object"}`), "response_format", `"json_object" is not yet available`},
		{"format a string", fmt.Sprintf(chatBase, `,"response_format":"text"`), "response_format", "an object"},
		{"format without type", fmt.Sprintf(chatBase, `,"response_format":{}`), "response_format.type", "is missing"},
		{"adapters", fmt.Sprintf(chatBase, `,"adapters":[{"name":"a"},{"scale":1}]`), "adapters[1].name", "the name of an adapter"},
		{"adapters of no list", fmt.Sprintf(chatBase, `,"adapters":"a"`), "adapters", "an array of objects"},
		{"adapter of no object", fmt.Sprintf(chatBase, `,"adapters":["a"]`), "adapters[0]", "an object"},
		{"adapter scale", fmt.Sprintf(chatBase, `,"adapters":[{"name":"a","scale":1e9}]`), "adapters[0].scale", "from -100 to 100"},
		{"adapter scale of no number", fmt.Sprintf(chatBase, `,"adapters":[{"name":"a","scale":1e999}]`), "adapters[0].scale", "from -100 to 100"},
		{"many adapters", fmt.Sprintf(chatBase, `,"adapters":[`+strings.Repeat(`{"name":"a"},`, 16)+`{"name":"a"}]`), "adapters", "at most 16"},
		{"lora without scale", fmt.Sprintf(chatBase, `,"lora":[{"id":0}]`), "lora[0].scale", "a number"},
		{"lora without id", fmt.Sprintf(chatBase, `,"lora":[{"scale":0}]`), "lora[0].id", "the id"},
		{"lora with a wild id", fmt.Sprintf(chatBase, `,"lora":[{"id":-1,"scale":0}]`), "lora[0].id", "from 0"},
		{"top_logprobs alone", fmt.Sprintf(chatBase, `,"top_logprobs":2`), "top_logprobs", "only beside"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			_, err := DefaultLimits().DecodeChat([]byte(c.body))
			checkError(t, err, c.field, c.want)
		})
	}
	for _, c := range []struct{ name, body, field, want string }{
		{"no prompt", `{"model":"m"}`, "prompt", "is missing"},
		{"prompt empty", `{"model":"m","prompt":[]}`, "prompt", "is missing"},
		{"prompt an object", `{"model":"m","prompt":{}}`, "prompt", "token ids"},
		{"texts, then ids", `{"model":"m","prompt":["a",[1]]}`, "prompt[1]", "all strings or all arrays"},
		{"ids, then texts", `{"model":"m","prompt":[[1],"a"]}`, "prompt[1]", "all strings or all arrays"},
		{"a text among ids", `{"model":"m","prompt":[1,"a"]}`, "prompt[1]", "a whole number"},
		{"id negative", `{"model":"m","prompt":[-1]}`, "prompt[0]", "from 0 to 2147483647, got the number -1"},
		{"id too large", `{"model":"m","prompt":[[2147483648]]}`, "prompt[0][0]", "from 0 to 2147483647"},
		{"id a fraction", `{"model":"m","prompt":[1,2.5]}`, "prompt[1]", "got the number 2.5"},
		{"no ids", `{"model":"m","prompt":[[1],[]]}`, "prompt[1]", "at least one token id"},
		{"id null", `{"model":"m","prompt":[1,null]}`, "prompt[1]", "got null"},
		{"too many prompts", `{"model":"m","prompt":[` + many(DefaultLimits().Prompts+1, `"x"`) + `]}`, "prompt", "at most 256"},
		{"too many choices", `{"model":"m","n":16,"prompt":[` + many(17, `"x"`) + `]}`, "n", "17 prompts times 16"},
		{"suffix", fmt.Sprintf(completionBase, `,"suffix":"x"`), "suffix", "not yet available"},
		{"best of more", fmt.Sprintf(completionBase, `,"best_of":4`), "best_of", "not available"},
	} {
		t.Run("completion: "+c.name, func(t *testing.T) {
			t.Parallel()
			_, err := DefaultLimits().DecodeCompletion([]byte(c.body))
			checkError(t, err, c.field, c.want)
		})
	}
}

func checkError(t *testing.T, err error, field, want string) {
	t.Helper()
	if err == nil || !strings.Contains(err.Error(), want) {
		t.Fatalf("got %v, want an error with %q", err, want)
	}
	var bad *FieldError
	var unsupported *UnsupportedError
	switch {
	case field == "" && !errors.Is(err, ErrBody):
		t.Errorf("%v is not ErrBody", err)
	case field == "":
	case errors.As(err, &bad) && bad.Field == field, errors.As(err, &unsupported) && unsupported.Field == field:
	default:
		t.Errorf("%v does not name %q", err, field)
	}
}

func TestDecodeChat(t *testing.T) {
	t.Parallel()
	r, err := DefaultLimits().DecodeChat([]byte(`{
		"model": "m\u00e9",
		"messages": [
			{"role": "system", "content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b", "cache_control": 1}]},
			{"role": "assistant", "content": null, "tool_calls": [{"z": 1, "a": 2}]},
			{"role": "user", "name": "Ann", "content": "c\ud83d\ude00"}
		],
		"temperature": 0, "top_p": null, "top_k": 40.0, "seed": -1, "n": 2, "stop": "x", "max_tokens": 5, "max_completion_tokens": 7,
		"logit_bias": {"3": -100, "4": 0.5}, "stream": true, "stream_options": {"include_usage": true, "odd": 1},
		"repeat_penalty": 1.5, "logprobs": true, "top_logprobs": 0, "response_format": {"type": "text"},
		"tools": [{"type": "function", "function": {"name": "f"}}], "adapters": [], "suffixes": 1, "frob": {"deep": [1]}
	}`))
	if err != nil {
		t.Fatal(err)
	}
	if got := r.Messages[0].Content(); got != "a\nb" {
		t.Errorf("parts joined to %q", got)
	}
	if got := fmt.Sprintf("%s", r.Messages[1]["tool_calls"]); got != `[{"z": 1, "a": 2}]` {
		t.Errorf("tool calls are %s: the order of names must stay", got)
	}
	if diff := cmp.Diff(NewMessage("user", "c😀"), Message{"role": r.Messages[2].Role(), "content": r.Messages[2].Content()}); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]string{"stream_options.odd", "suffixes", "frob"}, r.Ignored); diff != "" {
		t.Error(diff)
	}
	if r.Model != "mé" || *r.Limit() != 7 || *r.TopK != 40 || r.TopP != nil || r.Seed != nil || r.Choices() != 2 || !r.IncludeUsage() ||
		*r.RepetitionPenalty != 1.5 || *r.Temperature != 0 || len(r.Tools) != 1 || r.LogitBias[3] != -100 || r.Stop[0] != "x" {
		t.Errorf("decoded to %+v", r)
	}
}

func TestDecodePrompt(t *testing.T) {
	t.Parallel()
	for body, want := range map[string]Prompt{
		`"a"`:           Text("a"),
		`["a", "b"]`:    {Texts: []string{"a", "b"}},
		`[1, 2.0, 3e0]`: Tokens([]int32{1, 2, 3}),
		`[[1,2],[3]]`:   {Tokens: [][]int32{{1, 2}, {3}}},
		`""`:            Text(""),
	} {
		r, err := DefaultLimits().DecodeCompletion([]byte(`{"model":"m","prompt":` + body + `}`))
		if err != nil {
			t.Errorf("%s: %v", body, err)
			continue
		}
		if diff := cmp.Diff(want, r.Prompt); diff != "" {
			t.Errorf("%s: %s", body, diff)
		}
	}
}

// TestIgnoredIsBounded holds that a client cannot make an answer or a log large by the names it invents.
func TestIgnoredIsBounded(t *testing.T) {
	t.Parallel()
	var b strings.Builder
	for i := range 1000 {
		fmt.Fprintf(&b, `,"%s%d":1`, strings.Repeat("é", 200), i)
	}
	r, err := DefaultLimits().DecodeChat(fmt.Appendf(nil, chatBase, b.String()))
	if err != nil {
		t.Fatal(err)
	}
	if len(r.Ignored) != MaxIgnored || len(r.Ignored[0]) > maxIgnoredLength+3 {
		t.Errorf("%d names, the first of %d bytes", len(r.Ignored), len(r.Ignored[0]))
	}
}

func TestDecodeWeft(t *testing.T) {
	t.Parallel()
	tokenize := func(b string) error { _, err := DefaultLimits().DecodeTokenize([]byte(b)); return err }
	detokenize := func(b string) error { _, err := DefaultLimits().DecodeDetokenize([]byte(b)); return err }
	render := func(b string) error { _, err := DefaultLimits().DecodeRender([]byte(b)); return err }
	perplexity := func(b string) error { _, err := DefaultLimits().DecodePerplexity([]byte(b)); return err }
	for _, c := range []struct {
		decode      func(string) error
		body, field string // no field: it is right
	}{
		{tokenize, `{"model":"m","text":""}`, ""},
		{tokenize, `{"model":"m"}`, "text"},
		{tokenize, `{"text":"x"}`, "model"},
		{tokenize, `{"model":"m","text":1}`, "text"},
		{tokenize, `{"model":"m","text":"x","add_special":1}`, "add_special"},
		{detokenize, `{"model":"m","tokens":[]}`, ""},
		{detokenize, `{"model":"m"}`, "tokens"},
		{detokenize, `{"model":"m","tokens":[1,-1]}`, "tokens[1]"},
		{render, `{"model":"m","messages":[{"role":"user","content":""}]}`, ""},
		{render, `{"model":"m"}`, "messages"},
		{render, `{"model":"m","messages":[{"role":"user","content":""}],"add_generation_prompt":"no"}`, "add_generation_prompt"},
		{perplexity, `{"model":"m","text":"x","window":8}`, ""},
		{perplexity, `{"model":"m"}`, "text"},
		{perplexity, `{"model":"m","text":"x","tokens":[1]}`, "text"},
		{perplexity, `{"model":"m","text":"x","window":1}`, "window"},
	} {
		err := c.decode(c.body)
		var bad *FieldError
		if c.field == "" && err != nil || c.field != "" && (!errors.As(err, &bad) || bad.Field != c.field) {
			t.Errorf("%s: got %v, want %q named", c.body, err, c.field)
		}
	}
}
