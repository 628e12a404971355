package repository

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/weft-run/weft/kernels/cpu"
	"github.com/weft-run/weft/runtime/engine"
	"github.com/weft-run/weft/runtime/modeltest"
	"github.com/weft-run/weft/runtime/sampler"
	"github.com/weft-run/weft/runtime/tokenizer"
)

// bench is a repository on a folder of its own.
type bench struct {
	*Repository
	t   *testing.T
	dir string
}

func newBench(t *testing.T, change func(*Options)) *bench {
	t.Helper()
	device, err := cpu.NewDevice(cpu.Options{Threads: 2})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(device.Close)
	o := Options{OpenBackend: device.OpenFor, Defaults: Settings{Parallel: 4}, StepTokens: 64, PageTokens: 16}
	if change != nil {
		change(&o)
	}
	b := &bench{Repository: New(o), t: t, dir: t.TempDir()}
	t.Cleanup(b.Close)
	return b
}

// Sync tells the repository what there is and waits until it is in service or refused.
func (b *bench) Sync(ctx context.Context, sources []Source) {
	b.Repository.Sync(sources)
	b.Wait(ctx)
}

// path is where a model of the folder lies.
func (b *bench) path(name string) string { return filepath.Join(b.dir, name+".gguf") }

// put makes a tiny model appear by rename.
func (b *bench) put(name string, s modeltest.Spec) {
	b.t.Helper()
	b.putBytes(name, modeltest.Tiny(s))
}

func (b *bench) putBytes(name string, data []byte) {
	b.t.Helper()
	hidden := filepath.Join(b.dir, "."+name)
	must(b.t, os.WriteFile(hidden, data, 0o644))
	must(b.t, os.Rename(hidden, b.path(name)))
}

// sync tells the repository what is in the folder, all of it settled; change may say otherwise.
func (b *bench) sync(change ...func(*Source)) {
	b.t.Helper()
	b.Sync(b.t.Context(), b.sources(change...))
}

// sources lists what is in the folder.
func (b *bench) sources(change ...func(*Source)) (sources []Source) {
	b.t.Helper()
	paths, err := filepath.Glob(filepath.Join(b.dir, "*.gguf"))
	must(b.t, err)
	for _, p := range paths {
		s := Source{Name: strings.TrimSuffix(filepath.Base(p), ".gguf"), Paths: []string{p}}
		for _, c := range change {
			c(&s)
		}
		sources = append(sources, s)
	}
	return sources
}

// status finds the newest entry of a name.
func (b *bench) status(name string) Status {
	b.t.Helper()
	for _, s := range b.List() {
		if s.Name == name {
			return s
		}
	}
	b.t.Fatalf("%q is not listed", name)
	return Status{}
}

// want checks state and reason.
func (b *bench) want(name, state string, reason ...string) Status {
	b.t.Helper()
	s := b.status(name)
	if s.State != state {
		b.t.Errorf("%s is %s (%s), want %s", name, s.State, s.Reason, state)
	}
	if len(reason) == 0 && s.Reason != "" {
		b.t.Errorf("%s is %s, and has the reason %q", name, s.State, s.Reason)
	}
	for _, r := range reason {
		if !strings.Contains(s.Reason, r) {
			b.t.Errorf("%s: reason %q does not say %q", name, s.Reason, r)
		}
	}
	return s
}

func (b *bench) acquire(name string) *Lease {
	b.t.Helper()
	l, err := b.Acquire(name)
	if err != nil {
		b.t.Fatal(err)
	}
	return l
}

func (b *bench) refused(name string, says ...string) {
	b.t.Helper()
	l, err := b.Acquire(name)
	var refused *RefusedError
	if !errors.As(err, &refused) {
		if err == nil {
			l.Release()
		}
		b.t.Fatalf("error is %v, want a *RefusedError", err)
	}
	for _, s := range says {
		if !strings.Contains(err.Error(), s) {
			b.t.Errorf("message %q does not say %q", err, s)
		}
	}
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// submit starts n tokens from a prompt that seed chooses.
func submit(t testing.TB, l *Lease, seed uint64, n int) *engine.Stream {
	t.Helper()
	s, err := l.Engine.Submit(request(seed, n))
	must(t, err)
	return s
}

func request(seed uint64, n int) engine.Request {
	p := sampler.Default()
	p.Seed = seed
	return engine.Request{Prompt: []int32{3, int32(4 + seed%16), 5}, MaxTokens: n, Sampling: p, IgnoreEOS: true}
}

// drain reads a stream to its end.
func drain(t testing.TB, s *engine.Stream) (tokens []int32, err error) {
	t.Helper()
	ctx, stop := context.WithTimeout(context.Background(), time.Minute)
	defer stop()
	for {
		token, err := s.Next(ctx)
		if errors.Is(err, io.EOF) {
			return tokens, nil
		}
		if err != nil {
			return tokens, err
		}
		tokens = append(tokens, token.ID)
	}
}

// answer is what a model in service says alone.
func (b *bench) answer(name string, seed uint64, n int) []int32 {
	b.t.Helper()
	l := b.acquire(name)
	defer l.Release()
	tokens, err := drain(b.t, submit(b.t, l, seed, n))
	must(b.t, err)
	if len(tokens) != n {
		b.t.Fatalf("%d tokens, want %d", len(tokens), n)
	}
	return tokens
}

// eventually waits for what happens in the background.
func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	deadline := time.NewTimer(time.Minute)
	defer deadline.Stop()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for !ok() {
		select {
		case <-deadline.C:
			t.Fatalf("did not come true: %s", what)
		case <-tick.C:
		}
	}
}

