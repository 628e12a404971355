package repository

import (
	"sync/atomic"
	"time"

	"github.com/weft-run/weft/kernels"
	"github.com/weft-run/weft/runtime/chat"
	"github.com/weft-run/weft/runtime/engine"
	"github.com/weft-run/weft/runtime/gguf"
	"github.com/weft-run/weft/runtime/models"
	"github.com/weft-run/weft/runtime/tokenizer"
)

// Model is one generation of a model. What is exported does not change once a lease gives it out.
type Model struct {
	Name       string
	Generation uint64 // of all models of the process; a higher one came later
	Config     models.Config
	Network    models.Model // not to be computed with after the lease's Release
	Tokenizer  *tokenizer.Tokenizer
	// CallsItself are the names that the file has for what is in it.
	CallsItself []string
	// Template is the chat template and TemplateOrigin says where it comes from. The template is nil where the file's own cannot be
	// used; TemplateProblem says why.
	Template        *chat.Template
	TemplateOrigin  string
	TemplateProblem string
	Engine          *engine.Engine
	Settings        Settings          // with the defaults filled in
	ContextLen      int               // tokens of one sequence, as served
	CacheType       kernels.CacheType // as served
	HeaderDigest    string
	Quantization    string // the tensor type that most weights have
	Parameters      int64
	Files           []string
	Bytes           int64 // of all files
	Memory          int64 // reserved in the budget: weights, cache and workspace
	Builtin         bool
	Arrived         time.Time // when the content was there
	Wanted          time.Time // the same, or when somebody had it loaded again
	Served          time.Time // when it had given its first token

	key    string // of content and settings
	file   *gguf.File
	digest atomic.Pointer[string]
	damage atomic.Pointer[error] // what the check of the weights found
	sound  atomic.Bool           // the check of the weights found nothing

	suspected atomic.Bool // it gave a value that is no number

	gone chan struct{} // closed when all of it has been given back

	inspected bool // the inspector may read the file; guarded by inspector.mu

	// Guarded by Repository.mu.
	came    time.Time // into service
	leases  int
	retired bool
	buried  bool  // handed to the reaper
	resting bool  // retired because it was unloaded: the name wants it back
	lost    error // why the weights are gone
}

// Digest is the sha256 of the file, in hex, once it is known. Of a split set it is the sha256 over the digests, in hex, of
// its files.
func (m *Model) Digest() (digest string, known bool) {
	if d := m.digest.Load(); d != nil {
		return *d, true
	}
	return "", false
}

// intact says whether the weights may be computed with: that no block of them was found damaged, and that the file is still the
// one that was mapped. It is asked after every step.
func (m *Model) intact() error {
	if damage := m.damage.Load(); damage != nil {
		return *damage
	}
	return m.file.Changed()
}

// free closes the engine, which waits for the step that runs and gives back the backend, and then unmaps the weights, in pieces
// behind each of which it calls rest.
func (m *Model) free(rest func(took time.Duration)) {
	if m.Engine != nil {
		m.Engine.Close()
	}
	m.file.GiveBack(rest)
	// Closing a file that was only read has nothing to report.
	_ = m.file.Close()
}

// Lease holds a generation: it stays loaded until Release, whatever happens to its name.
type Lease struct {
	*Model
	r        *Repository
	released atomic.Bool
}

// Release gives the lease back, once. Streams of the model must have ended or been cancelled.
func (l *Lease) Release() {
	if l.released.Swap(true) {
		panic("BUG: repository: lease released twice")
	}
	l.r.release(l.Model)
}
