package server

import (
	"context"
	"testing"

	"github.com/weft-run/weft/daemon/api"
)

// arrivingAdapters is an adapters folder at a start: one adapter, whose state goes on each time that somebody looks.
type arrivingAdapters struct {
	states []api.AdapterStatus
	looks  int
}

func (a *arrivingAdapters) List() []api.AdapterStatus {
	st := a.states[min(a.looks, len(a.states)-1)]
	a.looks++
	return []api.AdapterStatus{st}
}

func (a *arrivingAdapters) Memory() (resident, budget int64)          { return 0, 0 }
func (a *arrivingAdapters) Status(string) (api.AdapterStatus, error)  { return a.List()[0], nil }
func (a *arrivingAdapters) Act(context.Context, string, string) error { return nil }

// TestVerifyWaitsForWhatArrives looks for an adapter by its digest while that is not known yet, whichever state it is found in, and however
// it changes between two looks.
func TestVerifyWaitsForWhatArrives(t *testing.T) {
	const digest = "sha256:abc"
	settling := api.AdapterStatus{Name: "here", State: api.StateSettling}
	parsed := api.AdapterStatus{Name: "here", State: api.StateParsed}
	checked := api.AdapterStatus{Name: "here", State: api.StateChecked}
	published := api.AdapterStatus{Name: "here", State: api.StatePublished, Digest: digest}
	for name, states := range map[string][]api.AdapterStatus{
		"all states":                    {settling, parsed, checked, published},
		"its base has come this moment": {parsed, parsed, published},
		"published between two looks":   {settling, settling, published},
		"there from the start":          {published},
	} {
		t.Run(name, func(t *testing.T) {
			s := &Server{o: Options{Models: &fakeModels{}, Adapters: &arrivingAdapters{states: states}}}
			got, err := s.found(t.Context(), func() (string, error) { return s.adapterOf(&api.Adapter{Name: "there", Digest: digest}) })
			if err != nil || got != "here" {
				t.Errorf("%q, %v", got, err)
			}
		})
	}
	s := &Server{o: Options{Models: &fakeModels{}, Adapters: &arrivingAdapters{states: []api.AdapterStatus{published}}}}
	if _, err := s.found(t.Context(), func() (string, error) { return s.adapterOf(&api.Adapter{Name: "there", Digest: "sha256:ef"}) }); err == nil {
		t.Error("another digest was found")
	}
}
