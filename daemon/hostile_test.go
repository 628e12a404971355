package daemon

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/weft-run/weft/daemon/api"
	"github.com/weft-run/weft/runtime/modeltest"
)

// TestHostileFilesAllAtOnce puts every hostile file (H01 to H18) into the folder of a daemon that is serving. Each is listed as
// refused for its own reason, and a request for it says so; a stream that runs meanwhile is not changed by a token, what is there is
// served, and what comes later too.
func TestHostileFilesAllAtOnce(t *testing.T) {
	l := startLive(t, liveSettings(dataDir(t)))
	l.rename("healthy.gguf", tiny(1))
	want, base := l.ask("healthy", 700)
	stream, got := l.stream("healthy", 700)

	files := modeltest.Hostile()
	for _, f := range files {
		l.rename(f.Name+".gguf", f.Data)
	}
	parts := modeltest.Tiny(modeltest.Spec{})
	l.rename("H13-set-00001-of-00003.gguf", parts)
	l.rename("H13-set-00003-of-00003.gguf", parts)
	l.write("H16-settings.gguf", parts)
	l.write("H16-settings.toml", []byte("[sampling]\ntemperature = nan\n"))

	for _, f := range files {
		l.is(f.Name, api.StateRefused, f.Says)
	}
	l.is("H13-set", api.StateSeen, "00002-of-00003")
	l.is("H16-settings", api.StateRefused, "sampling.temperature")
	for _, f := range []modeltest.HostileFile{files[0], files[len(files)/2], files[len(files)-1]} { // each looks at the folder again
		_, err := l.client.Complete(context.Background(), request(f.Name, 1))
		var refused *api.Error
		if !errors.As(err, &refused) || refused.Status != 503 || *refused.Code != api.CodeModelRefused || !strings.Contains(refused.Message, f.Says) {
			t.Errorf("%s: asked for, the answer is %v", f.Name, err)
		}
	}
	more, info, err := rest(stream)
	if err != nil || !slices.Equal(append(got, more...), want) || info.Base.Generation != base.Generation {
		t.Errorf("the stream beside them gave %d tokens of %+v and %v", len(got)+len(more), info, err)
	}
	l.rename("later.gguf", tiny(2))
	l.ask("later", 5)
	l.ask("stories260K", 5)
	all, err := l.client.ModelStatuses(context.Background())
	must(t, err)
	if n := len(all.Models); n != len(files)+2+3 {
		t.Errorf("%d models are listed", n)
	}
	// Each stays as it is, and is not tried again and again: the log has one line for each.
	for _, f := range files {
		if n := strings.Count(l.log.String(), fmt.Sprintf(`msg="model refused" model=%s `, f.Name)); n != 1 {
			t.Errorf("%s is refused %d times in the log", f.Name, n)
		}
	}
	// A good file in the place of a bad one is served.
	l.rename(files[0].Name+".gguf", tiny(3))
	l.ask(files[0].Name, 5)
}

// TestH18DamageIsFoundUnderAStream: a model with one infinite weight that no request has met is found out in the background. Its running
// stream ends with the tensor's name and what to do, other models' streams do not, and a good file mends it.
func TestH18DamageIsFoundUnderAStream(t *testing.T) {
	l := startLive(t, liveSettings(dataDir(t)))
	l.rename("healthy.gguf", tiny(1))
	want, _ := l.ask("healthy", 700)
	bystander, got := l.stream("healthy", 700)
	// Large enough that the stream has begun when the reading comes to the weight.
	l.rename("m.gguf", modeltest.HiddenDamage(modeltest.Spec{Context: 2048, VocabSize: 100_000}, 99_000))
	var ids []int32
	s, err := l.client.CompleteStream(context.Background(), request("m", 2000))
	if err == nil { // on a slow machine the request may find the model refused already
		defer s.Close()
		ids, _, err = rest(s)
	}
	var lost *api.Error
	if !errors.As(err, &lost) || !strings.Contains(lost.Message, `tensor "token_embd.weight"`) || !strings.Contains(lost.Message, "row 99000") ||
		!strings.Contains(lost.Message, "convert it again") {
		t.Errorf("after %d tokens the stream ended with %v", len(ids), err)
	}
	l.is("m", api.StateRefused, "row 99000")
	more, _, err := rest(bystander)
	if err != nil || !slices.Equal(append(got, more...), want) {
		t.Errorf("the stream of the other model gave %d tokens and %v", len(got)+len(more), err)
	}
	l.rename("m.gguf", tiny(2))
	l.ask("m", 5)
}
