package tokenizer

import (
	"bufio"
	"bytes"
	"encoding/json"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/weft-run/weft/runtime/gguf"
	"github.com/weft-run/weft/runtime/modeltest"
)

// load makes the tokenizer of a fetched file.
func load(t testing.TB, name string) *Tokenizer {
	t.Helper()
	return loadPath(t, modeltest.File(t, name))
}

func loadPath(t testing.TB, path string) *Tokenizer {
	t.Helper()
	tok, err := New(metadata(t, path))
	if err != nil {
		t.Fatal(err)
	}
	return tok
}

func metadata(t testing.TB, path string) gguf.Metadata {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		t.Fatal(err)
	}
	h, err := gguf.ParseHeader(f, info.Size(), gguf.DefaultLimits())
	if err != nil {
		t.Fatal(err)
	}
	return h.Meta
}

// The texts of testdata/texts.inp with the ids that Hugging Face's tokenizers and llama.cpp agree on.
func TestVocabularyFiles(t *testing.T) {
	for _, name := range []string{"llama-spm", "gpt-2"} {
		t.Run(name, func(t *testing.T) {
			compare(t, load(t, "vocab/ggml-vocab-"+name+".gguf"), "testdata/texts.inp", "testdata/"+name+".out", true)
		})
	}
}

// The vocabularies that llama.cpp is tested with, each beside its own texts and ids.
func TestFetchedVocabularies(t *testing.T) {
	for _, name := range []string{"llama-spm", "gpt-2", "llama-bpe", "qwen2", "phi-3", "mpt", "starcoder", "refact", "command-r", "qwen35", "falcon", "deepseek-llm", "deepseek-coder", "gemma-4"} {
		t.Run(name, func(t *testing.T) {
			file := "vocab/ggml-vocab-" + name + ".gguf"
			compare(t, load(t, file), modeltest.File(t, file+".inp"), modeltest.File(t, file+".out"), true)
		})
	}
	// WordPiece forgets case, accents and whitespace, so that no text need come back.
	t.Run("bert-bge", func(t *testing.T) {
		const file = "vocab/ggml-vocab-bert-bge.gguf"
		compare(t, load(t, file), modeltest.File(t, file+".inp"), modeltest.File(t, file+".out"), false)
	})
}

// compare encodes the texts of a file, which stand between lines of __ggml_vocab_test__, and compares the ids with the
// lines of another. Where back is set, each text must come back.
func compare(t *testing.T, tok *Tokenizer, texts, ids string, back bool) {
	inp, err := os.ReadFile(texts)
	if err != nil {
		t.Fatal(err)
	}
	out, err := os.ReadFile(ids)
	if err != nil {
		t.Fatal(err)
	}
	const between = "\n__ggml_vocab_test__\n"
	parts := strings.Split(strings.TrimSuffix(string(inp), between), between)
	lines := strings.Split(strings.TrimSuffix(string(out), "\n"), "\n")
	if len(parts) != len(lines) {
		t.Fatalf("%d texts, %d lines of ids", len(parts), len(lines))
	}
	for i, text := range parts {
		var want []int32
		for _, f := range strings.Fields(lines[i]) {
			n, err := strconv.Atoi(f)
			if err != nil {
				t.Fatal(err)
			}
			want = append(want, int32(n))
		}
		got := tok.Encode(text, EncodeOptions{})
		if !slices.Equal(got, want) {
			t.Errorf("text %d %q\n got %v\nwant %v", i, text, got, want)
		}
		if decoded := string(tok.Decode(got)); back && decoded != text {
			t.Errorf("text %d %q comes back as %q", i, text, decoded)
		}
	}
}

// The same texts on SmolLM2's own vocabulary; the ids are llama.cpp's.
func TestSmolLM2(t *testing.T) {
	tok := load(t, "SmolLM2-135M-Instruct.Q4_1.gguf")
	f, err := os.Open("testdata/smollm2.jsonl")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	lines := bufio.NewScanner(f)
	n := 0
	for ; lines.Scan(); n++ {
		var want struct {
			Text string
			IDs  []int32
		}
		if err := json.Unmarshal(lines.Bytes(), &want); err != nil {
			t.Fatal(err)
		}
		if got := tok.Encode(want.Text, EncodeOptions{}); !slices.Equal(got, want.IDs) {
			t.Errorf("line %d %q\n got %v\nwant %v", n+1, want.Text, got, want.IDs)
		}
	}
	if n == 0 {
		t.Fatal("no lines")
	}
}

// docs/tokenizers.md has a row for every name that is served, and for no other.
func TestNamesAreListed(t *testing.T) {
	page, err := os.ReadFile("../../docs/tokenizers.md")
	if err != nil {
		t.Fatal(err)
	}
	_, page, _ = bytes.Cut(page, []byte("## Pre-tokenizers"))
	page, _, _ = bytes.Cut(page, []byte("\n## "))
	listed := map[string]bool{}
	for line := range strings.Lines(string(page)) {
		cells := strings.Split(line, "|")
		if len(cells) != 7 {
			continue
		}
		for i, name := range strings.Split(cells[1], "`") {
			if i%2 == 1 {
				if _, ok := preTokenizers[name]; !ok || listed[name] {
					t.Errorf("docs/tokenizers.md lists %q, which is not served or listed twice", name)
				}
				listed[name] = true
			}
		}
	}
	for name := range preTokenizers {
		if !listed[name] {
			t.Errorf("docs/tokenizers.md does not list %q", name)
		}
	}
}
