package engine

import (
	"github.com/weft-run/weft/runtime/kvcache"
	"github.com/weft-run/weft/runtime/models"
	"github.com/weft-run/weft/runtime/scheduler"
)

// root is where the Keys of a request's pages begin, and turns are where adapters begin that tokens of its prompt activate. The cache
// is this engine's alone, and so is its model: neither needs a name. Adapters that change no key and no value in any layer, as those of the head,
// do not count: their sequences share the base's pages.
func (e *Engine) root(r *Request, stages []models.Stage) (root kvcache.Key, turns []scheduler.Turn) {
	if e.cfg.NoSharing {
		return kvcache.Key{}, nil
	}
	return e.rootOf(kvcache.Identity{}, r, stages)
}

// rootOf is root for an identity whose Base and Numerics are set, where these need names.
func (e *Engine) rootOf(id kvcache.Identity, r *Request, stages []models.Stage) (root kvcache.Key, turns []scheduler.Turn) {
	id.Type, id.PageTokens, id.Domain = e.cfg.CacheType, e.cfg.PageTokens, r.Domain
	root = id.Root()
	for _, stage := range stages {
		before := len(id.Adapters)
		id.Adapters = nil
		for _, u := range stage.Stack.Uses() {
			if u.Adapter.FirstLayer() < e.model.Layers {
				id.Adapters = append(id.Adapters, kvcache.AdapterUse{Digest: u.Adapter.Digest(), Scale: u.Scale})
			}
		}
		switch {
		case len(id.Adapters) == before: // stages only grow
		case stage.From == 0:
			root = id.Root()
		default:
			turns = append(turns, scheduler.Turn{From: stage.From, To: id.Root()})
		}
	}
	return root, turns
}

// behind is the sequence whose prompt a request shares, or 0.
func (e *Engine) behind(r *Request) scheduler.SeqID {
	if r.Behind == nil || e.cfg.NoSharing {
		return 0
	}
	return r.Behind.id
}
