package strictjson

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
)

// TestCheckObject: what is accepted, and what each refusal says.
func TestCheckObject(t *testing.T) {
	lim := Limits{Depth: 3, Values: 8}
	for name, c := range map[string]struct{ text, want string }{
		"empty object":     {`{}`, ""},
		"white space":      {" {} \n", ""},
		"within limits":    {`{"a":[1,[2,3]],"b":{"a":null},"c":"x"}`, ""},
		"same key deeper":  {`{"a":{"a":{"b":1}}}`, ""},
		"same text, cases": {`{"a":1,"A":2}`, ""},
		"nothing":          {``, "unexpected end of JSON input"},
		"cut off":          {`{"a":1`, "unexpected end of JSON input"},
		"an array":         {`[1]`, "want an object"},
		"a number":         {`1`, "want an object"},
		"two objects":      {`{}{}`, "after top-level value"},
		"trailing comma":   {`{"a":[1,]}`, "invalid character ']'"},
		"NaN":              {`{"a":NaN}`, "invalid character 'N'"},
		"comment":          {`{}//`, "invalid character '/'"},
		"key twice":        {`{"a":1,"b":2,"a":3}`, `key "a" is there twice`},
		"key twice inside": {`{"x":[{"a":1,"a":1}]}`, `key "a" is there twice`},
		"key escaped":      {`{"a":1,"\u0061":2}`, `key "a" is there twice`},
		"no UTF-8":         {"{\"\xff\":1}", "not UTF-8"},
		"too deep":         {`{"a":[[[1]]]}`, "more than 3 deep"},
		"very deep":        {`{"a":` + strings.Repeat("[", 9000) + strings.Repeat("]", 9000) + `}`, "more than 3 deep"},
		"deep beyond json": {`{"a":` + strings.Repeat("[", 1e6) + strings.Repeat("]", 1e6) + `}`, "depth"},
		"too many":         {`{"a":[1,2,3,4,5,6,7,8]}`, "more than 8 values"},
	} {
		err := CheckObject([]byte(c.text), lim)
		if c.want == "" && err != nil || c.want != "" && (!errors.Is(err, ErrInvalid) || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
}

// FuzzCheckObject: what is accepted is an object for encoding/json, and no text makes the check fail otherwise than by its class.
func FuzzCheckObject(f *testing.F) {
	f.Add([]byte(`{"a":[1,{"b":null}],"c":"\ud800"}`))
	f.Add([]byte(`{"a":1,"\u0061":1}`))
	f.Add([]byte(`{"a":[[[[1e999]]]]}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		err := CheckObject(text, Limits{Depth: 4, Values: 100})
		if err != nil {
			if !errors.Is(err, ErrInvalid) {
				t.Fatalf("a refusal of no class: %v", err)
			}
			return
		}
		var m map[string]any
		if err := json.Unmarshal(text, &m); err != nil && !strings.Contains(err.Error(), "number") {
			t.Fatalf("accepted, but %v", err)
		}
	})
}
