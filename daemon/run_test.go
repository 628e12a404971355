package daemon

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/weft-run/weft/daemon/api"
	"github.com/weft-run/weft/daemon/config"
	"github.com/weft-run/weft/runtime/modeltest"
)

func TestBuiltinModelAnswersThroughTheSocket(t *testing.T) {
	l := startLive(t, liveSettings(dataDir(t)))
	golden, err := os.ReadFile("testdata/stories260K.golden.txt")
	must(t, err)
	const prompt = "Once upon a time"
	n, cold := 252, 0.0
	for _, stream := range []bool{false, true} {
		r := api.CompletionRequest{Model: "stories260K", Prompt: api.Text(prompt), MaxTokens: &n, Sampling: api.Sampling{Temperature: &cold}}
		text := prompt
		if stream {
			s, err := l.client.CompleteStream(context.Background(), r)
			must(t, err)
			for chunk, err := range s.All() {
				must(t, err)
				if len(chunk.Choices) > 0 {
					text += chunk.Choices[0].Text
				}
			}
			must(t, s.Close())
		} else {
			c, err := l.client.Complete(context.Background(), r)
			must(t, err)
			text += c.Choices[0].Text
		}
		if strings.TrimRight(text, "\n") != strings.TrimRight(string(golden), "\n") {
			t.Errorf("stream %v: the story is\n%s\nwant\n%s", stream, text, golden)
		}
	}
}

// TestNextRequestAfterACopyIsServed: a model is there for the request right behind the copy or rename, with and without events.
func TestNextRequestAfterACopyIsServed(t *testing.T) {
	for _, events := range []bool{true, false} {
		t.Run(fmt.Sprintf("events %v", events), func(t *testing.T) {
			cfg := liveSettings(dataDir(t))
			cfg.WatchEvents, cfg.RescanInterval = events, time.Minute
			l := startLive(t, cfg)
			l.write("copied.gguf", tiny(1))
			l.ask("copied", 4)
			l.rename("renamed.gguf", tiny(2))
			l.ask("renamed", 4)
			must(t, os.Mkdir(l.path("folder"), 0o755))
			l.write("folder/some.gguf", tiny(4))
			l.ask("folder", 4)
			for _, name := range []string{"copied", "renamed", "folder"} {
				if m, _ := l.model(name); m.State != api.StateServing || m.SeenToReady <= 0 || m.Served == nil {
					t.Errorf("%s is %+v", name, m)
				}
			}
			_, err := l.client.Complete(context.Background(), request("copid", 1))
			var no *api.Error
			if !errors.As(err, &no) || no.Status != http.StatusNotFound || !strings.Contains(no.Message, "copied") {
				t.Errorf("a name that is not there: %v", err)
			}
		})
	}
}

// TestRealModelIsServedWhenItArrives: a model of 98 MB answers the request right behind its rename, and its content's digest, which
// takes longer, does not hold that up.
func TestRealModelIsServedWhenItArrives(t *testing.T) {
	if testing.Short() {
		t.Skip("copies 98 MB")
	}
	data, err := os.ReadFile(modeltest.File(t, "SmolLM2-135M-Instruct.Q4_1.gguf"))
	must(t, err)
	l := startLive(t, liveSettings(dataDir(t)))
	l.rename("smol.gguf", data)
	n, cold := 8, 0.0
	c, err := l.client.Chat(context.Background(), api.ChatRequest{
		Model: "smol", Messages: []api.Message{{"role": "user", "content": "What is the capital of France?"}}, MaxTokens: &n,
		Sampling: api.Sampling{Temperature: &cold},
	})
	must(t, err)
	if text := fmt.Sprint(c.Choices[0].Message); !strings.Contains(text, "Paris") {
		t.Errorf("the capital of France is %s", text)
	}
	m, _ := l.model("smol")
	t.Logf("%.0f ms from rename to first token; digest %s", m.SeenToReady, m.Digest)
	if m.SeenToReady <= 0 {
		t.Errorf("the time from rename to first token is not known: %+v", m)
	}
}

