package daemon

import "github.com/weft-run/weft/daemon/server"

// caches are those of the models in service.
func (p *process) caches() []server.ModelCache {
	models := p.models.Serving()
	all := make([]server.ModelCache, len(models))
	for i, m := range models {
		all[i] = server.ModelCache{Model: m.Name, Cache: m.Engine}
	}
	return all
}
