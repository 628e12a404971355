package repository

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/weft-run/weft/runtime/engine"
	"github.com/weft-run/weft/runtime/gguf"
	"github.com/weft-run/weft/runtime/modeltest"
	"github.com/weft-run/weft/runtime/parts"
)

// long is a model whose streams do not end before their readers want them to: their buffers fill with 256 tokens, and they wait.
func long(seed uint64) modeltest.Spec {
	return modeltest.Spec{Seed: seed, Context: 2048, Layers: 1, Width: 32, FFN: 32}
}

// begun is streams at work on a model, each with a reader that has taken one token.
type begun struct {
	lease   *Lease
	streams []*engine.Stream
}

func (b *bench) begin(name string, n, tokens int) *begun {
	b.t.Helper()
	x := &begun{lease: b.acquire(name)}
	for i := range n {
		s := submit(b.t, x.lease, uint64(i), tokens)
		_, err := s.Next(b.t.Context())
		must(b.t, err)
		x.streams = append(x.streams, s)
	}
	return x
}

// finish reads all streams to their ends, at once, and releases the lease.
func (x *begun) finish(t testing.TB) (tokens [][]int32, errs []error) {
	tokens, errs = make([][]int32, len(x.streams)), make([]error, len(x.streams))
	var all sync.WaitGroup
	for i, s := range x.streams {
		all.Go(func() { tokens[i], errs[i] = drain(t, s) })
	}
	all.Wait()
	x.lease.Release()
	return tokens, errs
}

// wantLost checks that all streams failed with the message that tells how to replace a model.
func wantLost(t *testing.T, errs []error) {
	t.Helper()
	for i, err := range errs {
		var lost *engine.LostError
		if !errors.As(err, &lost) || !strings.Contains(err.Error(), "rename") {
			t.Errorf("stream %d ended with %v, want a *engine.LostError that tells how to replace a model", i, err)
		}
	}
}

// H15: replacing by rename, under load.
func TestH15SwapUnderLoad(t *testing.T) {
	b := newBench(t, nil)
	b.put("other", long(9))
	b.put("a", long(1))
	b.sync()
	before := inUse(t, b.dir)
	const streams, tokens = 8, 300
	var want [][]int32
	for i := range streams {
		want = append(want, b.answer("a", uint64(i), tokens))
	}
	otherWant := b.answer("other", 3, tokens)
	old := b.begin("a", streams, tokens)
	other := b.begin("other", 4, tokens)
	b.put("a", long(2))
	b.sync()
	s := b.want("a", StateServing)
	if s.Generation != 3 {
		t.Errorf("generation %d, want 3", s.Generation)
	}
	retiring := 0
	for _, s := range b.List() {
		if s.State == StateRetiring && s.Name == "a" && s.Generation == 1 && s.Leases == 1 {
			retiring++
		}
	}
	if retiring != 1 {
		t.Errorf("listed are %+v, want the old generation among them", b.List())
	}
	if got := b.answer("a", 0, tokens); slices.Equal(got, want[0]) {
		t.Error("a new request is answered by the old model")
	}
	got, errs := old.finish(t)
	for i := range got {
		if errs[i] != nil || !slices.Equal(got[i], want[i][1:]) {
			t.Errorf("stream %d of the old model: %d tokens, %v; they differ from those before the swap", i, len(got[i]), errs[i])
		}
	}
	got, errs = other.finish(t)
	if errs[3] != nil || !slices.Equal(got[3], otherWant[1:]) {
		t.Errorf("another model suffered: %v", errs)
	}
	wantUse(t, b.dir, before)
}

