package adapters

import (
	"encoding/json"
	"errors"
	"io"
	"math"
	"os"
	"slices"
	"testing"

	"github.com/weft-run/weft/kernels"
	"github.com/weft-run/weft/kernels/cpu"
	"github.com/weft-run/weft/runtime/gguf"
	"github.com/weft-run/weft/runtime/kvcache"
	"github.com/weft-run/weft/runtime/models"
)

// solo computes one sequence at a time with a model, on pages of its own.
type solo struct {
	t       testing.TB
	model   models.Model
	backend kernels.Backend
	device  *cpu.Device
	ws      *models.Workspace
	pages   *kvcache.Pages
	table   []int32 // all pages
	len     int
	stages  []models.Stage
}

const (
	soloPageTokens = 16
	soloRows       = 32 // of logits in a step
)

func newSolo(t testing.TB, f *gguf.File, tokens int, cache kernels.CacheType) *solo {
	t.Helper()
	m, err := models.Load(f)
	must(t, err)
	d, err := cpu.NewDevice(cpu.Options{Level: os.Getenv("WEFT_CPU")})
	must(t, err)
	t.Cleanup(d.Close)
	b := d.Open()
	t.Cleanup(b.Close)
	count := (tokens + soloPageTokens - 1) / soloPageTokens
	pages, err := kvcache.NewPages(b, m.Config().CacheLayout(count, soloPageTokens, cache))
	must(t, err)
	t.Cleanup(pages.Free)
	s := &solo{t: t, model: m, backend: b, device: d, ws: models.NewWorkspace(b, m.Config(), tokens, soloRows), pages: pages}
	for i := range count {
		s.table = append(s.table, int32(i))
	}
	return s
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// bind makes the model's form of the adapter at path.
func (s *solo) bind(path string) *models.Adapter {
	s.t.Helper()
	source, err := Open(path, DefaultLimits())
	must(s.t, err)
	defer func() { must(s.t, source.Close()) }()
	binder := models.NewBinder(s.model, s.device)
	digest, err := source.Read(s.model.Config().Architecture, s.model.Targets(), binder, nil)
	must(s.t, err)
	a, err := binder.Adapter(digest, source.Invocation)
	must(s.t, err)
	return a
}

// start begins a sequence and returns the logits behind the prompt.
func (s *solo) start(prompt []int32, uses ...models.AdapterUse) []float32 {
	s.t.Helper()
	return s.ends(prompt, 1, uses...)[0]
}

// ends begins a sequence and returns the logits behind each of its last tokens.
func (s *solo) ends(tokens []int32, last int, uses ...models.AdapterUse) [][]float32 {
	s.t.Helper()
	var err error
	s.stages, err = models.Stages(s.model, tokens, uses)
	must(s.t, err)
	s.len = 0
	return s.compute(tokens, last)
}

func (s *solo) step(token int32) []float32 { return s.compute([]int32{token}, 1)[0] }

// compute goes on with the sequence.
func (s *solo) compute(tokens []int32, last int) [][]float32 {
	s.t.Helper()
	b := &models.Batch{}
	for i, id := range tokens {
		at := int32(s.len + i)
		b.Tokens, b.Positions, b.Slots = append(b.Tokens, id), append(b.Positions, at), append(b.Slots, at)
		if i >= len(tokens)-last {
			b.LogitRows = append(b.LogitRows, int32(i))
		}
	}
	for i, stage := range s.stages {
		from, to := max(stage.From-s.len, 0), len(tokens)
		if i+1 < len(s.stages) {
			to = min(to, s.stages[i+1].From-s.len)
		}
		if from < to {
			b.Adapted = models.Adapt(b.Adapted, from, to-from, stage.Stack)
		}
	}
	b.Spans = []kernels.Span{{First: 0, Count: len(tokens), Pos: s.len, Pages: s.table}}
	s.len += len(tokens)
	logits := s.model.Forward(s.backend, s.ws, b, s.pages)
	all := make([]float32, logits.Rows*logits.Cols)
	s.backend.Read(all, logits)
	must(s.t, s.backend.Sync())
	return slices.Collect(slices.Chunk(all, logits.Cols))
}

// golden is a line of a golden.jsonl: what PyTorch and PEFT compute.
type golden struct {
	Adapters []struct {
		Name  string
		Scale float32
	}
	Name   string
	IDs    []int32
	Top    [][2]float64 // id, logit
	LSE    float64
	Greedy []int32
	Margin []float64
}

func readGolden(t testing.TB, path string) (list []golden) {
	t.Helper()
	f, err := os.Open(path)
	must(t, err)
	defer func() { _ = f.Close() }()
	for d := json.NewDecoder(f); ; {
		var g golden
		if err := d.Decode(&g); errors.Is(err, io.EOF) {
			return list
		} else if err != nil {
			t.Fatal(err)
		}
		list = append(list, g)
	}
}

// uses are the line's adapters, bound.
func (g *golden) uses(bound map[string]*models.Adapter) (list []models.AdapterUse) {
	for _, a := range g.Adapters {
		list = append(list, models.AdapterUse{Adapter: bound[a.Name], Scale: a.Scale})
	}
	return list
}

// off is how far each of the line's logprobs is from that of logits.
func (g *golden) off(logits []float32) (list []float64) {
	total := lse(logits)
	for _, top := range g.Top {
		list = append(list, math.Abs((float64(logits[int(top[0])])-total)-(top[1]-g.LSE)))
	}
	return list
}

// lse is log(sum(exp)) of logits.
func lse(logits []float32) float64 {
	high := float64(slices.Max(logits))
	sum := 0.0
	for _, x := range logits {
		sum += math.Exp(float64(x) - high)
	}
	return high + math.Log(sum)
}

// closeCall is the margin under which float32 sums of another order may choose another token.
const closeCall = 2e-3

// play computes the line and returns how far its logprobs are off; tokens that differ where the choice was not close fail the test. It
// follows the line's tokens, so that one close call does not end the comparison.
func (s *solo) play(g golden, bound map[string]*models.Adapter) float64 {
	s.t.Helper()
	logits := s.start(g.IDs, g.uses(bound)...)
	off := slices.Max(g.off(logits))
	for i, want := range g.Greedy {
		best := 0
		for id, x := range logits {
			if x > logits[best] {
				best = id
			}
		}
		if int32(best) != want && g.Margin[i] >= closeCall {
			s.t.Errorf("%v %s: token %d is %d, want %d (margin %g)", g.Adapters, g.Name, i, best, want, g.Margin[i])
		}
		if i+1 < len(g.Greedy) {
			logits = s.step(want)
		}
	}
	return off
}
