package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/weft-run/weft/adapters"
	"github.com/weft-run/weft/runtime/gguf"
	"github.com/weft-run/weft/runtime/models"
)

// kindAdapter is general.type of a GGUF adapter, and the kind of a PEFT folder.
const kindAdapter = "adapter"

// adapterReport is what an adapter's headers say.
type adapterReport struct {
	Format     string  `json:"format"`
	BaseName   string  `json:"base_name,omitempty"` // the base that it says it is made for
	Ranks      []int   `json:"ranks"`
	Targets    int     `json:"targets"`
	DoRA       bool    `json:"dora"`
	Biases     bool    `json:"biases"`
	Invocation []int32 `json:"invocation_tokens,omitempty"`
	Memory     int64   `json:"memory_bytes"`   // of its factors when it is in use
	Base       string  `json:"base,omitempty"` // of --base
}

// bytesPerFactor is what a number of a factor takes in the form that is computed with.
const bytesPerFactor = 2

// isAdapter says whether path is an adapter, healthy or not, and no model.
func isAdapter(path string) bool {
	if _, err := os.Stat(filepath.Join(path, adapters.ConfigFile)); err == nil {
		return true
	}
	h, _ := readHeader(path)
	if h == nil {
		return false
	}
	kind, err := h.Meta.Str("general.type", "")
	return err == nil && kind == kindAdapter
}

// inspectAdapter reads the headers of an adapter, and judges whether it fits the base of --base.
func (r *report) inspectAdapter(path string, o inspection) {
	r.Kind = kindAdapter
	s, err := adapters.Open(path, adapters.DefaultLimits())
	r.refuse(err)
	if err != nil {
		return
	}
	defer func() { _ = s.Close() }()
	r.Files, r.Bytes, r.Architecture, r.Parameters = []string{path}, s.Bytes(), s.Architecture, uint64(s.Parameters)
	r.Adapter = &adapterReport{
		Format: string(s.Format), BaseName: s.BaseName, Ranks: s.Ranks, Targets: s.Targets, DoRA: s.DoRA, Biases: s.Bias, Invocation: s.Invocation,
		Memory: bytesPerFactor * s.Parameters, Base: o.base,
	}
	if o.base != "" {
		r.refuse(fitsBase(s, o.base))
	}
}

// fitsBase says why an adapter does not fit the model of a file.
func fitsBase(s *adapters.Source, path string) error {
	f, err := gguf.Open(path, gguf.DefaultLimits())
	if err != nil {
		return fmt.Errorf("--base: %w", err)
	}
	defer func() { _ = f.Close() }()
	m, err := models.Load(f)
	if err != nil {
		return fmt.Errorf("--base %s: %w", path, err)
	}
	return s.Fits(m.Config().Architecture, m.Targets())
}

// printAdapter prints what is in an adapter.
func printAdapter(r *report, line func(name, format string, args ...any)) {
	a := r.Adapter
	line("kind", "%s (%s)", r.Kind, a.Format)
	line("made for", "%s", orDash(a.BaseName))
	if r.Architecture != "" {
		line("family", "%s", r.Architecture)
	}
	line("parameters", "%s", countText(int64(r.Parameters)))
	line("ranks", "%s, of %d matrices", strings.Trim(fmt.Sprint(a.Ranks), "[]"), a.Targets)
	var more []string
	if a.DoRA {
		more = append(more, "DoRA")
	}
	if a.Biases {
		more = append(more, "biases")
	}
	if a.Invocation != nil {
		more = append(more, fmt.Sprintf("activated by the tokens %v", a.Invocation))
	}
	if len(more) > 0 {
		line("with", "%s", strings.Join(more, ", "))
	}
	line("memory", "%s when it is in use", bytesText(a.Memory))
	if a.Base != "" {
		line("base", "%s", a.Base)
	}
}
