package engine

import (
	"errors"
	"io"
	"slices"
	"testing"

	"github.com/weft-run/weft/kernels/cpu"
	"github.com/weft-run/weft/runtime/gguf"
	"github.com/weft-run/weft/runtime/models"
	"github.com/weft-run/weft/runtime/modeltest"
	"github.com/weft-run/weft/runtime/tokenizer"
)

// passage is what the copying tasks are to give back. It is ours.
const passage = `The warehouse of the river company stands at the north end of the harbour. Every morning at six the foreman opens the
two iron gates, checks the water level on the painted scale beside the dock, and writes the figure into a green book. If the level is
above four metres, the small boats stay tied to the wall and the crew repairs nets until noon. If it is below four metres, the first
boat leaves at seven with letters, flour, lamp oil and spare ropes for the villages upstream. On Fridays a second boat carries tools
for the saw mill. The foreman's daughter keeps the accounts: she counts the sacks, signs the papers, and sends a copy of each list to
the office in the city, where nobody reads them.`

// speculationTasks are what BenchmarkSpeculation asks: the first two copy, the others have little to copy from.
var speculationTasks = []struct {
	name, ask   string
	temperature float64
}{
	{"rewrite", "Rewrite the following text and keep every sentence as it is:\n\n" + passage, 0},
	{"rewrite-sampled", "Repeat the following text word by word:\n\n" + passage, 0.7},
	{"story", "Write a long story about a lighthouse keeper who finds a map.", 0.8},
	{"explain", "Explain how a bicycle stays upright.", 0},
	{"list", "List twenty animals and say one thing about each.", 0},
	{"summary", "Say in other words what this text is about:\n\n" + passage, 0.8},
}

// BenchmarkSpeculation computes each task without guesses and with them, in turns on two engines of one device, and reports the median
// of the decode rates and of their ratios. Answers are compared: they must be the same.
func BenchmarkSpeculation(b *testing.B) {
	for _, file := range []string{"SmolLM2-135M-Instruct.Q4_1.gguf", "smollm2-f32.gguf"} {
		b.Run(file, func(b *testing.B) { benchmarkSpeculation(b, file, "") })
	}
}

// BenchmarkDraft does the same with a draft: the model itself in a type of a fifth of the bytes.
func BenchmarkDraft(b *testing.B) {
	benchmarkSpeculation(b, "smollm2-f32.gguf", "SmolLM2-135M-Instruct.Q4_1.gguf")
}

func openModel(b *testing.B, file string) (*gguf.File, models.Model) {
	b.Helper()
	f, err := gguf.Open(modeltest.File(b, file), gguf.DefaultLimits())
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { f.Close() })
	model, err := models.Load(f)
	if err != nil {
		b.Fatal(err)
	}
	return f, model
}

func benchmarkSpeculation(b *testing.B, file, draft string) {
	f, model := openModel(b, file)
	words, err := tokenizer.New(f.Meta())
	if err != nil {
		b.Fatal(err)
	}
	device, err := cpu.NewDevice(cpu.Options{})
	if err != nil {
		b.Fatal(err)
	}
	defer device.Close()
	var engines [2]*Engine
	for i := range engines {
		engines[i], err = New(Config{
			Backend: device.Open(), Model: model, EOG: words.EOG(), ContextLen: 1024, MaxBatch: 1, NoSpeculation: i == 0,
		})
		if err != nil {
			b.Fatal(err)
		}
		defer engines[i].Close()
	}
	if draft != "" {
		_, small := openModel(b, draft)
		d, err := NewDraft(DraftConfig{Backend: device.Open(), Model: small, Vocab: model.Config().Vocab, ContextLen: 1024, PageTokens: 32})
		if err != nil {
			b.Fatal(err)
		}
		defer d.Close()
		if err := engines[1].SetDraft(testContext(b), d); err != nil {
			b.Fatal(err)
		}
		defer func() { _ = engines[1].SetDraft(testContext(b), nil) }()
	}
	for _, task := range speculationTasks {
		b.Run(task.name, func(b *testing.B) {
			req := Request{MaxTokens: 160, Sampling: greedy()}
			req.Sampling.Temperature = task.temperature
			req.Prompt = words.Encode("<|im_start|>user\n"+task.ask+"<|im_end|>\n<|im_start|>assistant\n", tokenizer.EncodeOptions{ParseSpecial: true})
			var rates [2][]float64
			var ratios []float64
			var last Result
			for turn := range b.N {
				req.Sampling.Seed = uint64(turn)
				var rate [2]float64
				var answers [2][]int32
				for k := range engines {
					i := (k + turn) % 2 // who is first takes turns too
					e := engines[i]
					answers[i], last = decodeRate(b, e, req)
					rate[i] = float64(last.CompletionTokens-1) / (last.Total - last.TTFT).Seconds()
					rates[i] = append(rates[i], rate[i])
				}
				if !slices.Equal(answers[0], answers[1]) {
					b.Fatalf("without guesses %v, with them %v", answers[0], answers[1])
				}
				ratios = append(ratios, rate[1]/rate[0])
			}
			median := func(x []float64) float64 {
				slices.Sort(x)
				return x[len(x)/2]
			}
			b.ReportMetric(0, "ns/op")
			b.ReportMetric(median(rates[0]), "off-tok/s")
			b.ReportMetric(median(rates[1]), "auto-tok/s")
			b.ReportMetric(median(ratios), "ratio")
			b.ReportMetric(float64(last.CompletionTokens), "tokens")
			b.ReportMetric(float64(last.AcceptedTokens), "accepted")
			b.ReportMetric(float64(last.DraftedTokens), "drafted")
		})
	}
}

// decodeRate computes one request to its end.
func decodeRate(b *testing.B, e *Engine, req Request) ([]int32, Result) {
	s, err := e.Submit(req)
	if err != nil {
		b.Fatal(err)
	}
	ids, err := drain(testContext(b), s)
	if !errors.Is(err, io.EOF) {
		b.Fatal(err)
	}
	return ids, s.Result()
}
