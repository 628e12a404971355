package daemon

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/weft-run/weft/kernels"
	"github.com/weft-run/weft/runtime/models"
	"github.com/weft-run/weft/runtime/modeltest/synthetic"
)

// benchUsage is the help of `weftd bench`.
var benchUsage = `Usage: weftd bench FILE [flags]
       weftd bench --synthetic SHAPE:TYPE [flags]
       weftd bench --synthetic SHAPE --types LIST [flags]
       weftd bench FILE --perplexity TEXT [flags]
       weftd bench FILE --load [flags]

Measures the engine on a model, in this process: prefill (pp) and decode (tg) in tokens per second. Lists are written with
commas; every test is done for every thread count. --perplexity and --load measure something else instead.

  -p LIST        prompt lengths to prefill (default 512; 0: none)
  -n LIST        numbers of tokens to decode (default 64; 0: none)
  -d LIST        depths: tokens in the cache before a test begins (default 0)
  -b LIST        sequences decoded together (default 1)
  -t LIST        threads (default 0: every processor the process may use)
  -r N           timed runs of each test (default 5)
  -u TOKENS      most tokens of a prompt in one step (default 512)
  --kv TYPE      cache type: f16, f32, q8_0 or q4_0 (default f16)
  --cpu LEVEL    highest instruction level (default $WEFT_CPU, then the best)
  --synthetic M  measure a model of random weights, "1.1b:q4_k_m", in place of FILE: written to a temporary folder, gone at the end
                 shapes: ` + strings.Join(synthetic.Shapes(), ", ") + `,
                 also with changes: "1.1b,layers=4" (layers, width, heads, kv, ffn, vocab)
  --types LIST   types of the synthetic model, measured one after the other:
                 ` + strings.Join(synthetic.Mixes(), ", ") + `
  --keep FILE    write the synthetic model to FILE, a new one, and leave it there; one type only
  --adapters LIST  numbers of random adapters, measured turn by turn (default 0: none): sequences that are decoded together use them in
                 rotation, a prompt the first; they change all products of all layers
  --rank N       rank of the adapters (default 16)
  --roofline     measure before each test what memory and arithmetic units can do, and print the fractions reached: weights and
                 cache read in a step against memory, multiply-adds against the level's own instructions in registers
  --load         measure the time from the start of loading to the first token, in ms, as the daemon loads; -r times
  --perplexity TEXT  how well the model foretells the text of this file: cut in chunks, the second half of each is scored, as
                 llama-perplexity does; with the error of the mean
  --chunk TOKENS tokens in a chunk of --perplexity (default 512)
  --logits-out FILE  write the logits that were scored to FILE, a new one (4 bytes for each token of the vocabulary and position)
  --against FILE compare with the logits in FILE: mean Kullback-Leibler divergence from them, and how often the best token is the same
  --json         print an array of objects
  --markdown     print a markdown table
`

// benchPlan is what to measure.
type benchPlan struct {
	file                                       string // "": the synthetic ones
	synthetic                                  []synthetic.Model
	keep                                       string
	roofline                                   bool
	prompts, outputs, depths, batches, threads []int
	adapters                                   []int
	rank                                       int
	stacks                                     []*models.Stack // as many as the largest of adapters
	runs, stepTokens                           int
	cache                                      kernels.CacheType
	level                                      string
	form                                       string // "text", "json" or "markdown"
	load                                       bool
	perplexity                                 perplexityPlan
	help                                       bool
}

