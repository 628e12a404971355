package tokenizer

import (
	"strings"
	"testing"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
	"pgregory.net/rapid"
)

// words are what random texts are made of, so that merges, borders and special tokens meet.
var words = []string{
	"a", "the", "Hello", " ", "  ", "\n", "\t", "'s", "'LL", "1", "234", ".", "é", "日本", "🦙", "e\u0301", "\u00a0", "\u200d", "<s>", "</s>", "<|im_end|>", "<0x41>", "\x00",
	"\xff", "\xc3", "\xe2\x82", "\xf0\x9f", "\x80",
}

func drawText(rt *rapid.T) string {
	return strings.Join(rapid.SliceOfN(rapid.SampledFrom(words), 0, 30).Draw(rt, "words"), "") + rapid.String().Draw(rt, "tail")
}

// What Encode is given comes back from Decode, broken UTF-8 included; the stream gives the same with U+FFFD for what is broken.
func TestRoundTrip(t *testing.T) {
	toks := everyKind(t)
	rapid.Check(t, func(rt *rapid.T) {
		text := drawText(rt)
		for _, k := range toks {
			want, whole := k.back(text)
			if !whole {
				continue
			}
			ids := k.tok.Encode(text, EncodeOptions{})
			if back := string(k.tok.Decode(ids)); back != want {
				rt.Fatalf("%s: %q comes back as %q (%v)", k.name, text, back, ids)
			}
			stream(rt, k.tok, ids, want)
		}
	})
}

// stream decodes ids one by one and holds that every part is whole and all parts make the text.
func stream(rt *rapid.T, tok *Tokenizer, ids []int32, text string) {
	d := tok.NewDecoder(true)
	var out strings.Builder
	for _, id := range append(ids, -1) {
		part := d.Next(id)
		if id == -1 {
			part = d.Flush()
		}
		if !utf8.ValidString(part) {
			rt.Fatalf("the stream gives %q, half a character", part)
		}
		out.WriteString(part)
	}
	want, _ := replaceInvalid([]byte(text), true)
	if tok.spacePrefix && text != "" {
		want = " " + want
	}
	if out.String() != want {
		rt.Fatalf("the stream gives %q for %q", out.String(), text)
	}
}

// Qwen's tokenizer brings text to NFC, so that is what comes back.
func TestQwen2Normalizes(t *testing.T) {
	tok := load(t, "vocab/ggml-vocab-qwen2.gguf")
	rapid.Check(t, func(rt *rapid.T) {
		text := drawText(rt)
		if back := string(tok.Decode(tok.Encode(text, EncodeOptions{}))); back != norm.NFC.String(text) {
			rt.Fatalf("%q comes back as %q", text, back)
		}
	})
	if got, want := tok.Encode("e\u0301", EncodeOptions{}), tok.Encode("é", EncodeOptions{}); len(got) != 1 || got[0] != want[0] {
		t.Errorf("got %v, want %v", got, want)
	}
}

// Real vocabularies give every text back, whatever its bytes.
func TestRoundTripOfRealVocabularies(t *testing.T) {
	for _, name := range []string{"llama-spm", "gpt-2", "llama-bpe"} {
		t.Run(name, func(t *testing.T) {
			tok := load(t, "vocab/ggml-vocab-"+name+".gguf")
			rapid.Check(t, func(rt *rapid.T) {
				text := strings.ReplaceAll(drawText(rt), spmSpace, "")
				ids := tok.Encode(text, EncodeOptions{})
				if back := string(tok.Decode(ids)); back != text {
					rt.Fatalf("%q comes back as %q (%v)", text, back, ids)
				}
				stream(rt, tok, ids, text)
			})
		})
	}
}

// The expectations are those of Python's bytes.decode("utf-8", "replace").
func TestReplaceInvalid(t *testing.T) {
	const bad = "\uFFFD"
	for in, want := range map[string]string{
		"abc": "abc", "\xff": bad, "\x80\x80": bad + bad, "\xc3": bad, "\xc3\xa9": "é", "\xc0\xaf": bad + bad, "\xe2\x82": bad, "\xe2\x82A": bad + "A",
		"\xe0\x80\x80": bad + bad + bad, "\xed\xa0\x80": bad + bad + bad, "\xf0\x9f\xa6": bad, "\xf0\x9f\xa6\x99": "🦙", "\xf0\x9f\xa6x": bad + "x",
		"\xf4\x90\x80\x80": bad + bad + bad + bad, "\xf5\x80": bad + bad, "\xf0\x80\x80\x80": bad + bad + bad + bad, "a\xe2\x82\xe2\x82\xacb": "a" + bad + "€b", "\xe2\xf0\x9f\xa6\x99": bad + "🦙",
	} {
		got, rest := replaceInvalid([]byte(in), true)
		if got != want || len(rest) > 0 {
			t.Errorf("%q gives %q and keeps %q, want %q", in, got, rest, want)
		}
	}
}

// Byte tokens come one by one; the stream waits for the whole character and no longer.
func TestStreamHoldsBack(t *testing.T) {
	tok := mustNew(t, bpe(nil))
	id := func(b byte) int32 { return tok.byteSyms[b] }
	d := tok.NewDecoder(true)
	for _, step := range []struct {
		b    byte
		want string
	}{{0xF0, ""}, {0x9F, ""}, {0xA6, ""}, {0x99, "🦙"}, {'a', "a"}, {0xE2, ""}, {'b', "\uFFFDb"}, {0xE2, ""}, {0x82, ""}, {0xC3, "\uFFFD"}, {0xA9, "é"}, {0xFF, "\uFFFD"}, {0xC3, ""}} {
		if got := d.Next(id(step.b)); got != step.want {
			t.Errorf("the byte %x gives %q, want %q", step.b, got, step.want)
		}
	}
	if got := d.Next(259); got != "" {
		t.Errorf("a special token gives %q", got)
	}
	if got := d.Flush(); got != "\uFFFD" {
		t.Errorf("the end gives %q", got)
	}
	if got := d.Flush() + d.Next(id('x')) + tok.NewDecoder(false).Next(259); got != "x<|end|>" {
		t.Errorf("afterwards it gives %q", got)
	}
}

func BenchmarkNew(b *testing.B) {
	for _, name := range []string{"llama-spm", "smollm2", "llama-bpe"} {
		b.Run(name, func(b *testing.B) {
			m := metadata(b, vocabPath(b, name))
			for b.Loop() {
				if _, err := New(m); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