// H14 and H15: what is done to a served file, what its streams and its name then say, and that nobody else suffers.
func TestH14H15DamageUnderLoad(t *testing.T) {
	next := modeltest.Tiny(long(2))
	for name, c := range map[string]struct {
		change func(t *testing.T, path string)
		lost   bool
		state  string   // after the next Sync
		reason []string // of it
	}{
		"truncated to nothing": {func(t *testing.T, path string) { must(t, os.Truncate(path, 0)) }, true, StateRefused, []string{"the file is empty"}},
		"truncated to half":    {func(t *testing.T, path string) { must(t, os.Truncate(path, int64(len(next)/2))) }, true, StateRefused, []string{"beyond file size"}},
		"cut by one byte":      {func(t *testing.T, path string) { must(t, os.Truncate(path, int64(len(next)-1))) }, true, StateRefused, []string{"beyond file size"}},
		"overwritten in place": {func(t *testing.T, path string) { must(t, os.WriteFile(path, next, 0o644)) }, true, StateServing, nil},
		"overwritten with text": {func(t *testing.T, path string) {
			must(t, os.WriteFile(path, bytes.Repeat([]byte("no model "), len(next)/9), 0o644))
		}, true, StateRefused, []string{"not a GGUF file"}},
		"one byte changed": {func(t *testing.T, path string) {
			f, err := os.OpenFile(path, os.O_WRONLY, 0)
			must(t, err)
			_, err = f.WriteAt([]byte{1}, int64(len(next)-100))
			must(t, errors.Join(err, f.Close()))
		}, true, StateServing, nil},
		"replaced by text": {func(t *testing.T, path string) {
			must(t, os.WriteFile(path+".x", []byte("no model"), 0o644))
			must(t, os.Rename(path+".x", path))
		}, false, StateServing, []string{"not a GGUF file"}},
		"made unreadable": {func(t *testing.T, path string) {
			must(t, os.Rename(path, path+".x"))
			must(t, os.Symlink(filepath.Dir(path), path)) // root reads whatever the mode says, so a folder stands for it
		}, false, StateServing, []string{"not a regular file"}},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t, nil)
			b.put("a", long(1))
			b.put("other", long(9))
			// A file system's clock may stand still for some milliseconds.
			must(t, os.Chtimes(b.path("a"), time.Time{}, time.Now().Add(-time.Hour)))
			b.sync()
			want := b.answer("other", 0, 300)
			streams := b.begin("a", 4, 300)
			other := b.begin("other", 1, 300)
			c.change(t, b.path("a"))
			if c.lost {
				// The look at the file tells it, or the engine that met it first.
				b.refused("a", "over the old one")
				b.want("a", StateRefused, "over the old one")
			}
			_, errs := streams.finish(t)
			if c.lost {
				wantLost(t, errs)
			} else if err := errors.Join(errs...); err != nil {
				t.Errorf("streams ended with %v", err)
			}
			b.sync()
			b.want("a", c.state, c.reason...)
			got, errs := other.finish(t)
			if errs[0] != nil || !slices.Equal(got[0], want[1:]) {
				t.Errorf("another model suffered: %v", errs)
			}
			b.answer("other", 1, 5)
			// Whatever happened, the next good file is served.
			b.put("a", long(3))
			b.sync()
			b.want("a", StateServing)
			b.answer("a", 1, 5)
			eventually(t, "the lost generation is gone", func() bool { return len(b.List()) == 2 })
		})
	}
}

// A step meets the damage before anybody looks at the file's size.
func TestH14TheEngineFindsTheDamage(t *testing.T) {
	b := newBench(t, nil)
	b.put("a", long(1))
	b.sync()
	streams := b.begin("a", 2, 1500)
	must(t, os.Truncate(b.path("a"), 4096))
	_, errs := streams.finish(t)
	wantLost(t, errs)
	eventually(t, "the model is out of service", func() bool { return b.status("a").State == StateRefused })
	b.refused("a")
}

// A model that could not be read stays out of service until its file is another one.
func TestLostModelWaitsForOtherContent(t *testing.T) {
	b := newBench(t, nil)
	b.put("a", modeltest.Spec{})
	b.sync()
	l := b.acquire("a")
	b.fail(l.Model, errors.New("input/output error"))
	l.Release()
	b.refused("a", "input/output error")
	b.sync()
	b.want("a", StateRefused, "input/output error")
	must(t, os.Chtimes(b.path("a"), time.Time{}, time.Now().Add(time.Second)))
	b.sync()
	if s := b.want("a", StateServing); s.Generation != 2 {
		t.Errorf("generation %d", s.Generation)
	}
}

func TestDeletedModelRunsToItsEnd(t *testing.T) {
	b := newBench(t, nil)
	before := inUse(t, b.dir)
	b.put("a", long(1))
	b.sync()
	want := b.answer("a", 0, 500)
	streams := b.begin("a", 2, 500)
	must(t, os.Remove(b.path("a")))
	b.sync()
	var missing *NotFoundError
	if _, err := b.Acquire("a"); !errors.As(err, &missing) {
		t.Errorf("error is %v, want a *NotFoundError", err)
	}
	b.want("a", StateRetiring)
	got, errs := streams.finish(t)
	if err := errors.Join(errs...); err != nil || !slices.Equal(got[0], want[1:]) {
		t.Errorf("streams ended with %v and %d tokens", err, len(got[0]))
	}
	eventually(t, "nothing is listed", func() bool { return len(b.List()) == 0 })
	wantUse(t, b.dir, before)
}

// damaged is a tiny model with something wrong in it.
func damaged(t *testing.T, change func(meta []gguf.KV, tensors []gguf.TensorData) ([]gguf.KV, []gguf.TensorData)) []byte {
	t.Helper()
	var b bytes.Buffer
	meta, tensors := change(modeltest.Parts(modeltest.Spec{}))
	must(t, gguf.Write(&b, meta, tensors))
	return b.Bytes()
}