// TestReplaceByRenameUnderStreams: each of 8 streams ends whole on the old model, new requests get the new one.
func TestReplaceByRenameUnderStreams(t *testing.T) {
	const streams, length = 8, 1500
	l := startLive(t, liveSettings(dataDir(t)))
	l.rename("m.gguf", tiny(1))
	want, old := l.ask("m", length)

	open := make([]*api.Stream[api.Completion], streams)
	got := make([][]int32, streams)
	for i := range open {
		open[i], got[i] = l.stream("m", length) // and no more for now: the engine waits for its reader
	}
	l.rename("m.gguf", tiny(2))
	var now api.Base
	l.until("the new model", func() bool { _, now = l.ask("m", 1); return now.Generation != old.Generation })
	all, err := l.client.ModelStatuses(context.Background())
	must(t, err)
	if i := slices.IndexFunc(all.Models, func(m api.ModelStatus) bool { return m.Generation == old.Generation }); i < 0 || all.Models[i].State != api.StateRetiring {
		t.Errorf("the old model is not listed as retiring: %+v", all.Models)
	}
	for i, s := range open {
		more, by, err := rest(s)
		if err != nil {
			t.Fatalf("stream %d after %d tokens: %v", i, len(got[i])+len(more), err)
		}
		if !slices.Equal(append(got[i], more...), want) {
			t.Errorf("stream %d is not what the old model says", i)
		}
		if by == nil || by.Base.Generation != old.Generation {
			t.Errorf("stream %d was made by %+v, want generation %d", i, by, old.Generation)
		}
	}
	if other, _ := l.ask("m", 20); slices.Equal(other, want[:20]) {
		t.Error("the new model speaks like the old one")
	}
	l.until("the old model to go", func() bool {
		all, err := l.client.ModelStatuses(context.Background())
		must(t, err)
		return !slices.ContainsFunc(all.Models, func(m api.ModelStatus) bool { return m.Generation == old.Generation })
	})
}

// TestDamageIsListedAndHarmsNobodyElse (H14, H15) does everything to a served file that should not be done to one.
func TestDamageIsListedAndHarmsNobodyElse(t *testing.T) {
	whole := tiny(1)
	for _, c := range []struct {
		name          string
		do            func(l *live)
		state, reason string // "" is gone
		next          func(l *live)
	}{
		{"truncate", func(l *live) { must(t, os.Truncate(l.path("m.gguf"), int64(len(whole)/2))) }, api.StateRefused, "file", nil},
		{"truncate to nothing", func(l *live) { must(t, os.Truncate(l.path("m.gguf"), 0)) }, api.StateRefused, "the file is empty", nil},
		{"overwrite in place", func(l *live) { l.write("m.gguf", tiny(7)) }, api.StateServing, "", nil},
		{"corrupt", func(l *live) { l.write("m.gguf", bytes.Repeat([]byte("junk"), len(whole)/4)) }, api.StateRefused, "GGUF", nil},
		{"corrupt by rename", func(l *live) { l.rename("m.gguf", []byte("junk")) }, api.StateServing, "GGUF", nil},
		{"delete", func(l *live) { must(t, os.Remove(l.path("m.gguf"))) }, "", "", nil},
		{"a folder in its place", func(l *live) {
			must(t, os.Remove(l.path("m.gguf")))
			must(t, os.Mkdir(l.path("m.gguf"), 0o755))
		}, "", "", func(l *live) { l.is("m.gguf", api.StateRefused, "it is a folder without a model in it") }},
		{"a link to itself in its place", func(l *live) {
			must(t, os.Remove(l.path("m.gguf")))
			must(t, os.Symlink("m.gguf", l.path("m.gguf")))
		}, api.StateServing, "too many levels of symbolic links", nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			l := startLive(t, liveSettings(dataDir(t)))
			l.rename("m.gguf", whole)
			l.rename("steady.gguf", tiny(2))
			want, _ := l.ask("steady", 1000)
			l.ask("m", 1)

			bystander, first := l.stream("steady", 1000)
			l.stream("m", 2000)
			c.do(l)
			if c.state == "" {
				l.until("m to be gone", func() bool { m, there := l.model("m"); return !there || m.State == api.StateRetiring })
			} else {
				l.is("m", c.state, c.reason)
			}
			if c.next != nil {
				c.next(l)
			}
			more, _, err := rest(bystander)
			if err != nil || !slices.Equal(append(first, more...), want) {
				t.Errorf("the other model gave %d tokens and %v, and not its own", len(first)+len(more), err)
			}
			// Whatever it was: a good file mends it.
			must(t, os.RemoveAll(l.path("m.gguf")))
			l.rename("m.gguf", tiny(9))
			l.until("m to be served again", func() bool {
				m, _ := l.model("m")
				return m.State == api.StateServing && m.Reason == ""
			})
			l.ask("m", 3)
		})
	}
}