// use is what a process holds.
type use struct{ files, mappings, goroutines int }

func inUse(t testing.TB, dir string) use {
	t.Helper()
	fds, err := os.ReadDir("/proc/self/fd")
	must(t, err)
	maps, err := os.ReadFile("/proc/self/maps")
	must(t, err)
	return use{len(fds), strings.Count(string(maps), dir) + strings.Count(string(maps), "memfd:"), runtime.NumGoroutine()}
}

// wantUse waits until the process holds no more than before.
func wantUse(t testing.TB, dir string, before use) {
	t.Helper()
	eventually(t, fmt.Sprintf("use is what it was, %+v", before), func() bool {
		now := inUse(t, dir)
		return now.files <= before.files && now.mappings <= before.mappings && now.goroutines <= before.goroutines
	})
}

func TestAModelComesIntoService(t *testing.T) {
	b := newBench(t, nil)
	b.put("a", modeltest.Spec{Seed: 1})
	b.sync()
	s := b.want("a", StateServing)
	if s.Generation != 1 || s.Architecture != "llama" || s.ContextLen != 256 || s.Parameters == 0 || s.Quantization != "F32" ||
		s.HeaderDigest == "" || s.Bytes == 0 || s.Memory <= s.Bytes || s.Template == "" || s.CacheType != "f16" || len(s.Files) != 1 {
		t.Errorf("status is %+v", s)
	}
	if s.Arrived.IsZero() || s.Served.Before(s.Arrived) {
		t.Errorf("arrived %v, served %v", s.Arrived, s.Served)
	}
	l := b.acquire("a")
	if l.Generation != 1 || l.Tokenizer == nil || l.Template == nil || l.Name != "a" {
		t.Errorf("lease is %+v", l.Model)
	}
	if n := b.status("a").Leases; n != 1 {
		t.Errorf("%d leases, want 1", n)
	}
	l.Release()
	b.answer("a", 1, 20)
	b.sync()
	if s := b.want("a", StateServing); s.Generation != 1 {
		t.Errorf("nothing changed, and it is generation %d", s.Generation)
	}
}

func TestTheBuiltInModelIsServedFromMemory(t *testing.T) {
	data, err := os.ReadFile("../../daemon/builtin/stories260K-f32.gguf")
	must(t, err)
	b := newBench(t, nil)
	before := inUse(t, b.dir)
	b.Sync(t.Context(), []Source{{Name: "stories260K", Builtin: data}})
	s := b.want("stories260K", StateServing)
	if !s.Builtin || len(s.Files) != 0 || s.Bytes != int64(len(data)) {
		t.Errorf("status is %+v", s)
	}
	l := b.acquire("stories260K")
	prompt := l.Tokenizer.Encode("Once upon a time", tokenizer.EncodeOptions{AddSpecial: true})
	p := sampler.Default()
	p.Temperature = 0
	stream, err := l.Engine.Submit(engine.Request{Prompt: prompt, MaxTokens: 12, Sampling: p})
	must(t, err)
	tokens, err := drain(t, stream)
	must(t, err)
	if text := string(l.Tokenizer.Decode(tokens)); !strings.Contains(text, ", there was a little girl named Lily") {
		t.Errorf("it goes on with %q", text)
	}
	l.Release()
	b.Sync(t.Context(), nil)
	wantUse(t, b.dir, before)
}

