package adapters

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"

	"github.com/weft-run/weft/runtime/gguf"
	"github.com/weft-run/weft/runtime/gguf/safetensors"
)

// openFolder reads the headers of a PEFT folder. Its two files are one generation only if both are, at the end, the ones that were opened.
func (s *Source) openFolder(folder string, lim Limits) error {
	configPath, weightsPath := filepath.Join(folder, ConfigFile), filepath.Join(folder, WeightsFile)
	configID, err := s.readConfig(configPath, lim)
	if err != nil {
		return incomplete(err)
	}
	if s.weights, s.id, err = openRegular(weightsPath, lim.WeightsBytes); err != nil {
		return incomplete(err)
	}
	h, err := safetensors.ParseHeader(s.weights, s.id.Size, lim.Safetensors)
	if err != nil {
		return reclass(err, WeightsFile)
	}
	c, err := parseConfig(s.config, lim)
	if err != nil {
		return witnessed(err, h)
	}
	s.BaseName, s.Invocation = c.baseName, c.invocation
	if err := s.collect(h, c, lim); err != nil {
		return err
	}
	for path, opened := range map[string]gguf.FileIdentity{configPath: configID, weightsPath: s.id} {
		f, now, err := openRegular(path, lim.WeightsBytes)
		if err != nil {
			return incomplete(err)
		}
		_ = f.Close()
		if now != opened {
			return refuse(ErrChanged, "%s was replaced or written while the folder was read", filepath.Base(path))
		}
	}
	return nil
}

func (s *Source) readConfig(path string, lim Limits) (gguf.FileIdentity, error) {
	f, id, err := openRegular(path, lim.ConfigBytes)
	if err != nil {
		return id, err
	}
	defer func() { _ = f.Close() }()
	// One byte more than the file had: if it is there, the file has grown meanwhile.
	if s.config, err = io.ReadAll(io.LimitReader(f, id.Size+1)); err != nil {
		return id, fmt.Errorf("adapters: reading %s: %w", ConfigFile, err)
	}
	if int64(len(s.config)) != id.Size {
		return id, refuse(ErrChanged, "%s was written while it was read", ConfigFile)
	}
	return id, nil
}

// incomplete tells a file that is not there from one that cannot be read.
func incomplete(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return refuse(ErrTruncated, "the folder needs %s and %s: %v", ConfigFile, WeightsFile, err)
	}
	return err
}

// reclass gives an error of a format's own package the class that it has here.
func reclass(err error, file string) error {
	for _, of := range []struct{ theirs, ours error }{
		{safetensors.ErrTruncated, ErrTruncated},
		{gguf.ErrTruncated, ErrTruncated},
		{safetensors.ErrFormat, ErrFormat},
		{gguf.ErrFormat, ErrFormat},
		{gguf.ErrUnsupported, ErrUnsupported},
	} {
		if errors.Is(err, of.theirs) {
			_, text, _ := strings.Cut(err.Error(), ": ")
			return refuse(of.ours, "%s: %s", file, text)
		}
	}
	return err
}

// witnessed adds to a refusal of the configuration the tensors that show what it is about.
func witnessed(err error, h *safetensors.Header) error {
	if !errors.Is(err, ErrUnsupported) {
		return err
	}
	var list []string
	for _, t := range h.Tensors {
		if _, _, role := splitName(t.Name); role == roleOther || role == roleWhole {
			list = append(list, fmt.Sprintf("%q", t.Name))
		}
	}
	if len(list) == 0 {
		return err
	}
	return refuse(ErrUnsupported, "%s; it shows in the tensors %s", strings.TrimPrefix(err.Error(), "adapters: "), named(list))
}

// role is what a tensor of a PEFT file is.
type role int

const (
	roleOther role = iota
	roleWhole      // a weight that was trained or kept whole
	roleA
	roleB
	roleMagnitude
	roleBias
)

// peftPrefix stands before every name that save_pretrained writes.
const peftPrefix = "base_model.model."

// suffixes tell the role by the end of the name; longer ones come first.
var suffixes = []struct {
	end       string
	role      role
	embedding bool
}{
	{".lora_A.weight", roleA, false},
	{".lora_B.weight", roleB, false},
	{".lora_B.bias", roleOther, false},
	{".lora_embedding_A", roleA, true},
	{".lora_embedding_B", roleB, true},
	{".lora_magnitude_vector.weight", roleMagnitude, false},
	{".lora_magnitude_vector", roleMagnitude, false},
	{".base_layer.bias", roleBias, false},
	{".base_layer.weight", roleWhole, false},
	{".bias", roleBias, false},
	{".weight", roleWhole, false},
}

// splitName returns the module that a tensor belongs to, without PEFT's prefix, and what it is of it.
func splitName(name string) (module string, embedding bool, is role) {
	module, ok := strings.CutPrefix(name, peftPrefix)
	if !ok {
		return "", false, roleOther
	}
	for _, s := range suffixes {
		if module, ok := strings.CutSuffix(module, s.end); ok {
			return module, s.embedding, s.role
		}
	}
	return "", false, roleOther
}

