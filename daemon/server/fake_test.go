package server

import (
	"cmp"
	"context"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/weft-run/weft/adapters"
	"github.com/weft-run/weft/daemon/api"
	"github.com/weft-run/weft/daemon/server/door"
	"github.com/weft-run/weft/runtime/chat"
	"github.com/weft-run/weft/runtime/engine"
	"github.com/weft-run/weft/runtime/gguf"
	"github.com/weft-run/weft/runtime/repository"
	"github.com/weft-run/weft/runtime/sampler"
	"github.com/weft-run/weft/runtime/tokenizer"
)

// testTemplate writes each message as "role: content" on a line of its own.
const testTemplate = `{% for m in messages %}{% if m.role == 'boom' %}{{ raise_exception('roles must alternate') }}{% endif %}` +
	"{{ m.role }}: {{ m.content }}\n{% endfor %}{% if add_generation_prompt %}assistant:{% endif %}"

// builtinTokenizer reads the vocabulary of the built-in model.
func builtinTokenizer(t testing.TB) *tokenizer.Tokenizer {
	t.Helper()
	f, err := gguf.Open(filepath.Join("..", "builtin", "stories260K-f32.gguf"), gguf.DefaultLimits())
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	tok, err := tokenizer.New(f.Meta())
	if err != nil {
		t.Fatal(err)
	}
	return tok
}

// fakeModels stands for the repository: models by name, each with an engine that says always the same.
type fakeModels struct {
	tok     *tokenizer.Tokenizer
	engines map[string]*fakeEngine
	refused map[string]*repository.RefusedError
	errs    map[string]error // of Acquire, by name
	context int              // tokens that each model holds; 0: 64

	mu sync.Mutex
	// Under mu.
	leases  int
	actions []string
	pinned  bool
}

func newFakeModels(t testing.TB, engines map[string]*fakeEngine) *fakeModels {
	t.Helper()
	tok := builtinTokenizer(t)
	for _, e := range engines {
		e.tok = tok
	}
	return &fakeModels{tok: tok, engines: engines}
}

func (f *fakeModels) Acquire(_ context.Context, w Wanted) (*Model, error) {
	name := w.Model
	if r, ok := f.refused[name]; ok {
		return nil, r
	}
	if err := f.errs[name]; err != nil {
		return nil, err
	}
	name, adapter, adapted := strings.Cut(name, "+")
	e, ok := f.engines[name]
	if !ok {
		return nil, &repository.NotFoundError{Name: name, Near: []string{"lily"}}
	}
	m := &Model{
		Base:          api.Base{Name: name, Digest: "pending", HeaderDigest: "sha256:0123456789abcdef", Generation: 7},
		ContextLength: cmp.Or(f.context, 64), Tokenizer: f.tok, Engine: e, Sampling: e.defaults, Release: f.release,
		Digest: func(context.Context) string { return api.DigestPending }, KVType: "f16",
	}
	if adapted {
		m.Adapters = []api.Adapter{{Name: adapter, Digest: "sha256:abc", Scale: 0.5, Generation: 3}}
	}
	var err error
	switch {
	case e.template == "chatml":
		m.TemplateNote = "fallback chatml"
		m.Template, err = chat.Fallback(chat.ChatML, chat.Options{Name: name})
	case e.template != "":
		if m.Template, err = chat.New(e.template, chat.Options{Name: name}); err != nil {
			m.NoTemplate, err = err.Error(), nil
		}
	default:
		m.Template, err = chat.New(testTemplate, chat.Options{Name: name})
	}
	if err != nil {
		return nil, err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.leases++
	return m, nil
}

func (f *fakeModels) release() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.leases--
}

func (f *fakeModels) held() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.leases
}

// List shows two of the models, so that answers stay short.
func (f *fakeModels) List() []api.ModelStatus {
	served := time.Unix(1700000000, 0).UTC()
	return []api.ModelStatus{
		{Name: "aaa", State: api.StateRefused, Reason: "it is no model"},
		{Name: "lily", Aliases: []string{"flower"}, State: api.StateServing, Generation: 7, Served: &served, Context: 64, Resident: 1 << 20, Running: 1, Queued: 2, Preempted: 3},
		{Name: "lily", State: api.StateRetiring, Generation: 6, Served: &served, Context: 64, Resident: 1 << 19, Running: 1, Preempted: 2},
	}
}

