package main

import (
	"bytes"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"testing"

	"github.com/weft-run/weft/daemon/config"
	"github.com/weft-run/weft/kernels"
	"github.com/weft-run/weft/kernels/quant"
	"github.com/weft-run/weft/runtime/engine"
	"github.com/weft-run/weft/runtime/gguf"
	"github.com/weft-run/weft/runtime/models"
	"github.com/weft-run/weft/runtime/modeltest"
)

// writeSparse writes a header that says 100 GB of a healthy model, and no weight of it.
func writeSparse(t *testing.T) (path string, header int64) {
	t.Helper()
	const width, ffn, layers = 8192, 28672, 75
	meta, _ := modeltest.Parts(modeltest.Spec{VocabSize: 512, Set: []gguf.KV{
		{Key: "llama.embedding_length", Value: uint32(width)},
		{Key: "llama.feed_forward_length", Value: uint32(ffn)},
		{Key: "llama.block_count", Value: uint32(layers)},
		{Key: "llama.attention.head_count", Value: uint32(64)},
		{Key: "llama.attention.head_count_kv", Value: uint32(64)},
		{Key: "llama.rope.dimension_count", Value: uint32(width / 64)},
		{Key: "llama.attention.key_length"},
		{Key: "llama.attention.value_length"},
	}})
	var tensors []gguf.TensorSpec
	add := func(name string, kind quant.Type, dims ...uint64) {
		tensors = append(tensors, gguf.TensorSpec{Name: name + ".weight", Type: kind, Dims: dims})
	}
	add("token_embd", quant.F16, width, 512)
	for i := range layers {
		blk := "blk." + strconv.Itoa(i) + "."
		for _, name := range []string{"attn_norm", "ffn_norm"} {
			add(blk+name, quant.F16, width) // which the loader decodes
		}
		for _, name := range []string{"attn_q", "attn_k", "attn_v", "attn_output"} {
			add(blk+name, quant.Q8_0, width, width)
		}
		add(blk+"ffn_gate", quant.F16, width, ffn)
		add(blk+"ffn_up", quant.F16, width, ffn)
		add(blk+"ffn_down", quant.Q4_0, ffn, width)
	}
	add("output_norm", quant.F32, width)
	path = filepath.Join(t.TempDir(), "huge.gguf")
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	w, err := gguf.NewWriter(f, meta, tensors)
	if err != nil {
		t.Fatal(err)
	}
	st, err := f.Stat()
	if err != nil {
		t.Fatal(err)
	}
	last := w.Tensors()[len(tensors)-1]
	if err := f.Truncate(st.Size() + int64(last.Offset+last.Bytes)); err != nil {
		t.Skipf("this file system has no files of 100 GB: %v", err)
	}
	return path, st.Size()
}

// ownIO returns the bytes that this process has read by read calls.
func ownIO(t *testing.T) (read int64) {
	t.Helper()
	text, err := os.ReadFile("/proc/self/io")
	if err != nil {
		t.Skip(err)
	}
	m := regexp.MustCompile(`(?m)^rchar: (\d+)$`).FindSubmatch(text)
	if m == nil {
		t.Skip("the kernel does not count what is read")
	}
	n, err := strconv.ParseInt(string(m[1]), 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// The time that inspect takes is that of the header: bytes are counted, because a clock decides no test.
func TestInspectReadsHeadersOnly(t *testing.T) {
	path, header := writeSparse(t)
	st, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if st.Size() < 100e9 {
		t.Fatalf("the file has %d bytes", st.Size())
	}
	var out, errs bytes.Buffer
	before := ownIO(t)
	code := run([]string{"inspect", path}, nil, &out, &errs, func(string) string { return "" })
	read := ownIO(t) - before
	if code != exitOK {
		t.Fatalf("exit code %d\n%s%s", code, out.String(), errs.String())
	}
	if !regexp.MustCompile(`(?m)^served +yes`).Match(out.Bytes()) {
		t.Errorf("it is not served:\n%s", out.String())
	}
	// One window of reading ahead, and the file of the count itself.
	if limit := header + 128<<10; read > limit {
		t.Errorf("%d bytes were read of a header of %d", read, header)
	}
	t.Logf("a file of %d bytes with a header of %d: %d bytes read", st.Size(), header, read)
}

// The memory that inspect tells is what the engine takes with weftd's own sizes.
func TestMemoryIsTheEngines(t *testing.T) {
	memoryIsTheEngines(t, modeltest.Spec{Context: 200}, 7)
	// A window of 100, a step of 256 and a tile of 64 lie in 15 pages of 32 wherever they begin.
	memoryIsTheEngines(t, modeltest.Spec{Context: 2000, Set: []gguf.KV{{Key: "llama.attention.sliding_window", Value: uint32(100)}}}, 15)
}

func memoryIsTheEngines(t *testing.T, s modeltest.Spec, pages int) {
	t.Helper()
	path := modeltest.WriteTiny(t, s)
	f, err := gguf.Open(path, gguf.DefaultLimits())
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	m, err := models.Load(f)
	if err != nil {
		t.Fatal(err)
	}
	if d := config.Default(); d.StepTokens != stepTokens || d.PageTokens != pageTokens || d.Parallel > logitRows {
		t.Errorf("weftd steps %d tokens in pages of %d, %d sequences at a time", d.StepTokens, d.PageTokens, d.Parallel)
	}
	for _, kind := range kernels.CacheTypes() {
		r := inspect(path, inspection{kv: kind.String(), cacheType: kind})
		if !kind.Fits(m.Config().HeadDim) {
			kind = kernels.CacheF16
		}
		cache, scratch := engine.Config{Model: m, CacheType: kind, StepTokens: stepTokens, PageTokens: pageTokens, Pages: pages}.Memory()
		if r.Memory == nil || r.Memory.Cache != cache || r.Memory.Scratch != scratch {
			t.Errorf("%s: memory is %+v, and the engine takes %d and %d", kind, r.Memory, cache, scratch)
		}
	}
}
