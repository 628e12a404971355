package api

import (
	"context"
	"net/http"
	"net/url"
	"time"
)

// CacheList is the answer of GET /weft/v1/cache: the caches of the models in service.
type CacheList struct {
	Models []ModelCache `json:"models"`
}

// ModelCache is the cache of one model. Its sharing is that of all domains to an administrator, of the caller's own to others.
type ModelCache struct {
	Model      string `json:"model"`
	KVType     string `json:"kv_type"`
	PageTokens int    `json:"page_tokens"` // in one page
	PageBytes  int    `json:"page_bytes"`  // of one page
	Total      int    `json:"pages_total"`
	Used       int    `json:"pages_used"` // held by requests
	Kept       int    `json:"pages_kept"` // held by none, and found by one that begins alike
	Free       int    `json:"pages_free"`
	CacheSharing
	Domains []CacheDomain `json:"domains"` // those that have pages and that the caller may see
}

// CacheSharing says what sharing pages came to.
type CacheSharing struct {
	Shared       int    `json:"pages_shared"`  // held by several requests at once
	Hits         uint64 `json:"hits"`          // sequences that found the beginning of their prompt
	Misses       uint64 `json:"misses"`        // those that found nothing, though their prompt is longer than a page
	ReusedTokens uint64 `json:"reused_tokens"` // tokens that were found and so not computed
}

// CacheDomain is what those who may find each other's pages have in a cache. Its counts are since it has had pages there.
type CacheDomain struct {
	Domain string `json:"domain"` // the user, such as uid=1000; of requests with a cache_salt uid=1000#TAG, which tells nothing of the salt
	Used   int    `json:"pages_used"`
	Kept   int    `json:"pages_kept"`
	Tokens int    `json:"tokens"` // in full pages
	CacheSharing
	LastUse time.Time `json:"last_use"`
}

// CacheDropped is the answer of DELETE /weft/v1/cache.
type CacheDropped struct {
	Models []ModelDropped `json:"models"`
}

// ModelDropped is how many pages of a model's cache were freed.
type ModelDropped struct {
	Model string `json:"model"`
	Pages int    `json:"pages"`
}

// Cache asks how the caches of the models in service stand.
func (c *Client) Cache(ctx context.Context) (*CacheList, error) {
	return call[CacheList](ctx, c, http.MethodGet, PathCache, nil)
}

// DropCache frees cached pages that no request holds: of one model, or of all where model is "", and of one domain as Cache names it, or of
// all where domain is "".
func (c *Client) DropCache(ctx context.Context, model, domain string) (*CacheDropped, error) {
	query := url.Values{}
	if model != "" {
		query.Set("model", model)
	}
	if domain != "" {
		query.Set("domain", domain)
	}
	path := PathCache
	if len(query) > 0 {
		path += "?" + query.Encode()
	}
	return call[CacheDropped](ctx, c, http.MethodDelete, path, nil)
}
