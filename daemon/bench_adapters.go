package daemon

import (
	"fmt"
	"slices"
	"strings"

	"github.com/weft-run/weft/runtime/models"
	"github.com/weft-run/weft/runtime/modeltest/synthetic"
)

// benchAdapters makes the random adapters of a plan: they change every product of every layer.
func benchAdapters(device models.Device, model models.Model, plan benchPlan) (stacks []*models.Stack, err error) {
	for n := range slices.Max(plan.adapters) {
		spec := &models.AdapterSpec{Digest: fmt.Sprintf("random-%d", n)}
		for i, t := range model.Targets() {
			if !strings.HasPrefix(t.Name, "blk.") {
				continue
			}
			d := models.Delta{Target: t.Name, Rank: plan.rank, Scale: 1}
			d.A, d.B = synthetic.Factors(uint64(n)<<16+uint64(i), plan.rank, t.Rows, t.Cols)
			spec.Deltas = append(spec.Deltas, d)
		}
		adapter, err := models.NewAdapter(model, spec, device)
		if err != nil {
			return nil, err
		}
		stages, err := models.Stages(model, nil, []models.AdapterUse{{Adapter: adapter, Scale: 1}})
		if err != nil {
			return nil, err
		}
		stacks = append(stacks, stages[0].Stack)
	}
	return stacks, nil
}
