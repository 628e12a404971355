package engine

import (
	"github.com/weft-run/weft/runtime/models"
	"github.com/weft-run/weft/runtime/scheduler"
)

// adapted adds to runs the rows of a part, from row first of the batch and position pos on, that the stages of its sequence change.
func adapted(runs []models.Adapted, stages []models.Stage, first, pos, count int) []models.Adapted {
	for i, stage := range stages {
		from, to := max(stage.From, pos), pos+count
		if i+1 < len(stages) {
			to = min(to, stages[i+1].From)
		}
		if from < to {
			runs = models.Adapt(runs, first+from-pos, to-from, stage.Stack)
		}
	}
	return runs
}

// group brings parts with the same adapters together, each behind the first of its kind: their rows then share what is read of the
// adapters. It allocates nothing, and without adapters it moves nothing.
func (l *loop) group(parts []scheduler.Part) {
	for i := 0; i < len(parts); i++ {
		s := l.stack(&parts[i])
		next := i + 1 // where the next part of the kind goes
		for j := i + 1; j < len(parts); j++ {
			if !l.stack(&parts[j]).Same(s) {
				continue
			}
			for k := j; k > next; k-- {
				parts[k], parts[k-1] = parts[k-1], parts[k]
			}
			next++
		}
		i = next - 1
	}
}

// stack is what changes the last row of a part; nil: nothing.
func (l *loop) stack(p *scheduler.Part) *models.Stack {
	stages := l.streams[p.ID].stages
	for i := len(stages) - 1; i >= 0; i-- {
		if stages[i].From < p.Pos+len(p.Tokens) {
			return stages[i].Stack
		}
	}
	return nil
}
