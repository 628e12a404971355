package adapters

import (
	"cmp"
	"fmt"
	"math"
	"path/filepath"
	"slices"
	"strings"

	"github.com/weft-run/weft/runtime/gguf"
)

// The keys of a GGUF adapter, as llama.cpp writes them.
const (
	keyType       = "general.type"
	keyArch       = "general.architecture"
	keyKind       = "adapter.type"
	keyAlpha      = "adapter.lora.alpha"
	keyInvocation = "adapter.alora.invocation_tokens"
)

// openGGUF reads the header of a GGUF adapter.
func (s *Source) openGGUF(path string, lim Limits) (err error) {
	if s.weights, s.id, err = openRegular(path, lim.WeightsBytes); err != nil {
		return err
	}
	h, err := gguf.ParseHeader(s.weights, s.id.Size, lim.GGUF)
	if err != nil {
		return reclass(err, filepath.Base(path))
	}
	return reclass(s.readHeader(h, lim), filepath.Base(path))
}

func (s *Source) readHeader(h *gguf.Header, lim Limits) error {
	if h.SplitCount > 1 {
		return refuse(ErrUnsupported, "an adapter in %d files; only one file is read", h.SplitCount)
	}
	alpha, err := s.readKeys(h.Meta, lim)
	if err != nil {
		return err
	}
	return s.collectGGUF(h, alpha, lim)
}

// readKeys reads the metadata and returns alpha; 0 where the file has none.
func (s *Source) readKeys(meta gguf.Metadata, lim Limits) (float64, error) {
	var texts [3]string
	for i, key := range []string{keyType, keyKind, keyArch} {
		var err error
		if texts[i], err = meta.Str(key, ""); err != nil {
			return 0, err
		}
	}
	switch {
	case texts[0] != "adapter":
		return 0, refuse(ErrFormat, "key %q is %.40q, want \"adapter\": it is no adapter", keyType, texts[0])
	case texts[1] != "lora":
		return 0, refuse(ErrUnsupported, "key %q is %.40q, and only \"lora\" is computed", keyKind, texts[1])
	case texts[2] == "":
		return 0, refuse(ErrFormat, "key %q is missing", keyArch)
	}
	s.Architecture = texts[2]
	for _, key := range []string{"general.base_model.0.name", "general.base_model.0.repo_url"} {
		name, err := meta.Str(key, "")
		if err != nil {
			return 0, err
		}
		s.BaseName = cmp.Or(s.BaseName, name)
	}
	alpha, err := meta.F32(keyAlpha, 0)
	switch {
	case err != nil:
		return 0, err
	// llama.cpp takes 0 for 1 in place of alpha / rank, and PEFT for nothing at all.
	case meta.Has(keyAlpha) && !(alpha > 0 && alpha <= math.MaxFloat32):
		return 0, refuse(ErrFormat, "key %q is %v, want a positive number", keyAlpha, alpha)
	}
	return float64(alpha), s.readInvocation(meta, lim)
}

func (s *Source) readInvocation(meta gguf.Metadata, lim Limits) error {
	if !meta.Has(keyInvocation) {
		return nil
	}
	list, err := meta.I32s(keyInvocation)
	if err != nil {
		return err
	}
	if len(list) == 0 || len(list) > lim.Patterns || slices.Min(list) < 0 {
		return refuse(ErrFormat, "key %q has %d tokens, want 1 to %d, none negative", keyInvocation, len(list), lim.Patterns)
	}
	s.Invocation = list
	return nil
}

// collectGGUF sorts the tensors into parts: "blk.0.attn_q.weight.lora_a" is A of the target "blk.0.attn_q".
func (s *Source) collectGGUF(h *gguf.Header, alpha float64, lim Limits) error {
	parts := map[string]*part{}
	var foreign, undecoded []string
	for _, t := range h.Tensors {
		module, isA := strings.CutSuffix(t.Name, ".weight.lora_a")
		isB := false
		if !isA {
			module, isB = strings.CutSuffix(t.Name, ".weight.lora_b")
		}
		if !isA && !isB {
			foreign = append(foreign, fmt.Sprintf("%q", t.Name))
			continue
		}
		if !t.Type.Info().Computable {
			undecoded = append(undecoded, fmt.Sprintf("%q is %s", t.Name, t.Type))
			continue
		}
		p := parts[module]
		if p == nil {
			p = &part{module: module}
			parts[module] = p
		}
		shape := slices.Clone(t.Dims)
		slices.Reverse(shape)
		if len(shape) == 1 { // an A of one row
			shape = []uint64{1, shape[0]}
		}
		mine := &tensor{name: t.Name, typ: t.Type, shape: shape, offset: h.DataOffset + int64(t.Offset), bytes: int64(t.Bytes)}
		if isA {
			p.a = mine
		} else {
			p.b = mine
		}
	}
	switch {
	case len(foreign) > 0:
		return refuse(ErrUnsupported, "%d tensors are no factors of LoRA: %s", len(foreign), named(foreign))
	case len(undecoded) > 0:
		return refuse(ErrUnsupported, "%d tensors have a type that is not decoded: %s", len(undecoded), named(undecoded))
	case len(parts) == 0:
		return refuse(ErrFormat, "the file has no tensors")
	}
	for _, p := range parts {
		if err := p.checkPair(p.module == "token_embd", lim); err != nil {
			return err
		}
		p.scale = 1
		if alpha > 0 {
			p.scale = float32(alpha / float64(p.rank))
		}
		s.parts = append(s.parts, *p)
	}
	slices.SortFunc(s.parts, func(a, b part) int { return cmp.Compare(a.module, b.module) })
	return nil
}
