package daemon

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/weft-run/weft/daemon/api"
	"github.com/weft-run/weft/runtime/modeltest"
)

// TestUnloadedOverTheSocket: an administrator unloads models, they stay listed, and the next requests have them loaded once, by their own name, by a
// stack on them, and by an adapter's name alone.
func TestUnloadedOverTheSocket(t *testing.T) {
	l := startAdapted(t)
	l.lay("a", modeltest.TinyAdapter(tinyAdapter(2)))
	l.adapter("a", api.StatePublished, "")
	act := func(name, action string) *api.ModelStatus {
		t.Helper()
		st, err := l.client.ActOnModel(context.Background(), name, action)
		must(t, err)
		return st
	}
	want := map[string][]int32{}
	for _, name := range []string{"m", "m+a@0.5", "a"} {
		want[name], _ = l.adapted(name, 6)
	}
	for _, name := range []string{"m", "m+a@0.5", "a"} {
		if st := act("m", api.ActionUnload); st.State != api.StateUnloaded || st.Resident != 0 || st.Architecture == "" {
			t.Errorf("unloaded it is %+v", st)
		}
		list, err := l.client.Models(context.Background())
		must(t, err)
		for _, id := range []string{"m", "a"} {
			if !slices.ContainsFunc(list.Data, func(m api.Model) bool { return m.ID == id }) {
				t.Errorf("%s is not listed while m is unloaded: %+v", id, list.Data)
			}
		}
		l.until("the adapter's memory to be given back", func() bool {
			list, err := l.client.Adapters(context.Background())
			return err == nil && list.Resident == 0
		})
		var all sync.WaitGroup
		for range 3 {
			all.Go(func() {
				answer, err := l.client.Complete(context.Background(), request(name, 6))
				if err != nil || !slices.Equal(answer.Choices[0].TokenIDs, want[name]) {
					t.Errorf("%s answers %+v, before %v; %v", name, answer, want[name], err)
				}
			})
		}
		all.Wait()
		l.is("m", api.StateServing, "")
	}
	loaded := act("m", api.ActionLoad)
	generation := loaded.Generation
	if loaded.Used == nil {
		t.Errorf("loaded it is %+v", loaded)
	}
	if st := act("m", api.ActionReload); st.Generation != generation+1 {
		t.Errorf("reloaded it is %+v", st)
	}
	if st := act("m", api.ActionPin); !st.Pinned || act("m", api.ActionUnpin).Pinned {
		t.Errorf("pinned it is %+v", st)
	}
	if st := act("m", api.ActionLoad); st.State != api.StateServing || st.Generation != generation+1 {
		t.Errorf("loaded it is %+v", st)
	}
	var missing *api.Error
	if _, err := l.client.ActOnModel(context.Background(), "n", api.ActionUnload); !errors.As(err, &missing) || missing.Status != 404 {
		t.Errorf("a name that is not there: %v", err)
	}
}

// TestUnloadingIsTold: those who follow events hear of it, of the end of the generation, and of the next one; a receipt finds an unloaded model.
func TestUnloadingIsTold(t *testing.T) {
	l := startAdapted(t)
	l.until("the digest", func() bool {
		m, ok := l.model("m")
		return ok && strings.HasPrefix(m.Digest, "sha256:")
	})
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	events, err := l.client.Events(ctx)
	must(t, err)
	defer events.Close()
	hear := func(state string) *api.Event {
		t.Helper()
		for {
			e, err := events.Next()
			if err != nil {
				t.Fatalf("waiting for %s: %v", state, err)
			}
			if e.Name == "m" && e.State == state {
				return e
			}
		}
	}
	first := hear(api.StateServing)
	req := request("m", 4)
	req.Receipt = true
	answer, err := l.client.Complete(ctx, req)
	must(t, err)
	st, err := l.client.ActOnModel(ctx, "m", api.ActionUnload)
	must(t, err)
	if st.Generation != 0 || st.Digest != first.Digest {
		t.Errorf("unloaded it is %+v", st)
	}
	told := map[string]uint64{}
	for len(told) < 2 { // in either order
		e, err := events.Next()
		must(t, err)
		if e.State == api.StateUnloaded || e.State == api.StateGone {
			told[e.State] = e.Generation
		}
	}
	if told[api.StateUnloaded] != 0 || told[api.StateGone] != first.Generation {
		t.Errorf("told was %v of generation %d", told, first.Generation)
	}
	check, err := l.client.Verify(ctx, api.VerifyRequest{Receipt: *answer.Weft.Receipt})
	must(t, err)
	if !check.Equal {
		t.Errorf("the receipt is verified as %+v", check)
	}
	if next := hear(api.StateServing); next.Generation <= first.Generation {
		t.Errorf("the next generation is %+v", next)
	}
}

// TestSessionsOutlastUnloadingOverTheSocket: what a session keeps is found on disk when its model is loaded again.
func TestSessionsOutlastUnloadingOverTheSocket(t *testing.T) {
	l := startLive(t, liveSettings(dataDir(t)))
	l.until("the digest", func() bool {
		m, ok := l.model("stories260K")
		return ok && strings.HasPrefix(m.Digest, "sha256:")
	})
	ask := func() ([]int32, int) {
		req := request("stories260K", 20)
		req.Prompt, req.Session = api.Text(strings.Repeat("Once upon a time there was a little girl. ", 10)), "tea"
		answer, err := l.client.Complete(context.Background(), req)
		must(t, err)
		return answer.Choices[0].TokenIDs, answer.Weft.ReusedTokens
	}
	cold, _ := ask()
	_, err := l.client.ActOnModel(context.Background(), "stories260K", api.ActionUnload)
	must(t, err)
	if warm, reused := ask(); !slices.Equal(cold, warm) || reused < 64 {
		t.Errorf("after unloading %d tokens were found; %v, before %v", reused, warm, cold)
	}
}

// TestRequestsWhileUnloading (CVE-2026-43631): whatever is unloaded under them, requests that tokenize and those that compute have their answers; none sees
// what is not there any more.
func TestRequestsWhileUnloading(t *testing.T) {
	l := startAdapted(t)
	l.rename("n.gguf", modeltest.Tiny(modeltest.Spec{Seed: 2, Context: 512}))
	l.is("n", api.StateServing, "")
	want := map[string][]int32{}
	for _, name := range []string{"m", "n"} {
		want[name], _ = l.adapted(name, 4)
	}
	stop := make(chan struct{})
	var all sync.WaitGroup
	for _, name := range []string{"m", "n", "m", "n"} {
		all.Go(func() {
			for rounds := 0; ; rounds++ {
				select {
				case <-stop:
					if rounds == 0 {
						t.Errorf("no request to %s was answered", name)
					}
					return
				default:
				}
				answer, err := l.client.Complete(context.Background(), request(name, 4))
				if err != nil || !slices.Equal(answer.Choices[0].TokenIDs, want[name]) {
					t.Errorf("%s answers %+v, want %v; %v", name, answer, want[name], err)
				}
				_, err = l.client.Tokenize(context.Background(), api.TokenizeRequest{Model: name, Text: "once upon a time"})
				if err != nil {
					t.Error(err)
				}
			}
		})
	}
	for i := range 12 {
		_, err := l.client.ActOnModel(context.Background(), []string{"m", "n"}[i%2], api.ActionUnload)
		must(t, err)
	}
	close(stop)
	all.Wait()
}
