package tokenizer

import (
	"slices"
	"testing"

	"github.com/weft-run/weft/runtime/modeltest"
)

// Hugging Face's tokenizers give the same ids to random texts, and the same text to these ids, under each setting.
func TestWordPieceAgainstTokenizers(t *testing.T) {
	testWordPiece(t, "testdata/wordpiece.jsonl")
}

func testWordPiece(t *testing.T, path string) {
	var tok *Tokenizer
	var name string
	n := 0
	jsonLines(t, path, func(line int, v struct {
		Tokens, File any
		Types        []int32
		Options      map[string]bool
		Text         string
		IDs          []int32
		Decoded      string
	},
	) {
		if v.Options != nil {
			tok = nil
			in := fields{}
			if file, ok := v.File.(string); ok {
				name = file
				t.Run(name, func(t *testing.T) {
					m := metadata(t, modeltest.File(t, "vocab/ggml-vocab-"+file+".gguf"))
					for _, key := range m.Keys() {
						val, _ := m.Get(key)
						in[key] = val.Any()
					}
				})
				if len(in) == 0 {
					return // skipped, with a loud line
				}
			} else {
				name = "small"
				var tokens []string
				for _, text := range v.Tokens.([]any) {
					tokens = append(tokens, text.(string))
				}
				in = fields{keyModel: modelWordPiece, keyTokens: tokens, keyTypes: v.Types, keyUnknown: uint32(1), keyCLS: uint32(2), keySEP: uint32(3)}
			}
			in[keyLowercase] = v.Options["lowercase"]
			if strip, ok := v.Options["strip_accents"]; ok {
				in[keyStripAccents] = strip
			}
			tok = mustNew(t, in)
			return
		}
		if tok == nil {
			return
		}
		n++
		got := tok.Encode(v.Text, EncodeOptions{})
		if !slices.Equal(got, v.IDs) {
			t.Errorf("%s, line %d: %q (%+q)\n got %v\nwant %v", name, line, v.Text, v.Text, got, v.IDs)
			return
		}
		got = slices.DeleteFunc(got, tok.IsSpecial)
		if back := string(tok.Decode(got)); back != v.Decoded {
			t.Errorf("%s, line %d: %v decodes to %q, want %q", name, line, got, back, v.Decoded)
		}
	})
	if n < 200 {
		t.Errorf("only %d texts", n)
	}
}