func TestNames(t *testing.T) {
	b := newBench(t, nil)
	for _, name := range []string{"llama-small", "llama-large", "qwen"} {
		b.put(name, modeltest.Spec{})
	}
	b.sync(func(s *Source) {
		switch s.Name {
		case "llama-small":
			s.Settings.Aliases = []string{"llama", "qwen", "first"}
		case "qwen":
			s.Settings.Aliases = []string{"first", "q"}
		}
	})
	for name, want := range map[string]string{"llama": "llama-small", "qwen": "qwen", "first": "llama-small", "q": "qwen", "llama-large": "llama-large"} {
		l := b.acquire(name)
		if l.Name != want {
			t.Errorf("%q is %q, want %q", name, l.Name, want)
		}
		l.Release()
	}
	if got := fmt.Sprint(b.status("llama-small").Aliases, b.status("qwen").Aliases); got != "[llama first] [q]" {
		t.Errorf("aliases are %s", got)
	}
	for name, want := range map[string]string{
		"llama-smal": "[llama-small", "QWEN": "[qwen]", "qwem": "[qwen", "small": "[llama-small]",
		// Nothing looks like these: what there is.
		"": "[q qwen first]", "../../etc/passwd": "[q qwen first]", strings.Repeat("x", 1<<20): "[q qwen first]",
	} {
		_, err := b.Acquire(name)
		var missing *NotFoundError
		if !errors.As(err, &missing) || !strings.HasPrefix(fmt.Sprint(missing.Near), want) {
			t.Errorf("%.20q: error is %.200v, want near names %s", name, err, want)
		}
	}
}

func TestSettingsAreOfAGeneration(t *testing.T) {
	b := newBench(t, func(o *Options) { o.Defaults.Sampling = map[string]float64{"temperature": 0.5, "top_p": 0.9} })
	b.put("a", modeltest.Spec{})
	b.sync()
	first := b.acquire("a")
	defer first.Release()
	b.sync(func(s *Source) {
		s.Settings = Settings{ContextLen: 100, Parallel: 2, CacheType: "f32", Sampling: map[string]float64{"temperature": 0}}
	})
	second := b.acquire("a")
	defer second.Release()
	if first.Generation != 1 || second.Generation != 2 || first.ContextLen != 256 || second.ContextLen != 100 {
		t.Errorf("generations %d and %d, contexts %d and %d", first.Generation, second.Generation, first.ContextLen, second.ContextLen)
	}
	if got := fmt.Sprint(first.Settings.Sampling, second.Settings.Sampling); got != "map[temperature:0.5 top_p:0.9] map[temperature:0 top_p:0.9]" {
		t.Errorf("sampling is %s", got)
	}
	if s := b.status("a"); s.CacheType != "f32" {
		t.Errorf("cache is %s", s.CacheType)
	}
	b.sync(func(s *Source) { s.Settings = Settings{CacheType: "q8_0"} })
	if s := b.want("a", StateServing); s.CacheType != "f16" {
		t.Errorf("a cache of %s for heads of 16", s.CacheType)
	}
	b.put("wide", modeltest.Spec{HeadDim: 32})
	b.sync(func(s *Source) { s.Settings = Settings{CacheType: "q4_0"} })
	if s := b.want("wide", StateServing); s.CacheType != "q4_0" {
		t.Errorf("a cache of %s for heads of 32", s.CacheType)
	}
	b.sync(func(s *Source) { s.Settings = Settings{CacheType: "q9"} })
	b.want("a", StateServing, `kv_type is "q9"`)
	b.sync(func(s *Source) { s.Settings = Settings{ContextLen: 1 << 20} })
	if s := b.want("a", StateServing); s.ContextLen != 256 {
		t.Errorf("a context beyond the model's own is %d", s.ContextLen)
	}
}

// TestSlowCheckHoldsNobodyUp: while one model cannot be read on, others are checked, told of and served, in line, and another Sync
// does not wait either.
func TestSlowCheckHoldsNobodyUp(t *testing.T) {
	stuck := make(chan struct{})
	b := newBench(t, func(o *Options) {
		o.Observer = func(model string) engine.Observer {
			if model == "a" {
				<-stuck
			}
			return nil
		}
	})
	b.put("a", modeltest.Spec{Layers: 1})
	b.put("b", modeltest.Spec{})
	b.put("c", modeltest.Spec{Layers: 3})
	all := []Source{{Name: "a", Paths: []string{b.path("a")}}, {Name: "b", Paths: []string{b.path("b")}}, {Name: "c", Paths: []string{b.path("c")}}}
	b.Repository.Sync(append(all, Source{Name: "d", Missing: "1 of 2 files are there"}))
	b.want("d", StateSeen, "1 of 2")
	b.refused("b", "turn")
	eventually(t, "the others are served", func() bool {
		return b.status("b").State == StateServing && b.status("c").State == StateServing
	})
	b.want("a", StateChecking, "it is being checked")
	b.Repository.Sync(all[:1])
	eventually(t, "the others are gone", func() bool { return len(b.List()) == 1 })
	b.put("b", modeltest.Spec{Seed: 2})
	b.Repository.Sync(all[:2])
	eventually(t, "b is back", func() bool { return b.status("b").State == StateServing })
	// Its name is gone and there again before the check is done: what was checked is not what lies there.
	b.Repository.Sync(nil)
	b.put("a", modeltest.Spec{Layers: 1, Seed: 2})
	b.Repository.Sync(all[:1])
	close(stuck)
	b.Wait(t.Context())
	if l := b.acquire("a"); l.HeaderDigest == "" || l.Generation != 4 {
		t.Errorf("a is generation %d", l.Generation)
	} else {
		l.Release()
	}
}