func TestRefusedFilesAreListedWithTheReason(t *testing.T) {
	whole := modeltest.Tiny(modeltest.Spec{})
	nan := []byte{0, 0, 0xc0, 0x7f}
	for name, c := range map[string]struct {
		data   []byte
		reason []string
	}{
		"empty":                    {nil, []string{"the file is empty"}},
		"text":                     {[]byte("weights"), []string{"not a GGUF file"}},
		"truncated":                {whole[:len(whole)/2], []string{"beyond file size"}},
		"H16 vocabulary too small": {modeltest.Tiny(modeltest.Spec{VocabSize: 0, Set: []gguf.KV{{Key: "tokenizer.ggml.tokens", Value: []string{"a", "b"}}}}), []string{"2"}},
		"unknown architecture":     {modeltest.Tiny(modeltest.Spec{Set: []gguf.KV{{Key: "general.architecture", Value: "mamba"}}}), []string{"mamba"}},
		"unknown tokenizer":        {modeltest.Tiny(modeltest.Spec{Set: []gguf.KV{{Key: "tokenizer.ggml.model", Value: "rwkv"}}}), []string{"rwkv"}},
		"surplus tensor": {damaged(t, func(m []gguf.KV, ts []gguf.TensorData) ([]gguf.KV, []gguf.TensorData) {
			return m, append(ts, gguf.TensorData{TensorSpec: gguf.TensorSpec{Name: "blk.7.what", Dims: []uint64{4}}, Data: make([]byte, 16)})
		}), []string{"blk.7.what"}},
		"missing tensor": {damaged(t, func(m []gguf.KV, ts []gguf.TensorData) ([]gguf.KV, []gguf.TensorData) {
			return m, ts[:len(ts)-1]
		}), []string{"models:"}},
		"H18 weights that are no numbers": {damaged(t, func(m []gguf.KV, ts []gguf.TensorData) ([]gguf.KV, []gguf.TensorData) {
			for i := range ts {
				if strings.HasPrefix(ts[i].Name, "blk.1.ffn_down") {
					ts[i].Data = bytes.Repeat(nan, len(ts[i].Data)/4)
				}
			}
			return m, ts
		}), []string{`tensor "blk.1.ffn_down.weight"`, "block 0", "layer 1 of 2"}},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t, nil)
			before := inUse(t, b.dir)
			b.putBytes("a", c.data)
			b.sync()
			b.want("a", StateRefused, c.reason...)
			b.refused("a", c.reason...)
			wantUse(t, b.dir, before)
			if held, _ := b.Memory(); held != 0 {
				t.Errorf("%d bytes are held", held)
			}
			// What is refused is not tried again and again, and is when it changes.
			b.sync()
			b.put("a", modeltest.Spec{})
			b.sync()
			first := b.want("a", StateServing).Generation
			b.putBytes("a", c.data)
			b.sync()
			if s := b.want("a", StateServing, c.reason...); s.Generation != first {
				t.Errorf("generation %d, want %d", s.Generation, first)
			}
			b.answer("a", 1, 5)
		})
	}
}

func TestTemplates(t *testing.T) {
	b := newBench(t, nil)
	put := func(name string, template any) {
		b.put(name, modeltest.Spec{Set: []gguf.KV{{Key: "tokenizer.chat_template", Value: template}}})
		b.sync()
	}
	put("own", "{{ messages[0].content }}")
	if s := b.want("own", StateServing); s.Template != parts.OriginFile || s.TemplateProblem != "" {
		t.Errorf("own: status is %+v", s)
	}
	put("broken", "a\n{% if %}")
	if s := b.want("broken", StateServing); s.Template != "" || !strings.Contains(s.TemplateProblem, `"broken": line 2: expected an expression, got the end of the tag`) {
		t.Errorf("broken: status is %+v", s)
	}
	put("none", nil)
	if s := b.want("none", StateServing); s.Template != parts.OriginFallback+"chatml" || s.TemplateProblem != "" {
		t.Errorf("none: status is %+v", s)
	}
	b.sync(func(s *Source) { s.Settings.Template = "{% if %}" })
	b.want("none", StateServing, "template")
	b.sync(func(s *Source) { s.Settings.Template = "chatm" })
	b.want("none", StateServing, "unknown template", "chatml")
	for _, own := range []string{"{{ messages[0].content }}", "chatml", "gemma"} {
		b.sync(func(s *Source) { s.Settings.Template = own })
		if s := b.want("none", StateServing); s.Template != parts.OriginSettings {
			t.Errorf("the template %q is not used: %+v", own, s)
		}
	}
}

func TestSourcesThatCannotBeLookedAt(t *testing.T) {
	b := newBench(t, nil)
	gone := Source{Name: "gone", Paths: []string{filepath.Join(b.dir, "gone.gguf")}}
	loop := filepath.Join(b.dir, "loop.gguf")
	must(t, os.Symlink(loop, loop))
	b.Sync(t.Context(), []Source{gone, {Name: "loop", Paths: []string{loop}}})
	b.want("gone", StateRefused, "no such file")
	b.want("loop", StateRefused, "symbolic links")
	must(t, os.WriteFile(gone.Paths[0], modeltest.Tiny(modeltest.Spec{}), 0o644))
	b.Sync(t.Context(), []Source{gone})
	b.want("gone", StateServing)
	if n := len(b.List()); n != 1 {
		t.Errorf("%d names are listed", n)
	}
}
