package daemon

import (
	"context"
	"fmt"
	"io"
	"runtime"

	"github.com/weft-run/weft/kernels/cpu"
	"github.com/weft-run/weft/runtime/gguf"
	"github.com/weft-run/weft/runtime/models"
)

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
	TokensPerSecond []float64 `json:"tokens_per_second,omitempty"`
	// LoadMillis is there with --load: from the start of loading to the first token.
	LoadMillis []float64 `json:"load_ms,omitempty"`
	// Perplexity is there with --perplexity.
	Perplexity *benchPerplexity `json:"perplexity,omitempty"`
	// Roofline is there with --roofline.
	Roofline *benchRoofline `json:"roofline,omitempty"`
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
	w := newBenchWriter(out, plan)
	if plan.file != "" {
		file, err := gguf.Open(plan.file, gguf.DefaultLimits())
		if err != nil {
			return err
		}
		if err := benchFile(ctx, plan, file, w.add); err != nil {
			return err
		}
	}
	for _, m := range plan.synthetic {
		file, err := writeSynthetic(ctx, m, plan.keep)
		if err != nil {
			return err
		}
		if err := benchFile(ctx, plan, file, w.add); err != nil {
			return err
		}
	}
	return w.close()
}

// benchFile does every test on one file and closes it.
func benchFile(ctx context.Context, plan benchPlan, file *gguf.File, report func(benchResult) error) error {
	defer func() { _ = file.Close() }() // it was only read
	model, err := models.Load(file)
	if err != nil {
		return err
	}
	if err := model.Config().CacheLayout(1, benchPageTokens, plan.cache).Check(); err != nil {
		return fmt.Errorf("--kv %s: %w", plan.cache, err)
	}
	row := describe(file, model)
	row.KVType = plan.cache.String()
	if plan.load {
		return benchLoad(ctx, plan, row, report)
	}
	var chunks [][]int32
	if plan.perplexity.text != "" {
		if chunks, err = textChunks(file, plan.perplexity); err != nil {
			return err
		}
	}
	cost := costOf(file, model.Config(), plan)
	for _, threads := range plan.threads {
		if err := benchThreads(ctx, plan, model, cost, chunks, threads, row, report); err != nil {
			return err
		}
	}
	return nil
}

// benchThreads does every test on one number of threads; where there are chunks, these are the test.
func benchThreads(ctx context.Context, plan benchPlan, model models.Model, cost benchCost, chunks [][]int32, threads int, row benchResult,
	report func(benchResult) error,
) error {
	device, err := cpu.NewDevice(cpu.Options{Threads: threads, Level: plan.level})
	if err != nil {
		return err
	}
	defer device.Close()
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(device.Threads() + 2)) // as the daemon runs
	row.Threads, row.Level = device.Threads(), device.Level()
	if plan.stacks, err = benchAdapters(device, model, plan); err != nil {
		return err
	}
	if chunks != nil {
		row.Test = fmt.Sprintf("ppl%dx%d", plan.perplexity.chunk, len(chunks))
		var rate float64
		if row.Perplexity, rate, err = measurePerplexity(ctx, device, model, plan, chunks); err != nil {
			return fmt.Errorf("%s: %w", row.Test, err)
		}
		row.TokensPerSecond = []float64{rate}
		return report(row)
	}
	for _, depth := range plan.depths {
		for _, t := range plan.tests(depth) {
			row.Test = t.name()
			var limits cpu.Roofline
			if plan.roofline {
				if limits, err = device.Roofline(); err != nil {
					return err
				}
			}
			rates, err := measure(ctx, device, model, plan, t)
			if err != nil {
				return fmt.Errorf("%s: %w", row.Test, err)
			}
			for i, adapters := range plan.adapters {
				row.Test, row.TokensPerSecond = t.name(), rates[i]
				if adapters > 0 {
					row.Test += fmt.Sprintf("+%dr%d", adapters, plan.rank)
				}
				if plan.roofline {
					row.Roofline = cost.against(limits, t, median(row.TokensPerSecond))
				}
				if err := report(row); err != nil {
					return err
				}
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
