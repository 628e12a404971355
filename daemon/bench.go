package daemon

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"runtime"
	"strconv"
	"strings"

	"github.com/weft-run/weft/kernels"
	"github.com/weft-run/weft/kernels/cpu"
	"github.com/weft-run/weft/runtime/gguf"
	"github.com/weft-run/weft/runtime/models"
)

// benchUsage is the help of `weftd bench`.
const benchUsage = `Usage: weftd bench FILE [flags]

Measures the engine on a model, in this process: prefill (pp) and decode (tg) in tokens per second. Lists are written with
commas; every test is done for every thread count.

  -p LIST        prompt lengths to prefill (default 512; 0: none)
  -n LIST        numbers of tokens to decode (default 64; 0: none)
  -d LIST        depths: tokens in the cache before a test begins (default 0)
  -b LIST        sequences decoded together (default 1)
  -t LIST        threads (default 0: every processor the process may use)
  -r N           timed runs of each test (default 5)
  -u TOKENS      most tokens of a prompt in one step (default 512)
  --kv TYPE      cache type: f16 or f32 (default f16)
  --cpu LEVEL    highest instruction level (default $WEFT_CPU, then the best)
  --json         print an array of objects
  --markdown     print a markdown table
`

// benchPlan is what to measure.
type benchPlan struct {
	file                                       string
	prompts, outputs, depths, batches, threads []int
	runs, stepTokens                           int
	cache                                      kernels.CacheType
	level                                      string
	form                                       string // "text", "json" or "markdown"
	help                                       bool
}

// benchResult is one row of the result, and one object of the JSON.
type benchResult struct {
	Test            string    `json:"test"`
	Model           string    `json:"model"`
	Type            string    `json:"type"`
	Size            int64     `json:"size"` // bytes
	Parameters      int64     `json:"parameters"`
	KVType          string    `json:"kv_type"`
	Threads         int       `json:"threads"`
	Level           string    `json:"level"`
	TokensPerSecond []float64 `json:"tokens_per_second"`
}

// Bench runs `weftd bench` with the arguments behind the word. level is the instruction level unless a flag says otherwise. Wrong
// arguments give an error that is ErrUsage.
func Bench(ctx context.Context, args []string, level string, out io.Writer) error {
	plan, err := parseBench(args, level)
	if err != nil {
		return fmt.Errorf("%w: weftd bench: %w", ErrUsage, err)
	}
	if plan.help {
		_, err := io.WriteString(out, benchUsage)
		return err
	}
	file, err := gguf.Open(plan.file, gguf.DefaultLimits())
	if err != nil {
		return err
	}
	defer func() { _ = file.Close() }() // it was only read
	model, err := models.Load(file)
	if err != nil {
		return err
	}
	row := describe(file, model)
	row.KVType = map[kernels.CacheType]string{kernels.CacheF16: "f16", kernels.CacheF32: "f32"}[plan.cache]
	w := newBenchWriter(out, plan.form)
	for _, threads := range plan.threads {
		if err := benchThreads(ctx, plan, model, threads, row, w.add); err != nil {
			return err
		}
	}
	return w.close()
}

// benchThreads does every test on one number of threads.
func benchThreads(ctx context.Context, plan benchPlan, model models.Model, threads int, row benchResult, report func(benchResult) error) error {
	device, err := cpu.NewDevice(cpu.Options{Threads: threads, Level: plan.level})
	if err != nil {
		return err
	}
	defer device.Close()
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(device.Threads() + 2)) // as the daemon runs
	row.Threads, row.Level = device.Threads(), device.Level()
	for _, depth := range plan.depths {
		for _, t := range plan.tests(depth) {
			row.Test = t.name()
			if row.TokensPerSecond, err = measure(ctx, device, model, plan, t); err != nil {
				return fmt.Errorf("%s: %w", row.Test, err)
			}
			if err := report(row); err != nil {
				return err
			}
		}
	}
	return nil
}

// benchTest is one test: prefill of prompt tokens, or decode of output tokens in each of batch sequences, at a depth.
type benchTest struct {
	prompt, output, depth, batch int
}

// tests lists the tests at one depth.
func (p benchPlan) tests(depth int) []benchTest {
	var list []benchTest
	for _, n := range p.prompts {
		if n > 0 {
			list = append(list, benchTest{prompt: n, depth: depth, batch: 1})
		}
	}
	for _, n := range p.outputs {
		for _, b := range p.batches {
			if n > 0 {
				list = append(list, benchTest{output: n, depth: depth, batch: b})
			}
		}
	}
	return list
}

// name is "pp512", "tg64", "tg64@4096", "tg64x8", "tg64x8@4096".
func (t benchTest) name() string {
	name := fmt.Sprintf("tg%d", t.output)
	if t.prompt > 0 {
		name = fmt.Sprintf("pp%d", t.prompt)
	}
	if t.batch > 1 {
		name += fmt.Sprintf("x%d", t.batch)
	}
	if t.depth > 0 {
		name += fmt.Sprintf("@%d", t.depth)
	}
	return name
}

// describe fills what the file says of the model.
func describe(f *gguf.File, m models.Model) benchResult {
	row := benchResult{Model: m.Config().Architecture, Size: f.Size()}
	if name, err := f.Meta().Str("general.name", ""); err == nil && name != "" {
		row.Model = name
	}
	bytes := map[string]uint64{}
	most := uint64(0)
	for _, t := range f.Tensors() {
		n := int64(1)
		for _, d := range t.Dims {
			n *= int64(d)
		}
		row.Parameters += n
		name := t.Type.String()
		if bytes[name] += t.Bytes; bytes[name] > most { // the type that most of the file is in
			most, row.Type = bytes[name], name
		}
	}
	return row
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
	set.IntVar(&p.runs, "r", 5, "")
	set.IntVar(&p.stepTokens, "u", 512, "")
	set.StringVar(&p.level, "cpu", level, "")
	kv := set.String("kv", "f16", "")
	asJSON := set.Bool("json", false, "")
	asMarkdown := set.Bool("markdown", false, "")
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
	if len(files) != 1 {
		return p, fmt.Errorf("%d files named, and one model can be measured: weftd bench FILE [flags]", len(files))
	}
	p.file = files[0]
	if p.runs < 1 || p.stepTokens < 1 || p.stepTokens > 1<<16 {
		return p, fmt.Errorf("-r %d -u %d: at least one run, and 1 to 65536 tokens in a step", p.runs, p.stepTokens)
	}
	switch *kv {
	case "f16":
		p.cache = kernels.CacheF16
	case "f32":
		p.cache = kernels.CacheF32
	default:
		return p, fmt.Errorf("--kv %q is neither f16 nor f32", *kv)
	}
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
