package models

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/weft-run/weft/kernels"
	"github.com/weft-run/weft/kernels/cpu"
	"github.com/weft-run/weft/kernels/quant"
	"github.com/weft-run/weft/runtime/modeltest/synthetic"
)

// drawSpec makes an adapter of the targets that the filter names, of ranks that differ. Its factors lose nothing by being packed.
func drawSpec(m Model, seed uint64, rank int, filter func(name string) bool) *AdapterSpec {
	spec := &AdapterSpec{Digest: fmt.Sprintf("adapter-%d", seed)}
	for i, t := range m.Targets() {
		if !filter(t.Name) {
			continue
		}
		d := Delta{Target: t.Name, Rank: 1 + (rank-1+i)%rank, Scale: 0.25}
		outputs, inputs := d.shape(&t)
		d.A, d.B = synthetic.Factors(seed<<8+uint64(i), d.Rank, outputs, inputs)
		for _, list := range [][]float32{d.A, d.B} { // to values that halves hold
			for k, x := range list {
				list[k] = math.Float32frombits(math.Float32bits(x) &^ 0x1fff)
			}
		}
		spec.Deltas = append(spec.Deltas, d)
	}
	return spec
}

func all(string) bool { return true }

func layersOnly(name string) bool { return strings.HasPrefix(name, "blk.") }

// withDoRA makes an adapter one of DoRA.
func withDoRA(m Model, spec *AdapterSpec) *AdapterSpec {
	for i := range spec.Deltas {
		d := &spec.Deltas[i]
		for _, t := range m.Targets() {
			if t.Name == d.Target && t.Name != embedding {
				d.Magnitude, _ = synthetic.Factors(uint64(i), 1, 1, t.Rows)
				for k, x := range d.Magnitude {
					d.Magnitude[k] = 2 + x
				}
			}
		}
	}
	return spec
}

// withBiases gives the adapter's products biases, and one product a bias alone.
func withBiases(m Model, spec *AdapterSpec) *AdapterSpec {
	for i := range spec.Deltas {
		d := &spec.Deltas[i]
		for _, t := range m.Targets() {
			if t.Name == d.Target && t.Name != embedding {
				d.Bias, _ = synthetic.Factors(uint64(i)+99, 1, 1, t.Rows)
				if i == 3 {
					d.Rank, d.A, d.B = 0, nil, nil
				}
			}
		}
	}
	return spec
}

// merged is the weights of m with the uses merged into them in float64: what adapters mean.
func (m *tiny) merged(uses []AdapterUse, specs map[*Adapter]*AdapterSpec) map[string][]float64 {
	values := map[string][]float64{}
	for name, v := range m.values {
		values[name] = slices.Clone(v)
	}
	if !m.Untied {
		values["output.weight"] = slices.Clone(m.values["token_embd.weight"])
	}
	for _, u := range uses {
		for _, d := range specs[u.Adapter].Deltas {
			w := values[d.Target+".weight"]
			cols := m.Width
			switch {
			case d.Target == embedding || d.Target == "output":
			case d.Rank > 0:
				cols = len(d.A) / d.Rank
			default:
				cols = len(w) / len(d.Bias)
			}
			rows := len(w) / cols
			s := float64(d.Scale) * float64(u.Scale)
			for i := range rows {
				length := 0.0
				for j := range cols {
					sum := 0.0
					for k := range d.Rank {
						if d.Target == embedding {
							sum += float64(d.B[j*d.Rank+k]) * float64(d.A[k*rows+i])
						} else {
							sum += float64(d.B[i*d.Rank+k]) * float64(d.A[k*cols+j])
						}
					}
					w[i*cols+j] += s * sum
					length += w[i*cols+j] * w[i*cols+j]
				}
				if d.Magnitude != nil {
					for j := range cols {
						w[i*cols+j] *= float64(d.Magnitude[i]) / math.Sqrt(length)
					}
				}
			}
			if d.Bias != nil {
				bias := slices.Clone(values[d.Target+".bias"])
				if bias == nil {
					bias = make([]float64, rows)
				}
				for i, b := range d.Bias {
					bias[i] += float64(b)
				}
				values[d.Target+".bias"] = bias
			}
		}
	}
	return values
}

