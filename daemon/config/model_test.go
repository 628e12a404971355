package config

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestParseModel(t *testing.T) {
	got, err := ParseModel([]byte(`
ctx = 2048
parallel = 2
kv_type = "q8_0"
prefix_sharing = false
draft = "smaller"
template = "chatml"
aliases = ["small", "gpt-4o-mini"]
default_adapters = ["style@0.5", "tone"]

[sampling]
temperature = 0.6
top_k = 40
`))
	if err != nil {
		t.Fatal(err)
	}
	want := Model{
		Ctx: 2048, Parallel: 2, KVType: "q8_0", PrefixSharing: new(bool), Draft: "smaller", Template: "chatml", Aliases: []string{"small", "gpt-4o-mini"},
		DefaultAdapters: []string{"style@0.5", "tone"},
		Sampling:        map[string]float64{"temperature": 0.6, "top_k": 40},
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
	if empty, err := ParseModel(nil); err != nil || !cmp.Equal(empty, Model{}) {
		t.Errorf("nothing reads as %v, %v", empty, err)
	}
}

func TestModelMistakesAreNamed(t *testing.T) {
	for _, c := range []struct {
		text string
		is   error
		want string
	}{
		{"contxt = 1", ErrUnknown, `unknown key "contxt"; the nearest known one is "ctx"`},
		{"ctx = 0", ErrValue, "ctx: bad value: 0 is outside"},
		{"kv_type = 'q5_9'", ErrValue, `"q5_9" is none of f16, f32, q8_0, q4_0`},
		{"prefix_sharing = 1", ErrValue, "prefix_sharing: bad value: 1 is not true or false"},
		{"tokenizer = 'mine'", ErrUnavailable, `key "tokenizer" is not available in this version`},
		{"retriever = 'mine'", ErrUnavailable, `key "retriever"`},
		{"default_adapters = 'a'", ErrValue, "default_adapters: bad value: \"a\" is not a list of strings"},
		{"aliases = 'x'", ErrValue, "is not a list of strings"},
		{"aliases = [1]", ErrValue, "is not a list of strings"},
		{"aliases = ['']", ErrValue, "is not a name"},
		{"aliases = ['a', 'a']", ErrValue, "listed twice"},
		{"sampling = 1", ErrValue, "sampling: bad value: 1 is not a table"},
		{"[sampling]\ntemprature = 1", ErrUnknown, `the nearest known one is "temperature"`},
		{"[sampling]\ntemperature = nan", ErrValue, "sampling.temperature: bad value: NaN is outside"},
		{"[sampling]\ntop_p = 1.5", ErrValue, "sampling.top_p: bad value: 1.5 is outside 0 to 1"},
		{"[sampling]\ntop_k = 1.5", ErrValue, "1.5 is not a whole number"},
		{"[sampling]\nseed = 'x'", ErrValue, `"x" is not a number`},
		{"version = 7", ErrVersion, "version 7"},
	} {
		_, err := ParseModel([]byte(c.text))
		if !errors.Is(err, c.is) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%q: error is %v, want %s", c.text, err, c.want)
		}
	}
}

func TestParseAdapter(t *testing.T) {
	got, err := ParseAdapter([]byte("base = 'llama'\naliases = ['style']\n"))
	if err != nil || !cmp.Equal(got, Adapter{Base: "llama", Aliases: []string{"style"}}) {
		t.Errorf("read %v, %v", got, err)
	}
	if empty, err := ParseAdapter(nil); err != nil || !cmp.Equal(empty, Adapter{}) {
		t.Errorf("nothing reads as %v, %v", empty, err)
	}
	for text, want := range map[string]string{
		"bse = 'x'":      `unknown key "bse"; the nearest known one is "base"`,
		"base = 1":       "base: bad value: 1 is not a string",
		"aliases = ['']": "is not a name",
		"base = 'a":      "",
		"scale = 0.5":    `unknown key "scale"`,
		"version = 9":    "version 9",
	} {
		if _, err := ParseAdapter([]byte(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q in it", text, err, want)
		}
	}
}
