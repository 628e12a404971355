package gguf_test

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/weft-run/weft/runtime/gguf"
	"github.com/weft-run/weft/runtime/modeltest"
)

// The file and the text were made by testdata/gguf-py.py with the gguf package for Python.
func TestReadsWhatPythonWrites(t *testing.T) {
	want, err := os.ReadFile("testdata/gguf-py.txt")
	if err != nil {
		t.Fatal(err)
	}
	f, err := gguf.Open("testdata/gguf-py.gguf", gguf.DefaultLimits())
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var got bytes.Buffer
	h := f.Headers()[0]
	fmt.Fprintf(&got, "data at %d alignment %d\n", h.DataOffset, h.Alignment)
	for _, key := range f.Meta().Keys() {
		v, _ := f.Meta().Get(key)
		fmt.Fprintf(&got, "key %s %s %s\n", key, v.Kind(), pythonic(v))
	}
	for _, info := range f.Tensors() {
		dims := make([]string, len(info.Dims))
		for i, d := range info.Dims {
			dims[i] = strconv.FormatUint(d, 10)
		}
		at := uint64(h.DataOffset) + info.Offset
		fmt.Fprintf(&got, "tensor %s %s %s at %d %x\n", info.Name, info.Type, strings.Join(dims, "x"), at, sha256.Sum256(f.Data(info)))
	}
	if diff := cmp.Diff(string(want), got.String()); diff != "" {
		t.Error(diff)
	}
	nested, _ := f.Meta().Get("t.nested")
	inner := nested.Any().([]gguf.Value)
	if fmt.Sprint(inner[0].Any(), inner[1].Any()) != "[x y] [1 2 3]" {
		t.Errorf("nested arrays are %v", nested.Any())
	}
}

// pythonic writes a value as Python's str does.
func pythonic(v gguf.Value) string {
	one := func(x any) string {
		switch x := x.(type) {
		case bool:
			if x {
				return "True"
			}
			return "False"
		case float32:
			return strconv.FormatFloat(float64(x), 'g', -1, 64)
		}
		return fmt.Sprint(x)
	}
	join := func(n int, at func(i int) any) string {
		s := make([]string, n)
		for i := range s {
			s[i] = one(at(i))
		}
		return strings.Join(s, "|")
	}
	switch x := v.Any().(type) {
	case []string:
		return join(len(x), func(i int) any { return x[i] })
	case []int32:
		return join(len(x), func(i int) any { return x[i] })
	case []float32:
		return join(len(x), func(i int) any { return x[i] })
	case []bool:
		return join(len(x), func(i int) any { return x[i] })
	case []gguf.Value:
		return "..."
	default:
		return one(x)
	}
}

func TestReadsRealFiles(t *testing.T) {
	for name, want := range map[string]struct {
		arch             string
		tensors, vocab   int
		merges, elements int
	}{
		"SmolLM2-135M-Instruct.Q4_1.gguf": {"llama", 272, 49152, 48900, 134515008},
		"vocab/ggml-vocab-gpt-2.gguf":     {"gpt2", 0, 50257, 50000, 0},
		"vocab/ggml-vocab-llama-spm.gguf": {"llama", 0, 32000, 0, 0},
		"vocab/ggml-vocab-bert-bge.gguf":  {"bert", 0, 30522, 0, 0},
	} {
		t.Run(name, func(t *testing.T) {
			f, err := gguf.Open(modeltest.File(t, name), gguf.DefaultLimits())
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			arch, _ := f.Meta().Str("general.architecture", "")
			vocab, _ := f.Meta().Strings("tokenizer.ggml.tokens")
			merges, _ := f.Meta().Strings("tokenizer.ggml.merges")
			elements := 0
			for _, info := range f.Tensors() {
				elements += int(info.Elements())
			}
			if arch != want.arch || len(f.Tensors()) != want.tensors || len(vocab) != want.vocab || len(merges) != want.merges || elements != want.elements {
				t.Errorf("got %s, %d tensors, %d pieces, %d merges, %d elements; want %v", arch, len(f.Tensors()), len(vocab), len(merges), elements, want)
			}
		})
	}
}

// What was read of a real file and written again is the same header.
func TestRewritesARealHeader(t *testing.T) {
	const path = "../../daemon/builtin/stories260K-f32.gguf"
	f, err := gguf.Open(path, gguf.DefaultLimits())
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var meta []gguf.KV
	for _, key := range f.Meta().Keys() {
		v, _ := f.Meta().Get(key)
		meta = append(meta, gguf.KV{Key: key, Value: v})
	}
	var tensors []gguf.TensorData
	for _, info := range f.Tensors() {
		tensors = append(tensors, gguf.TensorData{TensorSpec: gguf.TensorSpec{Name: info.Name, Type: info.Type, Dims: info.Dims}, Data: f.Data(info)})
	}
	var b bytes.Buffer
	w := bufio.NewWriter(&b)
	if err := gguf.Write(w, meta, tensors); err != nil {
		t.Fatal(err)
	}
	if err := w.Flush(); err != nil {
		t.Fatal(err)
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(b.Bytes(), want) {
		t.Errorf("%d bytes were written, and differ from the %d of the file", b.Len(), len(want))
	}
}

// BenchmarkParseHeader reads a vocabulary of 49,152 pieces and 48,900 merges.
func BenchmarkParseHeader(b *testing.B) {
	file, err := os.Open(modeltest.File(b, "SmolLM2-135M-Instruct.Q4_1.gguf"))
	if err != nil {
		b.Fatal(err)
	}
	defer file.Close()
	st, err := file.Stat()
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := gguf.ParseHeader(file, st.Size(), gguf.DefaultLimits()); err != nil {
			b.Fatal(err)
		}
	}
}

func ExampleWrite() {
	var b bytes.Buffer
	err := gguf.Write(&b,
		[]gguf.KV{{Key: "general.architecture", Value: "llama"}, {Key: "llama.block_count", Value: uint32(2)}},
		[]gguf.TensorData{{
			TensorSpec: gguf.TensorSpec{Name: "output_norm.weight", Type: 0, Dims: []uint64{4}},
			Data:       make([]byte, 16),
		}})
	if err != nil {
		fmt.Println(err)
		return
	}
	h, err := gguf.ParseHeader(bytes.NewReader(b.Bytes()), int64(b.Len()), gguf.DefaultLimits())
	if err != nil {
		fmt.Println(err)
		return
	}
	layers, _ := h.Meta.Uint("llama.block_count", 0)
	fmt.Println(layers, h.Tensors[0].Name, h.Tensors[0].Type, h.Tensors[0].Dims)
	// Output: 2 output_norm.weight F32 [4]
}
