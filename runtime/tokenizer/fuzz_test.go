package tokenizer

import (
	"bytes"
	"maps"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"
)

// FuzzEncode holds that no text makes any kind of tokenizer panic or give an id that is none, and that plain text comes back
// from all that do not forget.
func FuzzEncode(f *testing.F) {
	for _, seed := range []string{"", "Hello, world!", " a  b\n\nc", "\xff\xfe", "日本語 🦙", "<s>x</s>", "it's WE'LL 1234", "\u0301\u0301", strings.Repeat("a", 200)} {
		f.Add(seed)
	}
	kinds := everyKind(f)
	f.Fuzz(func(t *testing.T, text string) {
		for _, k := range kinds {
			forget(k.tok) // what it remembers would make one input look like several
			for _, id := range k.tok.Encode(text, EncodeOptions{ParseSpecial: true, AddSpecial: true}) {
				if !k.tok.valid(id) {
					t.Fatalf("%s: id %d is outside the vocabulary", k.name, id)
				}
			}
			ids := k.tok.Encode(text, EncodeOptions{})
			got := string(k.tok.Decode(ids))
			if want, whole := k.back(text); whole && got != want {
				t.Errorf("%s: %q comes back as %q", k.name, text, got)
			}
		}
	})
}

// FuzzVocabulary holds that no vocabulary makes New or what it returns panic.
func FuzzVocabulary(f *testing.F) {
	f.Add("<unk>,<s>,</s>,<0x0A>,▁,a,b,ab", "a b,b a", []byte{2, 3, 3, 6, 1, 1, 1, 1}, []byte{1, 2, 3}, uint8(0), "a b")
	f.Add("a,b,ab,Ġ,<|im_end|>", "a b,Ġ ab,ab c", []byte{1, 1, 1, 1, 3}, []byte{}, uint8(3), "ab<|im_end|>")
	pres := slices.Sorted(maps.Keys(preTokenizers))
	models := []string{modelSPM, modelWordPiece, modelUnigram, modelGemma4, modelWhitespace}
	f.Fuzz(func(t *testing.T, tokens, merges string, types, scores []byte, kind uint8, text string) {
		in := fields{keyTokens: strings.Split(tokens, ","), keyMerges: strings.Split(merges, ",")}
		if at := int(kind) % (len(models) + len(pres)); at < len(models) {
			in[keyModel] = models[at]
		} else {
			in[keyModel], in[keyPre] = modelBPE, pres[at-len(models)]
		}
		var ts []int32
		for _, b := range types {
			ts = append(ts, int32(int8(b)))
		}
		ss := make([]float32, len(in[keyTokens].([]string)))
		for i, b := range scores {
			if i < len(ss) {
				ss[i] = float32(int8(b))
			}
		}
		if len(ts) > 0 {
			in[keyTypes] = ts
		}
		in[keyScores] = ss
		for _, key := range []string{keySpacePrefix, keyMergeSpaces, keyLowercase} {
			in[key] = len(scores)%2 == 1
		}
		tok, err := New(in.metadata(t))
		if err != nil {
			return
		}
		for _, special := range []bool{false, true} {
			ids := tok.Encode(text, EncodeOptions{ParseSpecial: special, AddSpecial: true})
			for _, id := range ids {
				if !tok.valid(id) {
					t.Fatalf("id %d is outside the vocabulary", id)
				}
			}
			_ = tok.Decode(ids)
			d := tok.NewDecoder(special)
			for _, id := range ids {
				d.Next(id)
			}
			d.Flush()
		}
	})
}

// FuzzCharsmap holds that no map of characters makes its reader or the normalizer panic, and that what it makes of a text has
// a size bounded by the text's.
func FuzzCharsmap(f *testing.F) {
	f.Add([]byte{}, "a")
	f.Add([]byte{8, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 'x', 0}, "ab")
	f.Add(append([]byte{4, 0, 0, 0, 0, 0, 0, 0}, "abc\x00"...), "\u00a0 a\xff")
	f.Fuzz(func(t *testing.T, blob []byte, text string) {
		in := unigramOf(fields{keyCharsmap: blob})
		for _, merge := range []bool{false, true} {
			in[keyMergeSpaces] = merge
			tok, err := New(in.metadata(t))
			if err != nil {
				return
			}
			normal := tok.enc.(*unigram).normalize(nil, text)
			if len(normal) > len(text)*maxCharsmapReplacement+1 {
				t.Fatalf("%d bytes become %d", len(text), len(normal))
			}
			if utf8.ValidString(text) && len(blob) == 0 && !merge && !bytes.Equal(normal, []byte(" "+strings.ReplaceAll(text, spmSpace, " "))) && text != "" {
				t.Fatalf("without a map %q becomes %q", text, normal)
			}
			tok.Encode(text, EncodeOptions{})
		}
	})
}