// TestAdapters holds adapters of every kind against the float64 forward with the weights that they mean.
func TestAdapters(t *testing.T) {
	invocation := []int32{7, 8, 9}
	for _, c := range []struct {
		name  string
		model tiny
		specs func(m Model) []*AdapterSpec
		scale []float32
	}{
		{"layers", small, func(m Model) []*AdapterSpec { return []*AdapterSpec{drawSpec(m, 1, 8, layersOnly)} }, []float32{1}},
		{"everything", small, func(m Model) []*AdapterSpec { return []*AdapterSpec{drawSpec(m, 2, 8, all)} }, []float32{0.7}},
		{
			"everything untied", with(small, func(m *tiny) { m.Untied, m.Biases = true, true }),
			func(m Model) []*AdapterSpec { return []*AdapterSpec{drawSpec(m, 2, 20, all)} },
			[]float32{-1.3},
		},
		{"embedding of a tied head", small, func(m Model) []*AdapterSpec {
			return []*AdapterSpec{drawSpec(m, 3, 4, func(name string) bool { return name == embedding })}
		}, []float32{2}},
		{"tied head", small, func(m Model) []*AdapterSpec {
			return []*AdapterSpec{drawSpec(m, 4, 4, func(name string) bool { return name == "output" })}
		}, []float32{2}},
		{"dora", small, func(m Model) []*AdapterSpec { return []*AdapterSpec{withDoRA(m, drawSpec(m, 5, 8, all))} }, []float32{1}},
		{
			"dora at a scale", with(small, func(m *tiny) { m.Biases = true }),
			func(m Model) []*AdapterSpec { return []*AdapterSpec{withDoRA(m, drawSpec(m, 5, 8, layersOnly))} },
			[]float32{0.3},
		},
		{"biases", small, func(m Model) []*AdapterSpec {
			return []*AdapterSpec{withBiases(m, drawSpec(m, 6, 8, all))}
		}, []float32{0.5}},
		{"biases on biases", with(small, func(m *tiny) { m.Biases = true }), func(m Model) []*AdapterSpec {
			return []*AdapterSpec{withBiases(m, drawSpec(m, 6, 8, layersOnly))}
		}, []float32{1}},
		{"stack", small, func(m Model) []*AdapterSpec {
			return []*AdapterSpec{drawSpec(m, 7, 8, layersOnly), withBiases(m, drawSpec(m, 8, 3, all)), drawSpec(m, 9, 2, all)}
		}, []float32{0.7, 0.3, -0.5}},
		{
			"odd", with(small, func(m *tiny) { m.Width, m.Heads, m.KVHeads, m.HeadDim, m.FFN, m.VocabSize = 37, 3, 3, 10, 51, 491 }),
			func(m Model) []*AdapterSpec { return []*AdapterSpec{withDoRA(m, drawSpec(m, 10, 5, all))} },
			[]float32{1},
		},
		{"activated", small, func(m Model) []*AdapterSpec {
			spec := drawSpec(m, 11, 8, all)
			spec.Invocation = invocation
			return []*AdapterSpec{drawSpec(m, 12, 4, layersOnly), spec}
		}, []float32{0.5, 1}},
	} {
		t.Run(c.name, func(t *testing.T) {
			m := c.model.build(11)
			r := newRunner(t, m.open(t), runnerOptions{cache: kernels.CacheF32, pages: 8, rows: 64, logitRows: 64})
			specs := map[*Adapter]*AdapterSpec{}
			var uses []AdapterUse
			for i, spec := range c.specs(r.model) {
				a, err := NewAdapter(r.model, spec, r.device)
				if err != nil {
					t.Fatal(err)
				}
				specs[a] = spec
				uses = append(uses, AdapterUse{a, c.scale[i]})
			}
			tokens := randomTokens(1, 50, m.VocabSize)
			copy(tokens[5:], invocation)
			copy(tokens[21:], invocation) // the last one
			stages, err := Stages(r.model, tokens, uses)
			if err != nil {
				t.Fatal(err)
			}
			got := r.prefill(&sequence{stages: stages}, tokens, 13)
			before, after := m.merged(uses[:1], specs), m.merged(uses, specs)
			m.Untied = true // merged has a head of its own
			m.valuesAt = func(position int) map[string][]float64 {
				if c.name == "activated" && position < 21 {
					return before
				}
				return after
			}
			worst := 0.0
			for i, row := range m.logits(tokens) {
				for id, want := range row {
					worst = max(worst, math.Abs(float64(got[i*m.VocabSize+id])-want))
				}
			}
			if !(worst < 2e-4) { // of logits around 10, as without adapters
				t.Errorf("logits differ by up to %g from the float64 forward", worst)
			}
		})
	}
}

