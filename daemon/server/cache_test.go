package server

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/weft-run/weft/daemon/api"
	"github.com/weft-run/weft/daemon/server/door"
	"github.com/weft-run/weft/runtime/engine"
	"github.com/weft-run/weft/runtime/kvcache"
)

// fakeCache is the cache of a model, or, closed, of one that has just left service.
type fakeCache struct {
	closed  bool
	domains []string
	dropped []string
}

func (c *fakeCache) Cache(context.Context) (*engine.Cache, error) {
	if c.closed {
		return nil, engine.ErrClosed
	}
	out := &engine.Cache{PageTokens: 16, PageBytes: 512, Pages: 20, CacheShare: engine.CacheShare{Held: 3, Shared: 1, Kept: 5, Found: kvcache.Found{Hits: 9, Misses: 8, Tokens: 700}}}
	for i, name := range c.domains {
		share := engine.CacheShare{Held: 1, Shared: i, Kept: 1, Tokens: 16, Found: kvcache.Found{Hits: 1, Misses: 2, Tokens: 30}}
		out.Domains = append(out.Domains, engine.DomainCache{Domain: name, CacheShare: share, Used: time.Unix(int64(i), 0).UTC()})
	}
	return out, nil
}

func (c *fakeCache) DropCache(_ context.Context, match func(string) bool) (int, error) {
	if c.closed {
		return 0, engine.ErrClosed
	}
	c.dropped = nil
	for _, d := range c.domains {
		if match(d) {
			c.dropped = append(c.dropped, d)
		}
	}
	return len(c.dropped), nil
}

// An administrator sees and drops everybody's pages, others see their own alone, and nobody sees a salt.
func TestCacheEndpoint(t *testing.T) {
	t.Parallel()
	const salt = "xyzzy"
	own := &fakeCache{domains: []string{"", "uid=1000\x00", "uid=1000\x00" + salt, "uid=1001\x00"}}
	options := testOptions(newFakeModels(t, map[string]*fakeEngine{"m": {}}))
	options.UID = 1
	options.Caches = func() []ModelCache {
		return []ModelCache{{"gone", &fakeCache{closed: true}}, {"m", own}}
	}
	handler := New(options)
	ask := func(uid int, method, query string) (int, string) {
		t.Helper()
		r := httptest.NewRequest(method, api.PathCache+query, nil)
		r = r.WithContext(door.WithCaller(t.Context(), door.Caller{Network: "unix", UID: uid}))
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, r)
		if strings.Contains(w.Body.String(), salt) {
			t.Errorf("the salt is in %s", w.Body)
		}
		return w.Code, w.Body.String()
	}
	list := func(uid int) api.ModelCache {
		t.Helper()
		code, body := ask(uid, "GET", "")
		var got api.CacheList
		if err := json.Unmarshal([]byte(body), &got); err != nil || code != 200 || len(got.Models) != 1 {
			t.Fatal(code, body, err)
		}
		return got.Models[0]
	}
	names := func(m api.ModelCache) (names []string) {
		for _, d := range m.Domains {
			names = append(names, d.Domain)
		}
		return names
	}
	all := list(0)
	tag := all.Domains[2].Domain
	if want := []string{"weftd", "uid=1000", tag, "uid=1001"}; !slices.Equal(names(all), want) || !strings.HasPrefix(tag, "uid=1000#") || len(tag) != 21 {
		t.Errorf("an administrator sees %v", names(all))
	}
	want := api.ModelCache{
		Model: "m", KVType: all.KVType, PageTokens: 16, PageBytes: 512, Total: 20, Used: 3, Kept: 5, Free: 12,
		CacheSharing: api.CacheSharing{Shared: 1, Hits: 9, Misses: 8, ReusedTokens: 700}, Domains: all.Domains,
	}
	if diff := cmp.Diff(want, all); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	mine := list(1000)
	want.CacheSharing, want.Domains = api.CacheSharing{Shared: 3, Hits: 2, Misses: 4, ReusedTokens: 60}, all.Domains[1:3]
	if diff := cmp.Diff(want, mine); diff != "" {
		t.Errorf("user 1000 (-want +got):\n%s", diff)
	}
	if none := list(7); len(none.Domains) != 0 || none.CacheSharing != (api.CacheSharing{}) {
		t.Errorf("user 7 sees %+v", none)
	}
	for _, c := range []struct {
		uid   int
		query string
		code  int
		want  []string
	}{
		{1000, "", http.StatusForbidden, nil},
		{0, "", 200, own.domains},
		{1, "?model=m", 200, own.domains},
		{0, "?domain=uid%3D1000", 200, own.domains[1:2]},
		{0, "?model=m&domain=" + strings.NewReplacer("=", "%3D", "#", "%23").Replace(tag), 200, own.domains[2:3]},
		{0, "?domain=weftd", 200, own.domains[:1]},
		{0, "?domain=uid%3D1000%23000000000000", 200, nil},
		{0, "?model=other", http.StatusNotFound, nil},
		{0, "?modell=m", http.StatusBadRequest, nil},
		{0, "?model=", http.StatusBadRequest, nil},
		{0, "?domain=a&domain=b", http.StatusBadRequest, nil},
		{0, "?model=%zz", http.StatusBadRequest, nil},
	} {
		own.dropped = nil
		if code, body := ask(c.uid, "DELETE", c.query); code != c.code || !slices.Equal(own.dropped, c.want) {
			t.Errorf("DELETE %s by %d: %d %s, dropped %q", c.query, c.uid, code, body, own.dropped)
		}
	}
}
