package daemon

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/weft-run/weft/daemon/api"
	"github.com/weft-run/weft/daemon/builtin"
)

// TestNothingIsFoundWithoutSharing: with prefix_sharing off no request finds anything of another, not of its own session nor of its own
// choices, nothing stays in memory or on disk, and the answers are the same.
func TestNothingIsFoundWithoutSharing(t *testing.T) {
	for _, daemonShares := range []bool{true, false} {
		dir := dataDir(t)
		models := filepath.Join(dir, "models")
		must(t, os.MkdirAll(models, 0o755))
		for name, settings := range map[string]string{"own": "prefix_sharing = true\n", "off": "prefix_sharing = false\n"} {
			must(t, os.WriteFile(filepath.Join(models, name+".gguf"), builtin.Bytes(), 0o644))
			must(t, os.WriteFile(filepath.Join(models, name+".toml"), []byte(settings), 0o644))
		}
		cfg := liveSettings(dir)
		cfg.PrefixSharing = daemonShares
		l := startLive(t, cfg)
		var want []int32
		for model, shares := range map[string]bool{"stories260K": daemonShares, "own": true, "off": false} {
			for round := range 3 {
				req := request(model, 12)
				req.Prompt, req.N = api.Text(strings.Repeat("Once upon a time there was a little girl. ", 10)), 2
				if !shares {
					req.Session = "tea"
				}
				answer, err := l.client.Complete(context.Background(), req)
				must(t, err)
				ids := slices.Concat(answer.Choices[0].TokenIDs, answer.Choices[1].TokenIDs)
				if want == nil {
					want = ids
				}
				if found := answer.Weft.ReusedTokens > 0; found != (shares && round > 0) || !slices.Equal(ids, want) {
					t.Errorf("%s, the daemon shares: %v, round %d: %d tokens found, %v, want %v", model, daemonShares, round, answer.Weft.ReusedTokens, ids, want)
				}
			}
			list, err := l.client.Cache(context.Background())
			must(t, err)
			m := list.Models[slices.IndexFunc(list.Models, func(m api.ModelCache) bool { return m.Model == model })]
			if kept := m.Kept > 0 || len(m.Domains) > 0 || m.Hits+m.Misses+m.ReusedTokens > 0; kept != shares {
				t.Errorf("%s, the daemon shares: %v: %+v", model, daemonShares, m)
			}
		}
		must(t, l.stop())
		if list, err := filepath.Glob(filepath.Join(dir, "state", keptDir, "*")); err != nil || len(list) > 0 {
			t.Errorf("on disk there is %v, %v", list, err)
		}
	}
}

// TestPromptsAreFoundInTheCache: what a request has computed is found by the next one with the same beginning, by one of another salt
// it is not, the choices of one request share their prompt, and nothing of that shows in an answer but the count.
func TestPromptsAreFoundInTheCache(t *testing.T) {
	l := startLive(t, liveSettings(dataDir(t)))
	prompt := strings.Repeat("Once upon a time there was a little girl. ", 10)
	ask := func(change func(*api.CompletionRequest)) (ids []int32, reused int) {
		t.Helper()
		req := request("stories260K", 20)
		req.Prompt = api.Prompt{Texts: []string{prompt}}
		change(&req)
		answer, err := l.client.Complete(context.Background(), req)
		must(t, err)
		if answer.Usage.PromptDetails.CachedTokens != answer.Weft.ReusedTokens {
			t.Errorf("%d cached tokens, %d reused", answer.Usage.PromptDetails.CachedTokens, answer.Weft.ReusedTokens)
		}
		for _, c := range answer.Choices {
			ids = append(ids, c.TokenIDs...)
		}
		return ids, answer.Weft.ReusedTokens
	}
	cold, reused := ask(func(*api.CompletionRequest) {})
	if reused != 0 {
		t.Errorf("the first request found %d tokens", reused)
	}
	warm, reused := ask(func(*api.CompletionRequest) {})
	if !slices.Equal(cold, warm) || reused < 64 || reused%32 != 0 {
		t.Errorf("the second request found %d tokens and gave %v, the first %v", reused, warm, cold)
	}
	salted, reused := ask(func(r *api.CompletionRequest) { r.CacheSalt = "other" })
	if !slices.Equal(cold, salted) || reused != 0 {
		t.Errorf("with another salt %d tokens are found", reused)
	}
	several, reused := ask(func(r *api.CompletionRequest) { r.CacheSalt, r.N = "third", 3 })
	if !slices.Equal(slices.Concat(cold, cold, cold), several) || reused != 0 {
		t.Errorf("three choices gave %v with %d tokens found", several, reused)
	}
}
