package adapters

import (
	"encoding/json"
	"errors"
	"io"
	"math"
	"os"
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
	ws      *models.Workspace
	pages   *kvcache.Pages
	table   []int32 // all pages
	len     int
	stages  []models.Stage
}

const soloPageTokens = 16

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
	s := &solo{t: t, model: m, backend: b, ws: models.NewWorkspace(b, m.Config(), tokens, 1), pages: pages}
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
	spec, err := source.Spec(s.model.Config().Architecture, s.model.Targets())
	must(s.t, err)
	a, err := models.NewAdapter(s.model, &spec)
	must(s.t, err)
	return a
}

// start begins a sequence and returns the logits behind the prompt, a view that the next step overwrites.
func (s *solo) start(prompt []int32, uses ...models.AdapterUse) []float32 {
	s.t.Helper()
	var err error
	s.stages, err = models.Stages(s.model, prompt, uses)
	must(s.t, err)
	s.len = 0
	return s.step(prompt...)
}

func (s *solo) step(tokens ...int32) []float32 {
	s.t.Helper()
	b := &models.Batch{LogitRows: []int32{int32(len(tokens) - 1)}}
	for i, id := range tokens {
		at := int32(s.len + i)
		b.Tokens, b.Positions, b.Slots = append(b.Tokens, id), append(b.Positions, at), append(b.Slots, at)
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
	out := make([]float32, logits.Cols)
	s.backend.Read(out, logits)
	must(s.t, s.backend.Sync())
	return out
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

// off is the largest difference of the line's logprobs from those of logits.
func (g *golden) off(logits []float32) (worst float64) {
	high := float64(logits[0])
	for _, x := range logits {
		high = max(high, float64(x))
	}
	sum := 0.0
	for _, x := range logits {
		sum += math.Exp(float64(x) - high)
	}
	total := high + math.Log(sum)
	for _, top := range g.Top {
		worst = max(worst, math.Abs((float64(logits[int(top[0])])-total)-(top[1]-g.LSE)))
	}
	return worst
}

// closeCall is the margin under which float32 sums of another order may choose another token.
const closeCall = 2e-3

// play computes the line and returns how far its logprobs are off; tokens that differ where the choice was not close fail the test. It
// follows the line's tokens, so that one close call does not end the comparison.
func (s *solo) play(g golden, bound map[string]*models.Adapter) float64 {
	s.t.Helper()
	var uses []models.AdapterUse
	for _, a := range g.Adapters {
		uses = append(uses, models.AdapterUse{Adapter: bound[a.Name], Scale: a.Scale})
	}
	logits := s.start(g.IDs, uses...)
	off := g.off(logits)
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
