package main

import (
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/weft-run/weft/kernels"
	"github.com/weft-run/weft/runtime/gguf"
	"github.com/weft-run/weft/runtime/models"
	"github.com/weft-run/weft/runtime/parts"
	"github.com/weft-run/weft/runtime/tokenizer"
)

func (a *app) inspectCommand() *cobra.Command {
	var o inspection
	cmd := &cobra.Command{
		Use:   "inspect FILE...",
		Short: "say what is in GGUF files and adapters, how much memory they take, and what would refuse them",
		Long: "inspect reads the headers of GGUF files and says of each what is in it, how much memory it takes, and every reason for which this\n" +
			"version would refuse to serve it. Of a split set it wants any one file and finds the others, of a folder the model in it. It reads no weights, so a file of any\n" +
			"size takes a moment, and works without a daemon. Adapters are GGUF files or folders of PEFT; --base names the model that they shall fit. Exit code 0 says that all files would be served, 1 that one would be refused.\n\n" +
			"A settings file beside the model, the memory budget and weights that are no numbers are the daemon's to judge.",
		Args: arguments(1, math.MaxInt, "one GGUF file or more"),
		RunE: func(_ *cobra.Command, args []string) error {
			if err := o.check(); err != nil {
				return err
			}
			return a.inspect(args, o)
		},
		ValidArgsFunction: cobra.FixedCompletions([]string{"gguf"}, cobra.ShellCompDirectiveFilterFileExt),
	}
	cmd.Flags().IntVar(&o.context, "context", 0, "tokens of one sequence to reckon the memory for (default the model's own)")
	cmd.Flags().StringVar(&o.kv, "kv", "f16", "type in which keys and values are cached: "+strings.Join(cacheTypeNames(), ", "))
	cmd.Flags().StringVar(&o.base, "base", "", "GGUF file of the model that adapters shall fit")
	cmd.Flags().BoolVar(&o.keys, "keys", false, "list the metadata too")
	cmd.Flags().BoolVar(&o.tensors, "tensors", false, "list the tensors too")
	// The error is about a flag that does not exist.
	_ = cmd.RegisterFlagCompletionFunc("kv", cobra.FixedCompletions(cacheTypeNames(), cobra.ShellCompDirectiveNoFileComp))
	return cmd
}

// inspection is what the flags of `weft inspect` ask for.
type inspection struct {
	context       int
	kv            string
	base          string
	keys, tensors bool

	cacheType kernels.CacheType // of kv
}

func (o *inspection) check() error {
	if o.context < 0 {
		return usagef("inspect: --context is %d; it is a number of tokens", o.context)
	}
	t, ok := kernels.ParseCacheType(o.kv)
	if !ok {
		return usagef("inspect: --kv is %q; there is %s", o.kv, strings.Join(cacheTypeNames(), ", "))
	}
	o.cacheType = t
	return nil
}

// inspect prints a report on each file. The error says how many would be refused.
func (a *app) inspect(paths []string, o inspection) error {
	refused := 0
	reports := make([]*report, 0, len(paths))
	for i, path := range paths {
		r := inspect(path, o)
		if r.Served = len(r.Refusals) == 0; !r.Served {
			refused++
		}
		if a.json {
			reports = append(reports, r)
			continue
		}
		if i > 0 {
			fmt.Fprintln(a.out)
		}
		if err := a.printReport(r); err != nil {
			return err
		}
	}
	if a.json {
		if err := a.printJSON(reports); err != nil {
			return err
		}
	}
	switch {
	case refused == 0:
		return nil
	case len(paths) == 1:
		return fmt.Errorf("%s would be refused", paths[0])
	}
	return fmt.Errorf("%d of %d files would be refused", refused, len(paths))
}

// inspect reads a file or a split set. A set that is not whole is reported by the files that are there.
func inspect(path string, o inspection) *report {
	r := &report{Path: path, Files: []string{}, Missing: []string{}, Types: []typeTotal{}, Refusals: []string{}}
	if isAdapter(path) {
		r.inspectAdapter(path, o)
		return r
	}
	path, err := modelIn(path)
	if err != nil {
		r.refuse(err)
		return r
	}
	f, err := gguf.Open(path, gguf.DefaultLimits())
	if err != nil {
		r.refuse(err)
		r.describePieces(path, o)
		return r
	}
	defer func() { _ = f.Close() }()
	r.Files, r.Bytes, r.HeaderDigest = f.Files(), f.Size(), "sha256:"+f.Identity().HeaderDigest
	r.Version = f.Headers()[0].Version
	r.describe(f.Meta(), f.Tensors(), o)
	r.judge(f, o)
	return r
}

