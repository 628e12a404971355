package models

import (
	"fmt"
	"math"
	"slices"

	"github.com/weft-run/weft/kernels"
)

// MaxAdapters is how many adapters one sequence may use.
const MaxAdapters = 16

// AdapterUse is an adapter at a scale, which multiplies that of the adapter's own.
type AdapterUse struct {
	Adapter *Adapter
	Scale   float32
}

// Stack is what a list of uses does to each target of a model, ready to compute: their changes are applied in the list's order.
// It is immutable and holds no memory of weights but the gains of DoRA.
type Stack struct {
	uses    []AdapterUse
	changes [][]kernels.LowRank // by target; First and Count are set when it is used
}

// Stage says which Stack changes the rows of a sequence from a position on, up to the next stage's.
type Stage struct {
	From  int
	Stack *Stack
}

// Stages checks the uses of a sequence and says from which position on which of them are at work: an adapter with invocation
// tokens from the start of their last occurrence in the prompt on, or nowhere; others everywhere. A use with scale 0 is none.
// No stage at all is the base.
func Stages(m Model, prompt []int32, uses []AdapterUse) ([]Stage, error) {
	if len(uses) > MaxAdapters {
		return nil, invalid("%d adapters for one sequence; at most %d are computed together", len(uses), MaxAdapters)
	}
	var at []int // where uses begin, each position once
	from := make([]int, len(uses))
	active, dora := 0, ""
	for i, u := range uses {
		if u.Adapter == nil || u.Adapter.model != m {
			return nil, invalid("adapter %d of the list is bound to another model", i)
		}
		if math.IsNaN(float64(u.Scale)) || math.IsInf(float64(u.Scale), 0) {
			return nil, invalid("the scale of adapter %d of the list is %v, want a finite number", i, u.Scale)
		}
		from[i] = -1
		if u.Scale == 0 {
			continue
		}
		active++
		if u.Adapter.dora {
			dora = u.Adapter.digest
		}
		if from[i] = u.Adapter.start(prompt); from[i] >= 0 && !slices.Contains(at, from[i]) {
			at = append(at, from[i])
		}
	}
	if dora != "" && active > 1 {
		return nil, unsupported("adapter %s is of DoRA, which rescales the whole weight: it cannot be stacked with %d others; use it alone", dora, active-1)
	}
	slices.Sort(at)
	stages := make([]Stage, 0, len(at))
	for _, position := range at {
		var list []AdapterUse
		for i, u := range uses {
			if from[i] >= 0 && from[i] <= position {
				list = append(list, u)
			}
		}
		stages = append(stages, Stage{From: position, Stack: newStack(list)})
	}
	return stages, nil
}

// newStack multiplies the scales.
func newStack(uses []AdapterUse) *Stack {
	s := &Stack{uses: uses, changes: make([][]kernels.LowRank, len(uses[0].Adapter.parts))}
	for _, u := range uses {
		gains := u.Adapter.gains(u.Scale)
		for target := range u.Adapter.parts {
			p := &u.Adapter.parts[target]
			if p.factors == nil {
				continue
			}
			c := kernels.LowRank{Factors: p.factors, Scale: p.at(u.Scale), Bias: p.bias}
			if gains != nil {
				c.Gain = gains[target]
			}
			s.changes[target] = append(s.changes[target], c)
		}
	}
	return s
}

// Uses are the adapters of the stack. The slice must not be changed.
func (s *Stack) Uses() []AdapterUse { return s.uses }

// Same says whether two stacks, nil for none, do the same.
func (s *Stack) Same(o *Stack) bool {
	if s == o || s == nil || o == nil {
		return s == o
	}
	return slices.Equal(s.uses, o.uses)
}

// Adapted is a run of rows of a batch that one stack changes.
type Adapted struct {
	First, Count int
	Stack        *Stack
}

// Adapt adds rows to runs: those behind the last run with the same stack make it longer.
func Adapt(runs []Adapted, first, count int, s *Stack) []Adapted {
	if n := len(runs) - 1; n >= 0 && runs[n].First+runs[n].Count == first && runs[n].Stack.Same(s) {
		runs[n].Count += count
		return runs
	}
	return append(runs, Adapted{First: first, Count: count, Stack: s})
}

// changes is what runs of rows have changed of a target, valid until the products it belongs to are computed.
func (ws *Workspace) changes(runs []Adapted, target int) []kernels.LowRank {
	first := len(ws.lowRank)
	for i := range runs {
		for _, c := range runs[i].Stack.changes[target] {
			c.First, c.Count = runs[i].First, runs[i].Count
			ws.lowRank = append(ws.lowRank, c)
		}
	}
	return ws.lowRank[first:]
}

// gather is the runs of a batch's LogitRows, as rows of their own.
func (ws *Workspace) gather(batch *Batch) []Adapted {
	ws.adapted = ws.adapted[:0]
	if len(batch.Adapted) == 0 {
		return nil
	}
	for i, r := range batch.LogitRows {
		for _, run := range batch.Adapted {
			if int(r) >= run.First && int(r) < run.First+run.Count {
				ws.adapted = Adapt(ws.adapted, i, 1, run.Stack)
				break
			}
		}
	}
	return ws.adapted
}

// check stops runs that do not fit the batch, which would be a mistake of ours in the engine.
func checkAdapted(batch *Batch) {
	end := 0
	for _, run := range batch.Adapted {
		if run.First < end || run.Count < 1 || run.First+run.Count > len(batch.Tokens) || run.Stack == nil {
			panic(fmt.Sprintf("BUG: models: adapted rows %d to %d behind row %d of %d", run.First, run.First+run.Count, end, len(batch.Tokens)))
		}
		end = run.First + run.Count
	}
}
