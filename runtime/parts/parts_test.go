package parts

import (
	"bytes"
	"errors"
	"os"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/weft-run/weft/runtime/gguf"
	"github.com/weft-run/weft/runtime/models"
	"github.com/weft-run/weft/runtime/modeltest"
	"github.com/weft-run/weft/runtime/tokenizer"
)

// opened makes a model of a file in memory.
func opened(t *testing.T, b []byte) (*gguf.File, error) {
	t.Helper()
	fd, err := unix.MemfdCreate("parts", unix.MFD_CLOEXEC)
	if err != nil {
		t.Skip(err)
	}
	m := os.NewFile(uintptr(fd), "/nowhere/x.gguf")
	if _, err := m.Write(b); err != nil {
		t.Fatal(err)
	}
	lim := gguf.DefaultLimits()
	lim.HeapBytes = 1 << 20
	return gguf.OpenFile(m, lim)
}

func TestReadTellsAllReasons(t *testing.T) {
	set := func(kv ...gguf.KV) []gguf.KV { return kv }
	for name, c := range map[string]struct {
		spec modeltest.Spec
		o    Options
		is   []error
		says []string
	}{
		"healthy":           {},
		"unknown family":    {spec: modeltest.Spec{Set: set(gguf.KV{Key: "general.architecture", Value: "mamba"})}, is: []error{models.ErrUnsupported}, says: []string{`architecture "mamba"`}},
		"two of the shape":  {spec: modeltest.Spec{Set: set(gguf.KV{Key: "llama.block_count"}, gguf.KV{Key: "llama.expert_count", Value: uint32(4)})}, says: []string{"mixture of experts", `"llama.block_count" is missing`}},
		"shape and pre":     {spec: modeltest.Spec{Vocab: modeltest.BPE, Set: set(gguf.KV{Key: "llama.block_count"}, gguf.KV{Key: "tokenizer.ggml.pre", Value: "x"})}, is: []error{models.ErrInvalid, tokenizer.ErrUnsupported}},
		"setting and shape": {spec: modeltest.Spec{Set: set(gguf.KV{Key: "llama.block_count"})}, o: Options{Template: "no-such"}, is: []error{models.ErrInvalid, ErrSetting}},
		"layers too many":   {spec: modeltest.Spec{Set: set(gguf.KV{Key: "llama.block_count", Value: uint32(3)})}, says: []string{"blk.2.attn_q.weight", "blk.2.ffn_gate.weight"}},
	} {
		f, err := opened(t, modeltest.Tiny(c.spec))
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		p, err := Read(f, c.o)
		if (err == nil) != (c.is == nil && c.says == nil) {
			t.Errorf("%s: the error is %v", name, err)
		}
		for _, target := range c.is {
			if !errors.Is(err, target) {
				t.Errorf("%s: %v is not %v", name, err, target)
			}
		}
		for _, text := range c.says {
			if err == nil || !strings.Contains(err.Error(), text) {
				t.Errorf("%s: %v does not say %s", name, err, text)
			}
		}
		if err == nil && (p.Model == nil || p.Tokenizer == nil) {
			t.Errorf("%s: %+v lacks parts", name, p)
		}
		_ = f.Close()
	}
}

// FuzzRead: whatever a file says, reading it ends in a model that is whole, or in an error.
func FuzzRead(f *testing.F) {
	for _, s := range []modeltest.Spec{
		{Width: 8, Heads: 2, FFN: 8, Layers: 1},
		{Width: 8, Heads: 2, FFN: 8, Layers: 1, Vocab: modeltest.BPE, Set: []gguf.KV{{Key: "tokenizer.chat_template", Value: "{{ messages[0]['content'] }}"}}},
		{Width: 8, Heads: 2, FFN: 8, Layers: 1, Untied: true, Biases: true, RopeFactors: []float32{1, 2}, Set: []gguf.KV{{Key: "llama.rope.scaling.type", Value: "yarn"}}},
	} {
		f.Add(modeltest.Tiny(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		file, err := opened(t, b)
		if err != nil {
			return
		}
		defer file.Close()
		p, err := Read(file, Options{})
		if err != nil {
			if strings.TrimSpace(err.Error()) == "" || bytes.ContainsRune([]byte(err.Error()), 0) {
				t.Fatalf("the error says %q", err)
			}
			return
		}
		if p.Model.Config().Vocab != p.Tokenizer.Size() {
			t.Fatalf("%d rows for %d tokens", p.Model.Config().Vocab, p.Tokenizer.Size())
		}
	})
}
