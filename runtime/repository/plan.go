package repository

import (
	"github.com/weft-run/weft/kernels"
	"github.com/weft-run/weft/runtime/models"
)

const (
	// leastContext is how many tokens a context that was not asked for must have to be worth serving.
	leastContext = 512
	// goodContext is the context up to which a model may take all memory that is left, and not only its share.
	goodContext = 4096
)

// demand is what a model would take.
type demand struct {
	config     models.Config
	weights    int64
	workspace  int64
	context    int // as set; 0: not set
	parallel   int
	cacheType  kernels.CacheType
	pageTokens int
	stepTokens int
	have       int64 // memory that is left; negative when a swap holds more than there is
	budget     int64 // 0: without bound
}

// grant is what it gets.
type grant struct {
	context int
	pages   int
	memory  int64
}

// plan divides memory. Weights and workspace are what they are. Of the rest, pages for one sequence of full length come first;
// then more, up to one full length for each parallel sequence. A context that nobody set shrinks to what memory allows, and it
// and the additional pages leave half of the rest to other models.
func plan(q demand) (grant, error) {
	full := q.config.ContextLen
	if q.context > 0 {
		full = min(full, q.context)
	}
	parallel := int64(max(q.parallel, 1))
	layout := func(pages int64) kernels.CacheLayout {
		return q.config.CacheLayout(int(pages), q.pageTokens, q.cacheType)
	}
	page := layout(1).Bytes()
	pagesFor := func(tokens int) int64 { return int64(q.config.CachePages(tokens, q.stepTokens, q.pageTokens)) }
	fixed := q.weights + q.workspace
	if q.budget == 0 {
		pages := pagesFor(full) * parallel
		if err := layout(pages).Check(); err != nil {
			return grant{}, err
		}
		return grant{full, int(pages), fixed + layout(pages).Bytes()}, nil
	}
	rest := max(q.have-fixed, 0)
	context, least := full, full
	if q.context == 0 {
		// The share is half of the rest, but a short context may take all of it.
		share := max(rest/2, min(rest, pagesFor(min(full, goodContext))*page))
		if context = full; share/page < pagesFor(full) {
			context = int(min(int64(full), share/page*int64(q.pageTokens)))
		}
		least = min(full, leastContext)
	}
	if context < least || q.have-fixed < layout(pagesFor(context)).Bytes() {
		return grant{}, &MemoryError{
			Weights: q.weights, Cache: layout(pagesFor(least)).Bytes(), Workspace: q.workspace, Context: least,
			Have: max(q.have, 0), Budget: q.budget,
		}
	}
	pages := pagesFor(context)
	pages = max(pages, min(pages*parallel, rest/2/page))
	return grant{context, int(pages), fixed + layout(pages).Bytes()}, nil
}
