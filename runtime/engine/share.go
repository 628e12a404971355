package engine

import (
	"github.com/weft-run/weft/runtime/kvcache"
	"github.com/weft-run/weft/runtime/scheduler"
)

// root is where the Keys of a request's pages begin. The cache is this engine's alone, and so is its model: neither needs a name.
func (e *Engine) root(r *Request) kvcache.Key {
	if e.cfg.NoSharing {
		return kvcache.Key{}
	}
	id := kvcache.Identity{Type: e.cfg.CacheType, PageTokens: e.cfg.PageTokens, Domain: r.Domain}
	return id.Root()
}

// behind is the sequence whose prompt the request shares, or 0.
func (r *Request) behind() scheduler.SeqID {
	if r.Behind == nil {
		return 0
	}
	return r.Behind.id
}
