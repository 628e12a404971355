package repository

import (
	"os"
	"testing"
	"time"

	"github.com/weft-run/weft/runtime/modeltest"
)

// From the rename to the first token that the model could give: a second is the promise for 135 M weights, and the content's
// digest does not delay it. The figure is for people; a shared machine's clock decides no test.
func TestArrivalToFirstTokenOfARealModel(t *testing.T) {
	source := modeltest.File(t, "SmolLM2-135M-Instruct.Q4_1.gguf")
	b := newBench(t, func(o *Options) { o.Defaults = Settings{Parallel: 8} })
	data, err := os.ReadFile(source)
	must(t, err)
	b.putBytes("smollm2", data)
	b.sync()
	s := b.want("smollm2", StateServing)
	t.Logf("%v from the rename to the first token", s.Served.Sub(s.Arrived).Round(time.Millisecond))
	if s.Quantization != "Q4_1" || s.Parameters != 134515008 || s.ContextLen != 8192 || s.Template == "" {
		t.Errorf("status is %+v", s)
	}
	if s.Digest != "" {
		t.Error("the first token waited for the digest")
	}
	if got, want := b.digest("smollm2"), digestOf(data); got != want {
		t.Errorf("digest is %s, want %s", got, want)
	}
	t.Logf("%v to the digest", time.Since(s.Served).Round(time.Millisecond))
}

// A file that holds a vocabulary alone is no model, and is told from one.
func TestVocabularyAloneIsRefused(t *testing.T) {
	source := modeltest.File(t, "vocab/ggml-vocab-llama-spm.gguf")
	b := newBench(t, nil)
	b.Sync(t.Context(), []Source{{Name: "vocab", Paths: []string{source}}})
	b.want("vocab", StateRefused, "models:")
}
