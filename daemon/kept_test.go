package daemon

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/weft-run/weft/daemon/api"
)

// TestSessionsOutlastTheDaemon: a session is gone on with after a restart, to the same tokens; nothing of other requests is on disk, what is
// there is for the service alone, and it can be listed and removed.
func TestSessionsOutlastTheDaemon(t *testing.T) {
	dir := dataDir(t)
	ask := func(l *live, session string) (ids []int32, reused int) {
		t.Helper()
		req := request("stories260K", 20)
		req.Prompt, req.Session = api.Text(strings.Repeat("Once upon a time there was a little girl. ", 10)), session
		answer, err := l.client.Complete(context.Background(), req)
		must(t, err)
		return answer.Choices[0].TokenIDs, answer.Weft.ReusedTokens
	}
	files := func() []string {
		t.Helper()
		list, err := filepath.Glob(filepath.Join(dir, "state", keptDir, "*"))
		must(t, err)
		return list
	}
	l := startLive(t, liveSettings(dir))
	ask(l, "")
	must(t, l.stop())
	if list := files(); len(list) != 0 {
		t.Errorf("a request without a session left %v", list)
	}
	l = startLive(t, liveSettings(dir))
	l.until("the digest", func() bool { m, ok := l.model("stories260K"); return ok && strings.HasPrefix(m.Digest, "sha256:") })
	first, reused := ask(l, "tea:1")
	if reused != 0 {
		t.Errorf("the first request found %d tokens", reused)
	}
	must(t, l.stop())
	for _, path := range append(files(), filepath.Join(dir, "state", keptDir)) {
		info, err := os.Stat(path)
		must(t, err)
		if info.Mode()&0o077 != 0 || strings.Contains(path, "tea") {
			t.Errorf("%s has mode %v", path, info.Mode())
		}
	}
	l = startLive(t, liveSettings(dir))
	l.until("the digest", func() bool { m, ok := l.model("stories260K"); return ok && strings.HasPrefix(m.Digest, "sha256:") })
	second, reused := ask(l, "tea:1")
	if !slices.Equal(first, second) || reused < 64 {
		t.Errorf("after the restart %d tokens were found; %v, before %v", reused, second, first)
	}
	list, err := l.client.Sessions(context.Background())
	must(t, err)
	if len(list.Sessions) != 1 || list.Sessions[0].Session != "tea:1" || list.Sessions[0].Model != "stories260K" || list.Sessions[0].Tokens < 64 || list.Sessions[0].Bytes == 0 {
		t.Errorf("sessions %+v", list)
	}
	for _, name := range []string{"coffee", "..", "a b"} {
		if err := l.client.DeleteSession(context.Background(), name, ""); err == nil {
			t.Errorf("session %q was removed", name)
		}
	}
	must(t, l.client.DeleteSession(context.Background(), "tea:1", ""))
	if list := files(); len(list) != 0 {
		t.Errorf("after the removal there is %v", list)
	}
	var gone *api.Error
	if err := l.client.DeleteSession(context.Background(), "tea:1", ""); !errors.As(err, &gone) || gone.Status != 404 {
		t.Errorf("a session that is not there: %v", err)
	}
	must(t, l.stop())
}