// TestAdaptersMixed: rows of adapters, stacks and none in one batch have the bits that they have alone, in chunks, at any level and
// number of threads, in any kind of weights.
func TestAdaptersMixed(t *testing.T) {
	kinds := []quant.Type{quant.Q4_0, quant.F32, quant.Q6_K}
	if testing.Short() {
		kinds = kinds[:1]
	}
	for _, kind := range kinds {
		t.Run(kind.String(), func(t *testing.T) {
			base := small
			base.Type, base.Biases = kind, true
			base.Width, base.Heads, base.FFN = 64, 4, 96
			if kind == quant.Q6_K {
				base.Width, base.FFN = 256, 256
			}
			m := base.build(3)
			f := m.open(t)
			tokens := randomTokens(2, 40, m.VocabSize)
			// list is the stages of each sequence; they are of the runner's own model.
			list := func(r *runner) (list [][]Stage) {
				var adapters []*Adapter
				for i, spec := range []*AdapterSpec{
					drawSpec(r.model, 1, 16, layersOnly), withBiases(r.model, drawSpec(r.model, 2, 7, all)), withDoRA(r.model, drawSpec(r.model, 3, 33, all)),
				} {
					if i == 1 {
						spec.Invocation = tokens[17:19]
					}
					a, err := NewAdapter(r.model, spec, r.device)
					if err != nil {
						t.Fatal(err)
					}
					adapters = append(adapters, a)
				}
				for _, uses := range [][]AdapterUse{
					nil,
					{{adapters[0], 1}},
					{{adapters[0], 1}},
					{{adapters[0], 0.5}},
					{{adapters[1], 1}},
					{{adapters[2], 0.8}},
					{{adapters[0], 0.7}, {adapters[1], 0.3}},
					{{adapters[0], 0}},
				} {
					stages, err := Stages(r.model, tokens, uses)
					if err != nil {
						t.Fatal(err)
					}
					list = append(list, stages)
				}
				return list
			}
			n := len(list(newRunner(t, f, runnerOptions{pages: 1, rows: 1, logitRows: 1})))
			want := make([][]float32, n)
			reference := newRunner(t, f, runnerOptions{cpu: cpu.Options{Threads: 1, Level: "ref"}, pages: 8 * n, rows: 64, logitRows: 64})
			for i, stages := range list(reference) {
				want[i] = slices.Clone(reference.prefill(&sequence{stages: stages}, tokens, len(tokens)))
			}
			equal(t, "scale 0", want[n-1], want[0])
			if slices.Equal(want[1], want[0]) || slices.Equal(want[1], want[3]) {
				t.Error("an adapter changes nothing, or nothing by its scale")
			}
			for _, level := range levelsHere(t) {
				for _, chunk := range []int{1, 3, 11} {
					r := newRunner(t, f, runnerOptions{cpu: cpu.Options{Threads: 2, Level: level}, pages: 8 * n, rows: 128, logitRows: 128})
					seqs, got := make([]sequence, n), make([][]float32, n)
					for i, stages := range list(r) {
						seqs[i].stages = stages
					}
					for at := 0; at < len(tokens); at += chunk {
						piece := tokens[at:min(at+chunk, len(tokens))]
						parts := make([]part, n)
						for i := range parts {
							parts[i] = part{&seqs[i], piece, len(piece)}
						}
						out := r.step(parts...)
						for i := range parts {
							size := len(piece) * m.VocabSize
							got[i] = append(got[i], out[i*size:(i+1)*size]...)
						}
					}
					for i := range got {
						equal(t, fmt.Sprintf("level %q, chunks of %d, sequence %d", level, chunk, i), got[i], want[i])
					}
				}
			}
		})
	}
}

