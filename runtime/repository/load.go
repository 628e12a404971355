package repository

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/weft-run/weft/kernels"
	"github.com/weft-run/weft/runtime/engine"
	"github.com/weft-run/weft/runtime/gguf"
	"github.com/weft-run/weft/runtime/models"
	"github.com/weft-run/weft/runtime/parts"
)

// load makes a generation of what lies there, up to its first token. replaced is the generation that it would replace,
// or nil. On success its memory is reserved; on failure nothing is left of it.
func (r *Repository) load(ctx context.Context, e *entry, l *look, replaced *Model) (*Model, error) {
	src := l.source
	m := &Model{
		Name: src.Name, key: l.key, Builtin: src.Builtin != nil, Settings: src.Settings.or(r.o.Defaults), gone: make(chan struct{}),
	}
	r.remember(e, m)
	var err error
	if m.file, err = r.open(src); err != nil {
		return nil, err
	}
	if err := r.bringUp(ctx, e, m, replaced); err != nil {
		r.discard(ctx, m)
		return nil, err
	}
	m.Served = time.Now()
	return m, nil
}

// bringUp does all of load that follows opening.
func (r *Repository) bringUp(ctx context.Context, e *entry, m, replaced *Model) error {
	arch, err := r.read(m)
	if err != nil {
		return err
	}
	if err := r.run(ctx, e, m, arch, replaced); err != nil {
		return err
	}
	if err := firstToken(ctx, m); err != nil {
		return r.explain(ctx, m, err)
	}
	// A file that was written while it was read may have been read half and half.
	return m.file.Changed()
}

// explainPatience is how long a refusal may wait for its reason to become more exact.
const explainPatience = 2 * time.Second

// explain names the block that made a model's first token no number, where it is found in time.
func (r *Repository) explain(ctx context.Context, m *Model, err error) error {
	if overflow := (*engine.NonFiniteError)(nil); !errors.As(err, &overflow) {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, explainPatience)
	defer cancel()
	if _, damage := r.inspector.read(ctx, m, noRests); errors.Is(damage, gguf.ErrDamaged) {
		return fmt.Errorf("%w (%w)", damage, err)
	}
	return err
}

// discard gives back all that a generation has which never was in service.
func (r *Repository) discard(ctx context.Context, m *Model) {
	r.giveBack(ctx, m, true)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.held -= m.Memory
}

// open maps the files, or the built-in bytes.
func (r *Repository) open(src *Source) (*gguf.File, error) {
	if src.Builtin == nil {
		return gguf.Open(src.Paths[0], r.o.Limits)
	}
	f, err := memoryFile(src.Name, src.Builtin)
	if err != nil {
		return nil, err
	}
	return gguf.OpenFile(f, r.o.Limits)
}

// read makes everything that comes from the file and needs no engine.
func (r *Repository) read(m *Model) (models.Model, error) {
	f := m.file
	p, err := parts.Read(f, parts.Options{Name: m.Name, Template: m.Settings.Template})
	if err != nil {
		return nil, err
	}
	m.Config, m.Network, m.CallsItself = p.Model.Config(), p.Model, callsItself(f.Meta())
	m.Tokenizer, m.Template, m.TemplateProblem = p.Tokenizer, p.Template, p.TemplateProblem
	m.TemplateOrigin = p.TemplateOrigin
	m.Files, m.Bytes, m.HeaderDigest = f.Files(), f.Size(), f.Identity().HeaderDigest
	if m.Builtin {
		m.Files = nil
	}
	m.Quantization, m.Parameters = weigh(f.Tensors())
	return p.Model, nil
}

// callsItself lists the names that a file has for its model: the whole name, and the one without its finetune that names the family.
func callsItself(meta gguf.Metadata) []string {
	var names []string
	add := func(parts ...string) {
		var known []string
		for _, key := range parts {
			if s, err := meta.Str(key, ""); err == nil && s != "" {
				known = append(known, s)
			}
		}
		if name := strings.Join(known, "-"); len(known) == len(parts) && !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	add("general.name")
	add("general.basename", "general.size_label")
	add("general.basename", "general.size_label", "general.finetune")
	return names
}

// weigh counts the weights and names the type that most of them have.
func weigh(tensors []gguf.TensorInfo) (quantization string, parameters int64) {
	byType := map[string]int64{}
	for _, t := range tensors {
		n := int64(t.Elements())
		parameters += n
		name := t.Type.String()
		byType[name] += n
		if best := byType[quantization]; byType[name] > best || byType[name] == best && name < quantization {
			quantization = name
		}
	}
	return quantization, parameters
}

// run reserves memory and starts the engine.
func (r *Repository) run(ctx context.Context, e *entry, m *Model, arch models.Model, replaced *Model) error {
	var err error
	if m.CacheType, err = r.cacheTypeOf(m); err != nil {
		return err
	}
	cfg := engine.Config{
		Model: arch, EOG: m.Tokenizer.EOG(), CacheType: m.CacheType,
		MaxBatch: m.Settings.Parallel, MaxQueue: r.o.MaxQueue, StepTokens: r.o.StepTokens, PageTokens: r.o.PageTokens,
		ReadTimeout: r.o.ReadTimeout, NoSpeculation: m.Settings.Speculation == "off", NoSharing: m.Settings.Sharing == SharingOff,
		Guard:       m.intact,
		OnFail:      func(err error) { r.fail(m, err) },
		OnNonFinite: func(*engine.NonFiniteError) { r.inspector.suspect(m) },
		Log:         r.log.With("model", m.Name),
		Spill:       r.o.Spill,
	}
	cfg.Spill.Model, cfg.Spill.Digest = m.Name, m.Digest
	granted, err := r.reserve(ctx, cfg, e, m, replaced)
	if err != nil {
		return err
	}
	m.Memory, m.ContextLen = granted.memory, granted.context
	cfg.ContextLen, cfg.Pages = granted.context, granted.pages
	if r.o.Observer != nil {
		cfg.Observer = r.o.Observer(m.Name)
	}
	if err := r.bringIn(ctx, m); err != nil {
		return err
	}
	cfg.Backend = r.o.OpenBackend(m.Name)
	if m.Engine, err = engine.New(cfg); err != nil {
		cfg.Backend.Close()
		return err
	}
	return nil
}

// cacheTypeOf returns the cache type that a model is served with: the one set, or f16 where its heads are not whole blocks of
// that. A setting of the whole daemon must not make some models unusable.
func (r *Repository) cacheTypeOf(m *Model) (kernels.CacheType, error) {
	t, ok := kernels.ParseCacheType(m.Settings.CacheType)
	if !ok {
		return 0, fmt.Errorf("%w: kv_type is %q, and the cache can be one of %v", parts.ErrSetting, m.Settings.CacheType, kernels.CacheTypes())
	}
	if dim := m.Config.HeadDim; !t.Fits(dim) {
		r.log.Warn("the cache is f16: the type that is set wants heads of whole blocks", "model", m.Name, "set", t, "head", dim,
			"block", t.Encoding().Info().BlockLen)
		return kernels.CacheF16, nil
	}
	return t, nil
}

// firstToken has the engine compute one token, so that weights which cannot be read or give no numbers are refused before
// a request meets them, and the first request finds them in memory.
func firstToken(ctx context.Context, m *Model) error {
	first, ok := m.Tokenizer.BOS()
	if !ok {
		first = 0
	}
	_, err := probe(ctx, m.Engine, []int32{first}, nil, time.Time{})
	return err
}