// modelIn returns the file of the one model in a folder, of a split set the first that is there, and any other path as it is.
func modelIn(path string) (string, error) {
	entries, err := os.ReadDir(path)
	if err != nil {
		return path, nil // no folder, or none that can be read: opening it says so
	}
	var names []string
	for _, e := range entries {
		if !strings.HasPrefix(e.Name(), ".") {
			names = append(names, e.Name())
		}
	}
	sets := gguf.FileSets(names)
	switch len(sets) {
	case 1:
		return filepath.Join(path, names[sets[0].Files[0]]), nil
	case 0:
		return path, errors.New("the folder holds neither a GGUF file nor an adapter")
	}
	var found []string
	for _, s := range sets[:min(len(sets), 5)] {
		found = append(found, names[s.Files[0]])
	}
	if len(sets) > len(found) {
		found = append(found, "...")
	}
	return path, fmt.Errorf("the folder holds %d models (%s) and may hold one; name one of the files", len(sets), strings.Join(found, ", "))
}

// describePieces describes what can be read of a file or a split set that cannot be opened as a model. That it cannot is told
// already.
func (r *report) describePieces(path string, o inspection) {
	h, _ := readHeader(path)
	if h == nil {
		if st, err := os.Stat(path); err == nil && st.Mode().IsRegular() {
			r.Files, r.Bytes = []string{path}, st.Size()
		}
		return
	}
	r.Version = h.Version
	base, no, count, isShard := gguf.ShardName(filepath.Base(path))
	if !isShard || count != h.SplitCount {
		r.Files, r.Bytes = []string{path}, h.Size
		r.describe(h.Meta, h.Tensors, o)
		r.judgeMeta(h.Meta, o)
		return
	}
	meta, tensors := h.Meta, []gguf.TensorInfo(nil)
	for i := 1; i <= count; i++ {
		name, piece := path, h
		if i != no {
			name = filepath.Join(filepath.Dir(path), gguf.ShardPath(base, i, count))
			var err error
			if piece, err = readHeader(name); errors.Is(err, fs.ErrNotExist) {
				r.Missing = append(r.Missing, name)
				continue
			}
		}
		r.Files = append(r.Files, name)
		if piece == nil {
			continue
		}
		if i == 1 {
			meta = piece.Meta
		}
		r.Bytes += piece.Size
		tensors = append(tensors, piece.Tensors...)
	}
	r.describe(meta, tensors, o)
	if meta.Has(keyArchitecture) { // else the first file, which has the metadata, is not there
		r.judgeMeta(meta, o)
	}
}

// judge reads the model as the daemon would, up to where it would start to compute, and keeps the reasons that speak against it.
func (r *report) judge(f *gguf.File, o inspection) {
	if len(f.Tensors()) == 0 { // which the loader would refuse for each of them
		r.judgeVocabulary(f.Meta())
		r.refuse(errors.New("it holds a vocabulary without tensors: text can be tokenized with it, nothing computed"))
		return
	}
	p, err := parts.Read(f, parts.Options{Name: r.modelName()})
	r.refuse(err)
	r.know(err)
	r.judgeTemplate(p)
	// The shape is known, and what it takes, even where a tensor is wrong.
	if c, err := models.ReadConfig(f.Meta()); err == nil {
		r.measure(c, o)
	}
}

// judgeMeta is judge for metadata alone.
func (r *report) judgeMeta(meta gguf.Metadata, o inspection) {
	c, err := models.ReadConfig(meta)
	r.refuse(err)
	if err == nil {
		r.measure(c, o)
	}
	r.judgeVocabulary(meta)
}

func (r *report) judgeVocabulary(meta gguf.Metadata) {
	_, err := tokenizer.New(meta)
	r.refuse(err)
	r.know(err)
}

// know says whether err is silent about how the vocabulary splits text.
func (r *report) know(err error) {
	if r.Vocabulary != nil {
		r.Vocabulary.Known = !errors.Is(err, tokenizer.ErrUnsupported)
	}
}

func (r *report) judgeTemplate(p *parts.Parts) {
	r.Template.Usable, r.Template.Problem = p.Template != nil, p.TemplateProblem
	if name, ok := strings.CutPrefix(p.TemplateOrigin, parts.OriginFallback); ok {
		r.Template.Fallback = name
	}
}

// modelName is the name under which the daemon would serve the file.
func (r *report) modelName() string {
	name := filepath.Base(r.Path)
	if base, _, _, ok := gguf.ShardName(name); ok {
		return base
	}
	return strings.TrimSuffix(name, ".gguf")
}

// refuse keeps each line of an error as a reason.
func (r *report) refuse(err error) {
	if err == nil {
		return
	}
	for reason := range strings.SplitSeq(err.Error(), "\n") {
		if !slices.Contains(r.Refusals, reason) {
			r.Refusals = append(r.Refusals, reason)
		}
	}
}
