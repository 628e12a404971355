package daemon

import (
	"context"
	"slices"
	"strings"
	"testing"

	"github.com/weft-run/weft/daemon/api"
)

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
