package repository

import (
	"cmp"
	"slices"

	"github.com/weft-run/weft/runtime/engine"
)

// InService is a model that answers requests, and its engine. It is no lease: the engine may be closed at any moment, and says so.
type InService struct {
	Name   string
	Engine *engine.Engine
}

// InService returns all models in service, in the order of their names. It wakes none.
func (r *Repository) InService() []InService {
	r.mu.Lock()
	defer r.mu.Unlock()
	var all []InService
	for name, e := range r.entries {
		if e.current != nil {
			all = append(all, InService{name, e.current.Engine})
		}
	}
	slices.SortFunc(all, func(a, b InService) int { return cmp.Compare(a.Name, b.Name) })
	return all
}