func TestWhatIsNotReadyIsNotLoaded(t *testing.T) {
	b := newBench(t, nil)
	b.put("a", modeltest.Spec{})
	waiting := func(s *Source) { s.Waiting = "its size changed 0.1 s ago" }
	b.sync(waiting)
	b.want("a", StateSettling, "0.1 s ago")
	b.refused("a", "0.1 s ago")
	b.sync(func(s *Source) { s.Problem = "the folder holds 2 models" })
	b.want("a", StateRefused, "2 models")
	b.sync()
	b.want("a", StateServing)
	// What comes after leaves what is in service alone.
	b.put("a", modeltest.Spec{Seed: 2})
	b.sync(waiting)
	if s := b.want("a", StateServing, "0.1 s ago"); s.Generation != 1 {
		t.Errorf("generation %d", s.Generation)
	}
	b.sync()
	if s := b.want("a", StateServing); s.Generation != 2 {
		t.Errorf("generation %d", s.Generation)
	}
}

func TestSplitSetIsServed(t *testing.T) {
	b := newBench(t, nil)
	paths := modeltest.WriteTinySplit(t, modeltest.Spec{Seed: 4}, 3)
	b.Sync(t.Context(), []Source{{Name: "big", Paths: paths}})
	if s := b.want("big", StateServing); len(s.Files) != 3 {
		t.Errorf("files are %q", s.Files)
	}
	whole := b.answer("big", 5, 20)
	b.put("one", modeltest.Spec{Seed: 4})
	b.sync()
	if got := b.answer("one", 5, 20); fmt.Sprint(got) != fmt.Sprint(whole) {
		t.Error("a split set and the whole model differ")
	}
}

func TestClosedRepository(t *testing.T) {
	b := newBench(t, nil)
	before := inUse(t, b.dir)
	b.put("a", modeltest.Spec{Context: 4096})
	b.put("b", modeltest.Spec{})
	b.sync()
	l := b.acquire("a")
	s := submit(t, l, 1, 3000)
	b.Close()
	if _, err := drain(t, s); !errors.Is(err, engine.ErrClosed) {
		t.Errorf("stream ended with %v, want %v", err, engine.ErrClosed)
	}
	if _, err := b.Acquire("a"); !errors.Is(err, ErrClosed) {
		t.Errorf("error is %v, want %v", err, ErrClosed)
	}
	b.sync()
	if len(b.List()) != 1 {
		t.Errorf("listed are %+v", b.List())
	}
	l.Release()
	before.goroutines -= 2 // the repository's own
	wantUse(t, b.dir, before)
	if len(b.List()) != 0 {
		t.Errorf("listed are %+v", b.List())
	}
	if held, _ := b.Memory(); held != 0 {
		t.Errorf("%d bytes are held", held)
	}
	b.Close()
}

func TestLeaseReleasedTwiceIsABug(t *testing.T) {
	b := newBench(t, nil)
	b.put("a", modeltest.Spec{})
	b.sync()
	l := b.acquire("a")
	l.Release()
	defer func() {
		if r := recover(); r == nil || !strings.HasPrefix(fmt.Sprint(r), "BUG: ") {
			t.Errorf("recovered %v", r)
		}
	}()
	l.Release()
}

// TestTroubleOfTheSystemIsNoVerdict: what the system could not open or read says nothing of the content, which is tried again after a while though
// nothing has told of a change.
func TestTroubleOfTheSystemIsNoVerdict(t *testing.T) {
	clock := newClock()
	b := newBench(t, nil)
	b.now = clock.Now
	socket, err := net.Listen("unix", b.path("m")) // it has a size and times, and cannot be opened
	must(t, err)
	defer socket.Close()
	b.sync()
	b.want("m", StateRefused, "no such device or address")
	b.put("m", modeltest.Spec{})
	signal(b.wanted)
	if next, due := b.nextRetry(); next != troubleRest || due {
		t.Errorf("the next try is in %v, now: %v", next, due)
	}
	clock.Add(troubleRest)
	signal(b.wanted)
	eventually(t, "it is in service", func() bool { return b.status("m").State == StateServing })
	if next, due := b.nextRetry(); next != 0 || due {
		t.Errorf("then the next try is in %v, now: %v", next, due)
	}
	b.putBytes("m", []byte("junk"))
	b.sync()
	if next, due := b.nextRetry(); next != 0 || due {
		t.Errorf("bad content is tried again in %v, now: %v", next, due)
	}
}