// collect sorts the tensors into parts and compares them with the configuration.
func (s *Source) collect(h *safetensors.Header, c *peftConfig, lim Limits) error {
	parts := map[string]*part{}
	var foreign, whole, undecoded []string
	for _, t := range h.Tensors {
		module, embedding, is := splitName(t.Name)
		typ, ok := t.Type.Quant()
		switch {
		case is == roleOther:
			foreign = append(foreign, fmt.Sprintf("%q", t.Name))
			continue
		case is == roleWhole:
			whole = append(whole, fmt.Sprintf("%q", t.Name))
			continue
		case !ok:
			undecoded = append(undecoded, fmt.Sprintf("%q is %s", t.Name, t.Type))
			continue
		}
		p := parts[module]
		if p == nil {
			p = &part{module: module}
			parts[module] = p
		}
		p.embedding = p.embedding || embedding
		mine := &tensor{name: t.Name, typ: typ, shape: t.Shape, offset: h.DataOffset + int64(t.Offset), bytes: int64(t.Bytes)}
		place := map[role]**tensor{roleA: &p.a, roleB: &p.b, roleMagnitude: &p.magnitude, roleBias: &p.bias}[is]
		if *place != nil {
			return refuse(ErrFormat, "tensors %q and %q are the same of one module", (*place).name, t.Name)
		}
		*place = mine
	}
	switch {
	case len(foreign) > 0:
		return refuse(ErrUnsupported, "%d tensors are no factors of LoRA: %s", len(foreign), named(foreign))
	case len(whole) > 0:
		return refuse(ErrUnsupported, "%d weights were trained or saved whole, and only low-rank factors are applied: %s; for embeddings that were saved along, save "+
			"again with save_embedding_layers=False", len(whole), named(whole))
	case len(undecoded) > 0:
		return refuse(ErrUnsupported, "%d tensors have a type other than F32, F16 and BF16: %s", len(undecoded), named(undecoded))
	case len(parts) == 0:
		return refuse(ErrFormat, "%s has no tensors", WeightsFile)
	}
	for _, p := range parts {
		s.parts = append(s.parts, *p)
	}
	slices.SortFunc(s.parts, func(a, b part) int { return cmp.Compare(a.module, b.module) })
	return s.checkParts(c, lim)
}

// checkParts pairs A with B and gives each part its rank and scale. What the configuration does not let PEFT load is refused: it would be
// ignored there without a word.
func (s *Source) checkParts(c *peftConfig, lim Limits) error {
	var untargeted []string
	for i := range s.parts {
		p := &s.parts[i]
		if err := p.checkPair(false, lim); err != nil {
			return err
		}
		switch {
		case p.rank == 0 && p.magnitude != nil:
			return refuse(ErrFormat, "tensor %q has no factors beside it", p.magnitude.name)
		case p.rank > 0 && p.magnitude != nil && p.embedding:
			return refuse(ErrUnsupported, "DoRA of an embedding (tensor %q)", p.magnitude.name)
		case p.magnitude != nil && !c.dora:
			return refuse(ErrFormat, "tensor %q is of DoRA, but use_dora is false", p.magnitude.name)
		case p.rank > 0 && p.magnitude == nil && c.dora:
			return refuse(ErrFormat, "use_dora is true, but tensor %q has no lora_magnitude_vector beside it", p.a.name)
		case p.bias != nil && c.bias == "none":
			return refuse(ErrFormat, `tensor %q is a bias, but bias is "none"`, p.bias.name)
		case p.rank == 0 && c.bias != "all":
			return refuse(ErrFormat, "tensor %q has no factors beside it, and bias is %q", p.bias.name, c.bias)
		}
		if p.rank == 0 {
			continue
		}
		if !c.targets(p.module) {
			untargeted = append(untargeted, fmt.Sprintf("%q", p.a.name))
			continue
		}
		rank, scale := c.scale(p.module)
		if rank != p.rank {
			return refuse(ErrFormat, "%s gives module %q the rank %d, but tensor %q has %d", ConfigFile, p.module, rank, p.a.name, p.rank)
		}
		if scale == 0 {
			return refuse(ErrFormat, "%s gives module %q an alpha so small that it changes nothing", ConfigFile, p.module)
		}
		p.scale = scale
	}
	if len(untargeted) > 0 {
		return refuse(ErrFormat, "%d modules have factors and are not among those that %s targets: %s", len(untargeted), ConfigFile, named(untargeted))
	}
	return nil
}

// checkPair holds that A and B are both there, matrices of one rank, and sets it. turned says that A is [inputs, rank].
func (p *part) checkPair(turned bool, lim Limits) error {
	switch {
	case p.a == nil && p.b == nil:
		return nil
	case p.b == nil:
		return refuse(ErrFormat, "tensor %q has no lora_B beside it", p.a.name)
	case p.a == nil:
		return refuse(ErrFormat, "tensor %q has no lora_A beside it", p.b.name)
	case len(p.a.shape) != 2 || len(p.b.shape) != 2:
		return refuse(ErrFormat, "tensors %q %d and %q %d are not two matrices", p.a.name, p.a.shape, p.b.name, p.b.shape)
	case p.b.shape[1] > uint64(lim.Rank):
		return refuse(ErrFormat, "tensor %q has the rank %d, the limit is %d", p.b.name, p.b.shape[1], lim.Rank)
	}
	p.rank = int(p.b.shape[1])
	rank := p.a.shape[0]
	if turned {
		rank = p.a.shape[1]
	}
	if rank != uint64(p.rank) {
		return refuse(ErrFormat, "tensor %q %d has the rank %d, and %q %d has %d", p.a.name, p.a.shape, rank, p.b.name, p.b.shape, p.rank)
	}
	return nil
}
