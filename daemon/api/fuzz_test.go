package api

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"unicode/utf8"
)

// checkFuzzed holds what every decoder promises of any bytes: an error of a known kind with a bounded text, or a request that can be
// written as JSON and read again.
func checkFuzzed[T any](t *testing.T, body []byte, r *T, err error, decode func([]byte) (*T, error)) {
	t.Helper()
	if err != nil {
		var bad *FieldError
		var unsupported *UnsupportedError
		if !errors.As(err, &bad) && !errors.As(err, &unsupported) && !errors.Is(err, ErrBody) {
			t.Fatalf("an error of no known kind: %v", err)
		}
		if len(err.Error()) > 1024 {
			t.Fatalf("the error has %d bytes", len(err.Error()))
		}
		return
	}
	if !json.Valid(body) {
		t.Fatalf("accepted what is not JSON: %q", body)
	}
	again, err := json.Marshal(r)
	if err != nil {
		t.Fatalf("what was read cannot be written: %v", err)
	}
	if _, err := decode(again); err != nil {
		t.Fatalf("%s was read, and not what it was written as, %s: %v", body, again, err)
	}
}

func FuzzDecodeChat(f *testing.F) {
	f.Add([]byte(`{"model":"m","messages":[{"role":"user","content":[{"type":"text","text":"\ud800"}]}],"n":16,"stop":["a","b"]}`))
	f.Add([]byte(`{"model":"m","messages":[{"role":"assistant","content":null,"tool_calls":[{"id":1}]}],"logit_bias":{"1":-1e2}}`))
	f.Add([]byte(`{"seed":9223372036854775807,"top_p":1e-400,"temperature":-0}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		r, err := DefaultLimits().DecodeChat(body)
		if err == nil {
			for i, m := range r.Messages {
				if m.Role() == "" || !utf8.ValidString(m.Content()) || strings.Contains(m.Role(), "\xff") {
					t.Fatalf("messages[%d] is %v", i, m)
				}
			}
		}
		checkFuzzed(t, body, r, err, DefaultLimits().DecodeChat)
	})
}

func FuzzDecodeCompletion(f *testing.F) {
	f.Add([]byte(`{"model":"m","prompt":[[1,2],[3]],"echo":true,"max_tokens":0,"logprobs":5}`))
	f.Add([]byte(`{"model":"m","prompt":["a",""],"n":2,"stream":true,"stream_options":{"include_usage":true}}`))
	f.Add([]byte(` { "model" : "m" , "prompt" : [ 1 , 2.0 ] , "seed" : -1 } `))
	f.Fuzz(func(t *testing.T, body []byte) {
		r, err := DefaultLimits().DecodeCompletion(body)
		checkFuzzed(t, body, r, err, DefaultLimits().DecodeCompletion)
	})
}

func FuzzDecodeRender(f *testing.F) {
	f.Add([]byte(`{"model":"m","messages":[{"role":"user","content":"x"}],"tools":[{"a":[{}]}],"chat_template_kwargs":{"x":null}}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		r, err := DefaultLimits().DecodeRender(body)
		checkFuzzed(t, body, r, err, DefaultLimits().DecodeRender)
	})
}

// FuzzValue holds that the iterators see what encoding/json sees.
func FuzzValue(f *testing.F) {
	f.Add([]byte(`{"a":[1,-2.5e3,"\"]",{"b":null}],"":true , "c" : {} , "d":[ ]}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		v, err := DefaultLimits().parse(body)
		if err != nil {
			return
		}
		var want map[string]json.RawMessage
		if err := json.Unmarshal(body, &want); err != nil {
			t.Fatal(err)
		}
		got := map[string]json.RawMessage{}
		for name, e := range v.members() {
			got[name] = e.raw() // of a name twice the last counts, as there
			if e.isArray() {
				var all []json.RawMessage
				for i, one := range e.elements() {
					if i != len(all) {
						t.Fatalf("element %d comes as %d", len(all), i)
					}
					all = append(all, one.raw())
				}
				var elements []json.RawMessage
				if err := json.Unmarshal(e, &elements); err != nil || len(elements) != len(all) {
					t.Fatalf("%s: %d elements, want %d (%v)", e, len(all), len(elements), err)
				}
			}
		}
		if len(got) != len(want) {
			t.Fatalf("%s: %d members, want %d", v, len(got), len(want))
		}
		for name, raw := range want {
			if string(got[name]) != string(raw) {
				t.Fatalf("%q is %s, want %s", name, got[name], raw)
			}
		}
	})
}
