package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/weft-run/weft/runtime/gguf"
	"github.com/weft-run/weft/runtime/modeltest"
)

// FuzzInspect: whatever a file holds, the report on it is text that steers no terminal, and JSON.
func FuzzInspect(f *testing.F) {
	f.Add(modeltest.Tiny(modeltest.Spec{Width: 8, Heads: 2, FFN: 8, Layers: 1, Name: "\x1b[2J\u202e"}))
	f.Add(modeltest.Tiny(modeltest.Spec{Width: 8, Heads: 2, FFN: 8, Layers: 1, Vocab: modeltest.BPE, Set: []gguf.KV{
		{Key: "general.architecture", Value: "\u009b31m"}, {Key: "tokenizer.chat_template", Value: "{{ \x1b"}, {Key: "x", Value: []any{[]float32{1}}},
	}}))
	f.Add([]byte("GGUF\x03\x00\x00\x00"))
	path := filepath.Join(f.TempDir(), "x-00001-of-00002.gguf")
	f.Fuzz(func(t *testing.T, b []byte) {
		if err := os.WriteFile(path, b, 0o600); err != nil {
			t.Fatal(err)
		}
		for _, flags := range [][]string{{"--keys", "--tensors"}, {"--json", "--keys"}} {
			var out, errs bytes.Buffer
			code := run(append([]string{"inspect", path}, flags...), nil, &out, &errs, func(string) string { return "" })
			if code != exitOK && code != exitFailure || (code == exitFailure) != (errs.Len() > 0) {
				t.Fatalf("exit code %d: %s", code, errs.String())
			}
			for _, text := range []string{out.String(), errs.String()} {
				if !utf8.ValidString(text) {
					t.Fatalf("%q is not UTF-8", text)
				}
				for _, r := range text {
					if r != '\n' && !unicode.IsGraphic(r) {
						t.Fatalf("%q has %U", text, r)
					}
				}
			}
			if flags[0] == "--json" && !json.Valid(out.Bytes()) {
				t.Fatalf("not JSON: %s", out.String())
			}
		}
	})
}
