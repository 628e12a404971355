package adapters

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/weft-run/weft/kernels/quant"
	"github.com/weft-run/weft/runtime/gguf"
	"github.com/weft-run/weft/runtime/gguf/safetensors"
	"github.com/weft-run/weft/runtime/models"
)

// Limits bounds what the files of an adapter may ask for. They are far above any adapter in use.
type Limits struct {
	ConfigBytes  int64 // adapter_config.json
	WeightsBytes int64 // the file of factors
	Rank         int
	PatternBytes int // one regular expression or name in adapter_config.json
	Patterns     int // names, expressions and layers in one of its lists
	Safetensors  safetensors.Limits
	GGUF         gguf.Limits
}

// DefaultLimits are the limits for files from anywhere.
func DefaultLimits() Limits {
	return Limits{
		ConfigBytes: 1 << 20, WeightsBytes: 8 << 30, Rank: 1024, PatternBytes: 4096, Patterns: 4096,
		Safetensors: safetensors.DefaultLimits(), GGUF: gguf.DefaultLimits(),
	}
}

// Format is how an adapter is kept in files.
type Format string

// The formats.
const (
	PEFT Format = "peft" // a folder with adapter_config.json and adapter_model.safetensors
	GGUF Format = "gguf" // one file
)

// The files of a PEFT folder.
const (
	ConfigFile  = "adapter_config.json"
	WeightsFile = "adapter_model.safetensors"
)

// Source is an adapter as its files say it: open, their headers read and judged, none of its factors read. It belongs to one goroutine
// until Close. A file that is replaced or unlinked stays readable through it; one that is written in place is told as ErrChanged.
type Source struct {
	Format Format
	// BaseName is the model that the files say they were made for; "": they do not say.
	BaseName string
	// Architecture is what a GGUF adapter demands of its base; "" of a PEFT folder, whose names of modules show it.
	Architecture string
	Ranks        []int // each once, rising
	Targets      int   // matrices with factors
	Parameters   int64 // numbers in all tensors
	DoRA         bool
	Bias         bool    // it has biases
	Invocation   []int32 // of an activated adapter (aLoRA); else nil

	config  []byte // of a PEFT folder
	weights *os.File
	id      gguf.FileIdentity // of weights
	parts   []part
}

// part is all that an adapter has for one matrix.
type part struct {
	module                string // as the files call it
	a, b, magnitude, bias *tensor
	embedding             bool // a is [rank, inputs], whatever the base's own tensor is
	rank                  int  // 0: there is a bias alone
	scale                 float32
}

// tensor is one tensor of the file of weights.
type tensor struct {
	name   string
	typ    quant.Type
	shape  []uint64 // row length last
	offset int64    // in the file
	bytes  int64
}

func (t *tensor) elements() int64 {
	n := uint64(1)
	for _, d := range t.shape {
		n *= d
	}
	return int64(n) // the tensor lies in a file of a bounded size
}

// Open opens the adapter at path: a folder of PEFT or a GGUF file. The path is one that was found by listing the adapters folder or that the
// operator gave, never a name from a request. A symlink is followed: the operator put it there. What is no regular file in the end is
// refused without waiting for it.
func Open(path string, lim Limits) (*Source, error) {
	if err := checkName(filepath.Base(path)); err != nil {
		return nil, err
	}
	info, err := os.Stat(path)
	if err != nil {
		return nil, fmt.Errorf("adapters: %w", err)
	}
	s := &Source{}
	if info.IsDir() {
		s.Format = PEFT
		err = s.openFolder(path, lim)
	} else {
		s.Format = GGUF
		err = s.openGGUF(path, lim)
	}
	if err != nil {
		_ = s.Close()
		return nil, err
	}
	s.summarize()
	return s, nil
}

// checkName refuses names of files that some reader of lists, paths or terminals would take for something else.
func checkName(name string) error {
	switch {
	case name == "" || name == "." || name == ".." || name[0] == '.':
		return refuse(ErrFormat, "the name %q is none for an adapter: it begins with a dot or is empty", name)
	case strings.ContainsFunc(name, func(c rune) bool { return c < ' ' || c == 0x7f || c == '/' || c == '\\' || c == '\uFFFD' }):
		return refuse(ErrFormat, "the name %q has a slash, a backslash, a control character or no UTF-8: rename the file", name)
	}
	return nil
}

// openRegular opens a file that must be a regular one, without waiting where it is a pipe or a terminal.
func openRegular(path string, limit int64) (*os.File, gguf.FileIdentity, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|unix.O_NONBLOCK|unix.O_NOCTTY, 0)
	if err != nil {
		return nil, gguf.FileIdentity{}, fmt.Errorf("adapters: %w", err)
	}
	id, err := gguf.IdentityOf(f)
	if err == nil && id.Size > limit {
		err = refuse(ErrFormat, "%s has %d bytes, the limit is %d", filepath.Base(path), id.Size, limit)
	}
	if err != nil {
		_ = f.Close()
		if errors.Is(err, gguf.ErrFormat) {
			err = refuse(ErrFormat, "%s is not a regular file", filepath.Base(path))
		}
		return nil, id, err
	}
	return f, id, nil
}

// summarize fills what the parts show.
func (s *Source) summarize() {
	for i := range s.parts {
		p := &s.parts[i]
		for _, t := range p.tensors() {
			s.Parameters += t.elements()
		}
		s.DoRA = s.DoRA || p.magnitude != nil
		s.Bias = s.Bias || p.bias != nil
		if p.rank > 0 {
			s.Targets++
			s.Ranks = append(s.Ranks, p.rank)
		}
	}
	slices.Sort(s.Ranks)
	s.Ranks = slices.Compact(s.Ranks)
}

// all lists A, B, magnitude and bias; nil where there is none.
func (p *part) all() [4]*tensor { return [...]*tensor{p.a, p.b, p.magnitude, p.bias} }

// tensors lists those that are there.
func (p *part) tensors() []*tensor {
	all := p.all()
	return slices.DeleteFunc(all[:], func(t *tensor) bool { return t == nil })
}

// Close closes the files.
func (s *Source) Close() error {
	if s.weights == nil {
		return nil
	}
	return s.weights.Close()
}

// Bytes is the size of the files.
func (s *Source) Bytes() int64 { return int64(len(s.config)) + s.id.Size }

// Fits says, of the headers alone, whether Read would read it: nil, or why not.
func (s *Source) Fits(arch string, targets []models.Target) error {
	_, err := s.match(arch, targets)
	return err
}

// Digest reads the files and returns the sha256, in hex, of their content: of a PEFT folder, of its configuration with its weights
// behind it.
func (s *Source) Digest() (string, error) {
	r := s.reader()
	if err := r.skipTo(s.id.Size); err != nil {
		return "", err
	}
	return r.digest(s)
}