// parseBench reads the arguments. The file may stand before, between or behind the flags.
func parseBench(args []string, level string) (benchPlan, error) {
	p := benchPlan{form: "text", level: level}
	set := flag.NewFlagSet("bench", flag.ContinueOnError)
	set.SetOutput(io.Discard)
	list := func(name string, to *[]int, start int, low, high int) {
		*to = []int{start}
		set.Func(name, "", func(text string) error {
			numbers, err := parseList(text, low, high)
			*to = numbers
			return err
		})
	}
	list("p", &p.prompts, 512, 0, 1<<20)
	list("n", &p.outputs, 64, 0, 1<<20)
	list("d", &p.depths, 0, 0, 1<<20)
	list("b", &p.batches, 1, 1, 1024)
	list("t", &p.threads, 0, 0, 1024)
	list("adapters", &p.adapters, 0, 0, 64)
	set.IntVar(&p.rank, "rank", 16, "")
	set.IntVar(&p.runs, "r", 5, "")
	set.IntVar(&p.stepTokens, "u", 512, "")
	set.StringVar(&p.level, "cpu", level, "")
	kv := set.String("kv", "f16", "")
	asJSON := set.Bool("json", false, "")
	asMarkdown := set.Bool("markdown", false, "")
	shape := set.String("synthetic", "", "")
	types := set.String("types", "", "")
	set.StringVar(&p.keep, "keep", "", "")
	set.BoolVar(&p.roofline, "roofline", false, "")
	set.BoolVar(&p.load, "load", false, "")
	p.perplexity.flags(set)
	var files []string
	for rest := args; ; {
		if err := set.Parse(rest); errors.Is(err, flag.ErrHelp) {
			return benchPlan{help: true}, nil
		} else if err != nil {
			return p, fmt.Errorf("%w; weftd bench --help lists the flags", err)
		}
		if rest = set.Args(); len(rest) == 0 {
			break
		}
		files, rest = append(files, rest[0]), rest[1:]
	}
	if err := p.choose(files, *shape, *types); err != nil {
		return p, err
	}
	if err := p.perplexity.check(); err != nil {
		return p, err
	}
	if p.load && p.perplexity.text != "" || p.roofline && (p.load || p.perplexity.text != "") {
		return p, errors.New("--load, --perplexity and --roofline exclude each other")
	}
	if p.rank < 1 || p.rank > 1024 {
		return p, fmt.Errorf("--rank %d: 1 to 1024 are computed", p.rank)
	}
	if p.runs < 1 || p.stepTokens < 1 || p.stepTokens > 1<<16 {
		return p, fmt.Errorf("-r %d -u %d: at least one run, and 1 to 65536 tokens in a step", p.runs, p.stepTokens)
	}
	cache, ok := kernels.ParseCacheType(*kv)
	if !ok {
		return p, fmt.Errorf("--kv %q is none of %v", *kv, kernels.CacheTypes())
	}
	p.cache = cache
	switch {
	case *asJSON && *asMarkdown:
		return p, errors.New("--json and --markdown exclude each other")
	case *asJSON:
		p.form = "json"
	case *asMarkdown:
		p.form = "markdown"
	}
	return p, nil
}

// choose says which models are measured: the one file, or the synthetic ones.
func (p *benchPlan) choose(files []string, shape, types string) error {
	switch {
	case shape != "" && p.load && p.keep == "":
		return errors.New("--load opens a file by its name: with --synthetic give it one by --keep FILE")
	case shape == "" && len(files) == 1:
		if types != "" || p.keep != "" {
			return errors.New("--types and --keep want --synthetic SHAPE in place of a file")
		}
		p.file = files[0]
		return nil
	case shape == "" || len(files) > 0:
		return fmt.Errorf("%d files named, and one model can be measured: weftd bench FILE [flags], or --synthetic SHAPE:TYPE in place of a file", len(files))
	}
	name, mix, named := strings.Cut(shape, ":")
	switch {
	case named && types != "":
		return errors.New("--synthetic names a type and --types others: give the shape alone, or no --types")
	case !named && types == "":
		return fmt.Errorf("--synthetic %s has no type: write %s:q4_k_m, or add --types LIST", shape, shape)
	case !named:
		mix = types
	}
	s, err := synthetic.ParseShape(name)
	if err != nil {
		return err
	}
	for word := range strings.SplitSeq(mix, ",") {
		m, err := synthetic.New(s, strings.TrimSpace(word))
		if err != nil {
			return err
		}
		p.synthetic = append(p.synthetic, m)
	}
	if p.keep != "" && len(p.synthetic) > 1 {
		return fmt.Errorf("--keep names one file, and --types %d types", len(p.synthetic))
	}
	return nil
}

// parseList reads numbers with commas between them.
func parseList(text string, low, high int) ([]int, error) {
	var numbers []int
	for word := range strings.SplitSeq(text, ",") {
		n, err := strconv.Atoi(strings.TrimSpace(word))
		if err != nil || n < low || n > high {
			return nil, fmt.Errorf("%q is not a number from %d to %d", word, low, high)
		}
		numbers = append(numbers, n)
	}
	return numbers, nil
}