// Status and Act take the name for that of the first model listed under it.
func (f *fakeModels) Status(name string) (api.ModelStatus, error) {
	for _, m := range f.List() {
		if m.Name == name {
			f.mu.Lock()
			defer f.mu.Unlock()
			m.Pinned = f.pinned
			return m, nil
		}
	}
	return api.ModelStatus{}, &repository.NotFoundError{Name: name, Near: []string{"lily"}}
}

func (f *fakeModels) Act(_ context.Context, name, action string) error {
	if _, err := f.Status(name); err != nil {
		return err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.actions = append(f.actions, action)
	f.pinned = action == api.ActionPin
	return nil
}

// fakeEngine answers every request with one text.
type fakeEngine struct {
	tok      *tokenizer.Tokenizer
	text     string
	finish   string
	fail     error         // ends the stream behind the text
	refuse   error         // of Submit
	endless  bool          // after the text the stream waits for ever
	places   int           // streams at once; more are refused as a full queue would; 0: any number
	slow     chan struct{} // when not nil, a token comes for each message
	panics   bool
	template string // "": testTemplate; "chatml": it has none of its own
	defaults map[string]float64

	mu       sync.Mutex
	running  int              // under mu
	requests []engine.Request // under mu
}

func (e *fakeEngine) Submit(r engine.Request) (Stream, error) {
	if e.panics {
		panic("the engine is a fake")
	}
	if e.refuse != nil {
		return nil, e.refuse
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.places > 0 && e.running >= e.places {
		return nil, &engine.QueueFullError{Queue: e.running, RetryAfter: 1500 * time.Millisecond}
	}
	e.running++
	e.requests = append(e.requests, r)
	ids := e.tok.Encode(e.text, tokenizer.EncodeOptions{})
	if e.finish == engine.FinishStop {
		eos, _ := e.tok.EOS()
		ids = append(ids, eos)
	}
	finish := e.finish
	if r.PromptOnly {
		ids, finish = nil, engine.FinishLength
	} else if r.MaxTokens > 0 && len(ids) > r.MaxTokens {
		ids, finish = ids[:r.MaxTokens], engine.FinishLength
	}
	return &fakeStream{e: e, request: r, ids: ids, finish: finish, done: make(chan struct{})}, nil
}

func (e *fakeEngine) busy() int {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.running
}

type fakeStream struct {
	e       *fakeEngine
	request engine.Request
	ids     []int32
	finish  string
	at      int

	once sync.Once
	done chan struct{} // closed by Cancel
}

// fakeLogprob gives the n-th token, counted from 0, a probability that a reader can check.
func fakeLogprob(n int) float64 { return -0.25 * float64(n+1) }

func (s *fakeStream) top(id int32, n int) []sampler.Logprob {
	var top []sampler.Logprob
	for i := range s.request.Sampling.TopLogprobs {
		top = append(top, sampler.Logprob{ID: id + int32(i), Logprob: fakeLogprob(n) - float64(i)})
	}
	return top
}

func (s *fakeStream) Next(ctx context.Context) (sampler.Token, error) {
	if s.e.slow != nil {
		select {
		case <-s.e.slow:
		case <-ctx.Done():
			return sampler.Token{}, ctx.Err()
		}
	}
	if s.at == len(s.ids) {
		if s.e.endless {
			<-ctx.Done()
			return sampler.Token{}, ctx.Err()
		}
		if s.e.fail != nil {
			return sampler.Token{}, s.e.fail
		}
		return sampler.Token{}, io.EOF
	}
	id := s.ids[s.at]
	token := sampler.Token{ID: id}
	if s.request.Sampling.TopLogprobs >= 0 {
		token.Logprob, token.Top = fakeLogprob(s.at), s.top(id, s.at)
	}
	s.at++
	return token, nil
}

func (s *fakeStream) Prompt(context.Context) ([]engine.PromptToken, error) {
	var out []engine.PromptToken
	for i, id := range s.request.Prompt {
		p := engine.PromptToken{ID: id}
		if i > 0 {
			p.Logprob, p.Top = fakeLogprob(i), s.top(id, i)
		}
		out = append(out, p)
	}
	return out, nil
}

func (s *fakeStream) Result() engine.Result {
	return engine.Result{FinishReason: s.finish, PromptTokens: len(s.request.Prompt), CompletionTokens: s.at, Queued: time.Millisecond}
}

func (s *fakeStream) Cancel() {
	s.once.Do(func() {
		close(s.done)
		s.e.mu.Lock()
		defer s.e.mu.Unlock()
		s.e.running--
	})
}

// fakeStore keeps uploads in memory.
type fakeStore struct {
	mu    sync.Mutex
	files map[string]string
}

func (f *fakeStore) Put(_ context.Context, name string, r io.Reader, size int64) (api.Stored, error) {
	b, err := io.ReadAll(r)
	if err != nil {
		return api.Stored{}, err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.files[name] = string(b)
	return api.Stored{Name: name, Bytes: int64(len(b)), SHA256: "00"}, nil
}

func (f *fakeStore) Delete(_ context.Context, name string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if _, ok := f.files[name]; !ok {
		return os.ErrNotExist
	}
	delete(f.files, name)
	return nil
}

// testOptions are those of a quiet server on fakes, whose caller is taken for this process itself.
func testOptions(models Models) Options {
	return Options{
		Models: models, Metrics: NewMetrics("v0"), Log: slog.New(slog.DiscardHandler), Version: "v0", Numerics: "1", UID: os.Geteuid(),
		Store: &fakeStore{files: map[string]string{}}, StallTimeout: 10 * time.Second,
	}
}

// onSocket is the context of a request that came over the Unix socket.
func onSocket(ctx context.Context) context.Context {
	return door.WithCaller(ctx, door.Caller{Network: "unix", UID: os.Geteuid(), GID: os.Getegid(), PID: os.Getpid()})
}

// eventually waits until ok holds.
func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	deadline := time.After(time.Minute)
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for !ok() {
		select {
		case <-deadline:
			t.Fatalf("waited in vain: %s", what)
		case <-tick.C:
		}
	}
}

// fakeAdapters are adapters that nothing computes with.
type fakeAdapters struct {
	acts []string
}

func (f *fakeAdapters) List() []api.AdapterStatus {
	return []api.AdapterStatus{
		{Name: "style", State: api.StatePublished, Generation: 3, Bases: []api.AdapterBase{{Name: "lily", Generation: 7}}},
		{ID: 1, Name: "tone", State: api.StateRefused, Reason: "it changes nothing"},
	}
}

func (f *fakeAdapters) Memory() (resident, budget int64) { return 1 << 10, 1 << 20 }

func (f *fakeAdapters) Status(name string) (api.AdapterStatus, error) {
	for _, st := range f.List() {
		if st.Name == name {
			return st, nil
		}
	}
	return api.AdapterStatus{}, &adapters.NotFoundError{Name: name, Near: []string{"style"}}
}

func (f *fakeAdapters) Act(_ context.Context, name, action string) error {
	f.acts = append(f.acts, action+" "+name)
	_, err := f.Status(name)
	return err
}

// fakeAdapterStore keeps what was put into it.
type fakeAdapterStore struct {
	generation uint64
}

func (f *fakeAdapterStore) Put(_ context.Context, name string, r io.Reader, _ int64, expect uint64) (api.Stored, error) {
	n, err := io.Copy(io.Discard, r)
	if expect != 0 && expect != f.generation {
		return api.Stored{}, &adapters.StaleError{Name: name, Want: expect, Have: f.generation}
	}
	return api.Stored{Name: name, Bytes: n, SHA256: "abc"}, err
}

func (f *fakeAdapterStore) Delete(_ context.Context, name string) error {
	if name != "style" {
		return os.ErrNotExist
	}
	return nil
}