// TestOverwrittenModelReleasesNoToken (H15): a stream on a model that is written in place ends with an error that tells what to do.
func TestOverwrittenModelReleasesNoToken(t *testing.T) {
	l := startLive(t, liveSettings(dataDir(t)))
	l.rename("m.gguf", tiny(1))
	want, _ := l.ask("m", 2000)
	s, got := l.stream("m", 2000)
	l.write("m.gguf", tiny(2))
	more, _, err := rest(s)
	if got = append(got, more...); !slices.Equal(got, want[:len(got)]) {
		t.Errorf("the %d tokens are not of the model that was asked", len(got))
	}
	var lost *api.Error
	if !errors.As(err, &lost) || !strings.Contains(lost.Message, "rename") {
		t.Errorf("after %d tokens the stream ended with %v", len(got), err)
	}
	l.until("the new content", func() bool { m, _ := l.model("m"); return m.State == api.StateServing })
	l.ask("m", 1)
}

func TestModelsAreThereAfterARestart(t *testing.T) {
	cfg := liveSettings(dataDir(t))
	l := startLive(t, cfg)
	l.write("m.gguf", tiny(1))
	want, _ := l.ask("m", 10)
	var digest string
	l.until("the digest", func() bool { m, _ := l.model("m"); digest = m.Digest; return digest != "pending" && digest != "" })
	must(t, l.stop())
	again := startLive(t, cfg)
	m, _ := again.model("m")
	if m.State != api.StateServing || m.Digest != digest {
		t.Errorf("after the restart m is %s with digest %s; it had %s", m.State, m.Digest, digest)
	}
	if got, _ := again.ask("m", 10); !slices.Equal(got, want) {
		t.Error("after the restart the answer is another")
	}
}

func TestSettingsBesideAModel(t *testing.T) {
	l := startLive(t, liveSettings(dataDir(t)))
	l.rename("m.toml", []byte("ctx = 64\naliases = ['other', 'stories260K']\n[sampling]\ntemperature = 0.0\n"))
	l.rename("m.gguf", tiny(1))
	l.ask("m", 1)
	_, first := l.ask("other", 1)
	if m, _ := l.model("m"); m.Context != 64 || !slices.Equal(m.Aliases, []string{"other"}) {
		t.Errorf("m is served as %+v", m)
	}
	l.rename("m.toml", []byte("ctx = 64\ncontext = 3\n"))
	l.is("m", api.StateServing, `its settings file m.toml: unknown key "context"; the nearest known one is`)
	if _, base := l.ask("other", 1); base.Generation != first.Generation {
		t.Error("a settings file that cannot be read replaced the model")
	}
	l.rename("m.toml", []byte("ctx = 128\n"))
	l.until("the new settings", func() bool { m, _ := l.model("m"); return m.Context == 128 && m.Reason == "" })
	must(t, os.Remove(l.path("m.toml")))
	l.until("no settings", func() bool { m, _ := l.model("m"); return m.Context == 2048 })
}

