package main

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/weft-run/weft/adapters"
	"github.com/weft-run/weft/daemon/builtin"
	"github.com/weft-run/weft/runtime/gguf"
	"github.com/weft-run/weft/runtime/models"
	"github.com/weft-run/weft/runtime/modeltest"
)

var update = flag.Bool("update", false, "rewrite the expectations in testdata/*.txt")

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"weft": main, "weftd": serveDaemon})
}

// TestScripts runs testdata/*.txt: each is a folder of its own and a list of commands with what they print. Beside the files in the
// script itself, the folder has the files of writeModels.
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata",
		UpdateScripts:       *update,
		RequireExplicitExec: true,
		Setup:               setup,
	})
}

func setup(env *testscript.Env) error {
	env.Setenv("HOME", env.WorkDir)
	env.Setenv("WEFT_HOST", "unix://"+filepath.Join(env.WorkDir, "weftd.sock"))
	return writeModels(env.WorkDir)
}

// writeModels writes the files that scripts use.
func writeModels(dir string) error {
	files := map[string][]byte{
		"stories260K.gguf": builtin.Bytes(),
		"tiny.gguf":        modeltest.Tiny(modeltest.Spec{Seed: 7}),
		"bpe.gguf":         modeltest.Tiny(modeltest.Spec{Seed: 8, Vocab: modeltest.BPE}),
		"window.gguf":      modeltest.Tiny(modeltest.Spec{Context: 4096, Set: []gguf.KV{{Key: "llama.attention.sliding_window", Value: uint32(512)}}}),
		"foreign.gguf":     modeltest.Tiny(modeltest.Spec{Set: []gguf.KV{{Key: "general.architecture", Value: "mamba"}, {Key: "general.description", Value: "\x1b]0;title\u009b[2J\u202eevil"}}}),
		"wrong.gguf": modeltest.Tiny(modeltest.Spec{Vocab: modeltest.BPE, Set: []gguf.KV{
			{Key: "llama.expert_count", Value: uint32(8)}, {Key: "llama.context_length"}, {Key: "tokenizer.ggml.pre", Value: "klingon"},
		}}),
		"badtemplate.gguf": modeltest.Tiny(modeltest.Spec{Set: []gguf.KV{
			{Key: "tokenizer.chat_template", Value: "{% for m in x %}oops"}, {Key: "tokenizer.chat_template.tool_use", Value: "x"},
		}}),
	}
	files["cut.gguf"] = files["tiny.gguf"][:len(files["tiny.gguf"])-100]
	meta, tensors := modeltest.Parts(modeltest.Spec{Vocab: modeltest.BPE})
	var err error
	if files["vocab.gguf"], err = encode(meta, nil); err != nil {
		return err
	}
	var adapter bytes.Buffer
	spec := &models.AdapterSpec{Deltas: []models.Delta{{Target: "blk.4.attn_v", Rank: 2, Scale: 0.5, A: make([]float32, 2*64), B: make([]float32, 2*32)}}, Invocation: []int32{3, 1}}
	if err := adapters.WriteGGUF(&adapter, spec, "llama", []models.Target{{Name: "blk.4.attn_v", Rows: 32, Cols: 64}}); err != nil {
		return err
	}
	files["adapter.gguf"] = adapter.Bytes()
	half := len(tensors) / 2
	for no, part := range [][]gguf.TensorData{tensors[:half], tensors[half:]} {
		own := []gguf.KV{
			{Key: "split.no", Value: uint16(no)}, {Key: "split.count", Value: uint16(2)}, {Key: "split.tensors.count", Value: int32(len(tensors))},
		}
		if no == 0 {
			own = append(meta, own...)
		}
		if files["split-0000"+strconv.Itoa(no+1)+"-of-00002.gguf"], err = encode(own, part); err != nil {
			return err
		}
	}
	for name, count := range map[string]uint16{"three-00001-of-00003.gguf": 3, "many-00001-of-00099.gguf": 99} { // and no other file of them
		own := append(slices.Clone(meta), gguf.KV{Key: "split.no", Value: uint16(0)}, gguf.KV{Key: "split.count", Value: count},
			gguf.KV{Key: "split.tensors.count", Value: int32(len(tensors))})
		if files[name], err = encode(own, tensors[:half]); err != nil {
			return err
		}
	}
	for name, content := range files {
		if err := os.WriteFile(filepath.Join(dir, name), content, 0o644); err != nil {
			return err
		}
	}
	return nil
}

func encode(meta []gguf.KV, tensors []gguf.TensorData) ([]byte, error) {
	var out bytes.Buffer
	err := gguf.Write(&out, meta, tensors)
	return out.Bytes(), err
}
