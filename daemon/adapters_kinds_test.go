package daemon

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"testing"

	"github.com/weft-run/weft/daemon/api"
	"github.com/weft-run/weft/runtime/modeltest"
)

// reusing asks a model for greedy tokens behind a prompt of ids and returns them with the number of tokens that were found in the cache.
func (l *live) reusing(model string, prompt []int32) ([]int32, int) {
	l.t.Helper()
	r := request(model, 12)
	r.Prompt = api.Tokens(prompt)
	c, err := l.client.Complete(context.Background(), r)
	must(l.t, err)
	return c.Choices[0].TokenIDs, c.Weft.ReusedTokens
}

// TestActivatedAdapterIsServed: an aLoRA changes nothing before its invocation tokens. What stands before them is found where the base left
// it, and what follows is the adapter's own; both formats say the same.
func TestActivatedAdapterIsServed(t *testing.T) {
	l := startAdapted(t)
	invocation := []int32{31, 32, 33}
	spec := tinyAdapter(7)
	spec.Invocation = invocation
	l.lay("g", modeltest.TinyAdapter(spec))
	l.layFolder("p", spec)
	l.lay("plain", modeltest.TinyAdapter(tinyAdapter(7)))

	prompt := make([]int32, 150)
	for i := range prompt {
		prompt[i] = int32(40 + i%100)
	}
	called := slices.Clone(prompt)
	copy(called[100:], invocation)

	base, reused := l.reusing("m", prompt)
	if reused != 0 {
		t.Errorf("the first request found %d tokens", reused)
	}
	for _, name := range []string{"m+g", "p", "m+g@0.5"} {
		if got, reused := l.reusing(name, prompt); !slices.Equal(got, base) || reused < 128 {
			t.Errorf("%s, not invoked, found %d tokens of the base's, and its answer is the base's: %v", name, reused, slices.Equal(got, base))
		}
	}
	want, reused := l.reusing("m+g", called)
	if reused < 64 || reused > 100 {
		t.Errorf("invoked at token 100, it found %d tokens of the base's", reused)
	}
	if again, reused := l.reusing("p", called); !slices.Equal(again, want) || reused < 64 {
		t.Errorf("as a folder it found %d tokens, and answers alike: %v", reused, slices.Equal(again, want))
	}
	if again, reused := l.reusing("m+g", called); !slices.Equal(again, want) || reused < 128 {
		t.Errorf("invoked again it found %d tokens of its own, and answers alike: %v", reused, slices.Equal(again, want))
	}
	uncalled, reused := l.reusing("m", called)
	if slices.Equal(uncalled, want) {
		t.Error("invoked, it changes nothing")
	}
	if reused < 64 || reused > 100 {
		t.Errorf("the base found %d tokens of what stands before the invocation", reused)
	}
	if whole, _ := l.reusing("m+plain", called); slices.Equal(whole, want) {
		t.Error("it changes what stands before its invocation, too")
	}
	stack, _ := l.reusing("m+g+plain@0.5", called)
	if slices.Equal(stack, want) {
		t.Error("in a stack, the other adapter changes nothing")
	}
	for _, name := range []string{"g", "p"} {
		if st := l.adapter(name, api.StatePublished, ""); !st.Activated || st.DoRA {
			t.Errorf("%s is listed as %+v", name, st)
		}
	}
}

// TestDoRAIsServed, at any scale, by either way of naming it; beside another adapter it is refused, and the other still serves.
func TestDoRAIsServed(t *testing.T) {
	l := startAdapted(t)
	spec := tinyAdapter(3)
	spec.DoRA = true
	l.layFolder("d", spec)
	l.layFolder("plain", tinyAdapter(3))
	base, _ := l.adapted("m", 16)
	whole, used := l.adapted("m+d", 16)
	if len(used) != 1 || used[0].Name != "d" {
		t.Errorf("applied were %v", used)
	}
	half, _ := l.adapted("m+d@0.5", 16)
	plain, _ := l.adapted("m+plain", 16)
	for name, other := range map[string][]int32{"the base": base, "itself at half": half, "the same without magnitudes": plain} {
		if slices.Equal(whole, other) {
			t.Errorf("DoRA answers as %s", name)
		}
	}
	for _, name := range []string{"d", "m+d+plain@0", "m+plain@0+d@1"} {
		if got, _ := l.adapted(name, 16); !slices.Equal(got, whole) {
			t.Errorf("%s does not answer as m+d", name)
		}
	}
	l.refusedWith("m+d+plain", http.StatusBadRequest, "cannot be stacked")
	l.refusedWith("m+plain@0.5+d@0.5", http.StatusBadRequest, "cannot be stacked")
	r := request("m", 1)
	r.Adapters = []api.AdapterChoice{{Name: "plain"}, {Name: "d"}}
	var no *api.Error
	if _, err := l.client.Complete(t.Context(), r); !errors.As(err, &no) || no.Code == nil || *no.Code != "adapter_unfit" {
		t.Errorf("in the body: %v", err)
	}
	if got, _ := l.adapted("m+plain", 16); !slices.Equal(got, plain) {
		t.Error("the other adapter no longer answers as before")
	}
	if st := l.adapter("d", api.StatePublished, ""); !st.DoRA || st.Activated {
		t.Errorf("listed as %+v", st)
	}
}
