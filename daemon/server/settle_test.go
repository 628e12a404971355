package server

import (
	"testing"
	"time"

	"github.com/weft-run/weft/daemon/api"
	"github.com/weft-run/weft/runtime/engine"
)

// A request's turn among others is what its fields say.
func TestSettleTurn(t *testing.T) {
	arrived := time.Unix(1000, 0)
	priority, deadline := -3, 1500
	for name, c := range map[string]struct {
		in   api.Sampling
		want engine.Request
	}{
		"nothing said":                 {api.Sampling{}, engine.Request{}},
		"a tier of somebody who waits": {api.Sampling{ServiceTier: "priority"}, engine.Request{}},
		"flex":                         {api.Sampling{ServiceTier: "flex"}, engine.Request{Class: engine.Batch}},
		"batch, all": {
			api.Sampling{ServiceTier: "batch", Priority: &priority, Deadline: &deadline},
			engine.Request{Class: engine.Batch, Priority: -3, Deadline: time.Unix(1001, 500_000_000)},
		},
	} {
		var got engine.Request
		settleTurn(&got, &c.in, arrived)
		if got.Class != c.want.Class || got.Priority != c.want.Priority || !got.Deadline.Equal(c.want.Deadline) {
			t.Errorf("%s: %+v", name, got)
		}
	}
}