// TestNewAdapterRefuses: what does not fit the model, or is no number, is refused by name before anything is computed.
func TestNewAdapterRefuses(t *testing.T) {
	m := small.build(1)
	model, err := Load(m.open(t))
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		change func(s *AdapterSpec)
		want   string
		class  error
	}{
		"nothing":         {func(s *AdapterSpec) { s.Deltas = nil }, "changes nothing", ErrInvalid},
		"unknown target":  {func(s *AdapterSpec) { s.Deltas[2].Target = "blk.9.attn_q" }, `"blk.9.attn_q", which the model does not have`, ErrInvalid},
		"twice":           {func(s *AdapterSpec) { s.Deltas[2].Target = s.Deltas[1].Target }, "twice", ErrInvalid},
		"rank 0":          {func(s *AdapterSpec) { s.Deltas[2].Rank = 0; s.Deltas[2].A, s.Deltas[2].B = nil, nil }, "neither factors nor a bias", ErrInvalid},
		"rank too large":  {func(s *AdapterSpec) { s.Deltas[2].Rank = 1 << 40 }, "rank 1099511627776, want", ErrInvalid},
		"factors":         {func(s *AdapterSpec) { s.Deltas[2].A = s.Deltas[2].A[1:] }, "values, want", ErrInvalid},
		"not a number":    {func(s *AdapterSpec) { s.Deltas[2].B[3] = float32(math.NaN()) }, "holds NaN", ErrInvalid},
		"infinite scale":  {func(s *AdapterSpec) { s.Deltas[2].Scale = float32(math.Inf(1)) }, "holds +Inf", ErrInvalid},
		"bias":            {func(s *AdapterSpec) { s.Deltas[2].Bias = make([]float32, 5) }, "bias of", ErrInvalid},
		"dora embeddings": {func(s *AdapterSpec) { s.Deltas[0].Magnitude = make([]float32, m.VocabSize) }, "DoRA is computed for products only", ErrUnsupported},
	} {
		t.Run(name, func(t *testing.T) {
			spec := drawSpec(model, 1, 4, all)
			c.change(spec)
			_, err := NewAdapter(model, spec, refDevice(t))
			if !errors.Is(err, c.class) || !strings.Contains(fmt.Sprint(err), c.want) {
				t.Errorf("error %v, want %q", err, c.want)
			}
		})
	}
}

// TestStages: which uses are at work from where on, and what is no list of uses.
func TestStages(t *testing.T) {
	m := small.build(1)
	model, err := Load(m.open(t))
	if err != nil {
		t.Fatal(err)
	}
	bind := func(seed uint64, change func(*AdapterSpec)) *Adapter {
		spec := drawSpec(model, seed, 2, layersOnly)
		change(spec)
		a, err := NewAdapter(model, spec, refDevice(t))
		if err != nil {
			t.Fatal(err)
		}
		return a
	}
	plain := bind(1, func(*AdapterSpec) {})
	late := bind(2, func(s *AdapterSpec) { s.Invocation = []int32{5, 6} })
	never := bind(3, func(s *AdapterSpec) { s.Invocation = []int32{400} })
	dora := bind(4, func(s *AdapterSpec) { withDoRA(model, s) })
	prompt := []int32{1, 5, 6, 5, 6, 2, 5}
	for _, c := range []struct {
		uses []AdapterUse
		want string // "from:uses ..."
	}{
		{nil, ""},
		{[]AdapterUse{{plain, 0}}, ""},
		{[]AdapterUse{{plain, 1}}, "0:1"},
		{[]AdapterUse{{never, 1}}, ""},
		{[]AdapterUse{{late, 1}}, "3:1"},
		{[]AdapterUse{{late, 1}, {plain, 1}}, "0:1 3:2"},
		{[]AdapterUse{{dora, 1}, {plain, 0}}, "0:1"},
	} {
		stages, err := Stages(model, prompt, c.uses)
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, s := range stages {
			got = append(got, fmt.Sprintf("%d:%d", s.From, len(s.Stack.Uses())))
		}
		if text := strings.Join(got, " "); text != c.want {
			t.Errorf("stages %q, want %q", text, c.want)
		}
	}
	other, err := Load(m.open(t))
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		model Model
		uses  []AdapterUse
		want  string
	}{
		{model, []AdapterUse{{dora, 1}, {plain, 1}}, "cannot be stacked"},
		{model, []AdapterUse{{plain, float32(math.NaN())}}, "want a finite number"},
		{model, make([]AdapterUse, MaxAdapters+1), "at most 16"},
		{model, make([]AdapterUse, 1), "another model"},
		{other, []AdapterUse{{plain, 1}}, "another model"},
	} {
		if _, err := Stages(c.model, prompt, c.uses); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("error %v, want %q", err, c.want)
		}
	}
}
