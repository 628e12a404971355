package server

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/weft-run/weft/daemon/api"
	"github.com/weft-run/weft/runtime/engine"
)

// Cache is what the server needs of the cache of a model in service.
type Cache interface {
	Cache(ctx context.Context) (*engine.Cache, error)
	DropCache(ctx context.Context, match func(domain string) bool) (dropped int, err error)
}

// ModelCache is the cache of one model.
type ModelCache struct {
	Model string
	Cache Cache
}

// ownDomain is what the daemon's own requests are listed as: those that try a model or an adapter.
const ownDomain = "weftd"

// domainOf is the domain of a caller's requests with a cache_salt, as engines know it.
func domainOf(caller, salt string) string { return caller + "\x00" + salt }

// domainName is the name under which a domain is shown, and whose it is; "" where it is the daemon's own. A salt is as good as a password: in its place
// stands a tag that says nothing of it, and another one after a restart.
func (s *Server) domainName(domain string) (name, caller string) {
	caller, salt, ok := strings.Cut(domain, "\x00")
	switch {
	case !ok:
		return ownDomain, ""
	case salt == "":
		return caller, caller
	}
	mac := hmac.New(sha256.New, s.tagKey[:])
	mac.Write([]byte(domain))
	return caller + "#" + hex.EncodeToString(mac.Sum(nil)[:6]), caller
}

// handleCache says how the caches of all models in service stand. Who is no administrator sees domains and sharing of its own requests
// alone: what others' find would tell of their prompts.
func (s *Server) handleCache(w http.ResponseWriter, r *http.Request, rec *record) error {
	all, err := s.caches("")
	if err != nil {
		return err
	}
	list := api.CacheList{Models: []api.ModelCache{}}
	for _, m := range all {
		c, err := m.Cache.Cache(r.Context())
		if gone(err) {
			continue
		}
		if err != nil {
			return err
		}
		list.Models = append(list.Models, s.cacheOf(m.Model, c, rec))
	}
	return s.writeJSON(w, http.StatusOK, &list)
}

// cacheOf is what a caller may see of a cache.
func (s *Server) cacheOf(model string, c *engine.Cache, rec *record) api.ModelCache {
	m := api.ModelCache{
		Model: model, KVType: c.Type.String(), PageTokens: c.PageTokens, PageBytes: c.PageBytes,
		Total: c.Pages, Used: c.Held, Kept: c.Kept, Free: c.Pages - c.Held - c.Kept, Domains: []api.CacheDomain{},
	}
	admin := s.isAdmin(rec.caller)
	for _, d := range c.Domains {
		name, caller := s.domainName(d.Domain)
		if !admin && (caller == "" || caller != rec.caller.Domain()) {
			continue
		}
		own := sharing(d.CacheShare)
		m.Domains = append(m.Domains, api.CacheDomain{
			Domain: name, Used: d.Held, Kept: d.Kept, Tokens: d.Tokens, CacheSharing: own, LastUse: d.Used,
		})
		m.Shared += own.Shared
		m.Hits += own.Hits
		m.Misses += own.Misses
		m.ReusedTokens += own.ReusedTokens
	}
	if admin { // those of domains that have no page any more too
		m.CacheSharing = sharing(c.CacheShare)
	}
	return m
}

func sharing(c engine.CacheShare) api.CacheSharing {
	return api.CacheSharing{Shared: c.Shared, Hits: c.Found.Hits, Misses: c.Found.Misses, ReusedTokens: c.Found.Tokens}
}

// handleDropCache frees cached pages that nobody holds: of all models or one, of all domains or one.
func (s *Server) handleDropCache(w http.ResponseWriter, r *http.Request, rec *record) error {
	if !s.isAdmin(rec.caller) {
		return ErrForbidden
	}
	query, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		err = &api.FieldError{Field: "query", Want: "model and domain as an URL has them", Got: fmt.Sprintf("%.80q", r.URL.RawQuery)}
	}
	for key, values := range query {
		if key != "model" && key != "domain" || len(values) > 1 || values[0] == "" {
			err = errors.Join(err, &api.FieldError{Field: key, Want: "model or domain, each once and not empty", Got: fmt.Sprintf("%.80q", values)})
		}
	}
	if err != nil { // nothing is dropped that was not meant
		return err
	}
	all, err := s.caches(query.Get("model"))
	if err != nil {
		return err
	}
	domain := query.Get("domain")
	match := func(d string) bool {
		name, _ := s.domainName(d)
		return domain == "" || name == domain
	}
	out := api.CacheDropped{Models: []api.ModelDropped{}}
	for _, m := range all {
		n, err := m.Cache.DropCache(r.Context(), match)
		if gone(err) {
			continue
		}
		if err != nil {
			return err
		}
		out.Models = append(out.Models, api.ModelDropped{Model: m.Model, Pages: n})
	}
	return s.writeJSON(w, http.StatusOK, &out)
}

// caches are those of all models in service, or of the one of that name or alias.
func (s *Server) caches(model string) ([]ModelCache, error) {
	var all []ModelCache
	if s.o.Caches != nil {
		all = s.o.Caches()
	}
	if model == "" {
		return all, nil
	}
	find := func(name string) int {
		return slices.IndexFunc(all, func(m ModelCache) bool { return m.Model == name })
	}
	i := find(model)
	for _, st := range s.models() {
		if i < 0 && slices.Contains(st.Aliases, model) {
			i = find(st.Name)
		}
	}
	if i < 0 {
		return nil, &routeError{http.StatusNotFound, fmt.Sprintf("no model %q is in service; `weft ps` lists those that are", model)}
	}
	return all[i : i+1], nil
}

// gone says whether an error is of a model that has left service meanwhile.
func gone(err error) bool {
	lost := (*engine.LostError)(nil)
	return errors.Is(err, engine.ErrClosed) || errors.As(err, &lost)
}