func TestUploadAndDelete(t *testing.T) {
	l := startLive(t, liveSettings(dataDir(t)))
	data := tiny(1)
	stored, err := l.client.Upload(context.Background(), "up", bytes.NewReader(data), int64(len(data)))
	must(t, err)
	if stored.Bytes != int64(len(data)) || len(stored.SHA256) != 64 {
		t.Errorf("stored %+v", stored)
	}
	l.ask("up", 2)
	for _, name := range []string{"../up", "a.part", ".hidden"} {
		_, err := l.client.Upload(context.Background(), name, strings.NewReader("x"), 1)
		var no *api.Error
		if !errors.As(err, &no) || no.Status != http.StatusBadRequest {
			t.Errorf("uploading %q: %v", name, err)
		}
	}
	if got := names(t, l.cfg.ModelsDir); got != "up.gguf" {
		t.Errorf("the folder has %s", got)
	}
	must(t, l.client.Delete(context.Background(), "up"))
	l.until("up to be gone", func() bool { _, there := l.model("up"); return !there })
	var no *api.Error
	if err := l.client.Delete(context.Background(), "up"); !errors.As(err, &no) || no.Status != http.StatusNotFound {
		t.Errorf("deleting it again: %v", err)
	}
}

func TestSecondDaemonIsToldWhy(t *testing.T) {
	l := startLive(t, liveSettings(dataDir(t)))
	if err := Run(context.Background(), l.cfg, quiet()); !errors.Is(err, ErrInUse) || strings.Contains(err.Error(), "\n") {
		t.Errorf("a daemon in the same folder: %v", err)
	}
	other := liveSettings(dataDir(t))
	other.Listen = l.cfg.Listen
	if err := Run(context.Background(), other, quiet()); !errors.Is(err, ErrInUse) {
		t.Errorf("a daemon on the same socket: %v", err)
	}
	if err := l.client.Ready(context.Background()); err != nil {
		t.Errorf("the first daemon: %v", err)
	}
}

func TestDrainDeadlineEndsEveryRequest(t *testing.T) {
	cfg := liveSettings(dataDir(t))
	cfg.DrainTimeout = 50 * time.Millisecond
	l := startLive(t, cfg)
	l.rename("m.gguf", tiny(1))
	l.ask("m", 1)
	s, _ := l.stream("m", 2000)
	if err := l.stop(); err != nil {
		t.Errorf("the daemon ended with %v", err)
	}
	if _, _, err := rest(s); err == nil {
		t.Error("the stream was whole, though the daemon ended long before its end")
	}
	if _, err := os.Stat(cfg.Listen[0].Address); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the socket is still there: %v", err)
	}
}

func TestTCPAndSocketTogether(t *testing.T) {
	cfg := liveSettings(dataDir(t))
	cfg.Listen = append(cfg.Listen, config.Address{Network: "tcp", Address: "127.0.0.1:0"})
	l := startLive(t, cfg)
	st, err := l.client.Status(context.Background())
	must(t, err)
	if len(st.Listeners) != 2 || !st.Caller.Admin || st.Caller.UID == nil || *st.Caller.UID != os.Getuid() {
		t.Fatalf("status is %+v", st)
	}
	host, err := api.ParseHost(st.Listeners[1])
	must(t, err)
	over := api.NewClient(host)
	defer over.Close()
	if st, err = over.Status(context.Background()); err != nil || st.Caller.Admin || st.State != "ready" {
		t.Errorf("over TCP the status is %+v, %v", st, err)
	}
	if _, err := over.Upload(context.Background(), "x", strings.NewReader("x"), 1); err == nil {
		t.Error("a stranger over TCP uploaded a model")
	}
}

// TestIdleConnectionsDoNotHoldUpTheEnd: connections that were opened and never used are not waited for until the drain timeout.
func TestIdleConnectionsDoNotHoldUpTheEnd(t *testing.T) {
	l := startLive(t, liveSettings(dataDir(t)))
	for range 5 {
		c, err := net.Dial("unix", l.cfg.Listen[0].Address)
		must(t, err)
		defer c.Close()
		fmt.Fprint(c, "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
		_, err = io.ReadFull(c, make([]byte, 12))
		must(t, err)
	}
	if err := l.stop(); err != nil {
		t.Error(err)
	}
}
