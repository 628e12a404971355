package server

import (
	"bufio"
	"errors"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/weft-run/weft/daemon/api"
	"github.com/weft-run/weft/daemon/server/door"
	"github.com/weft-run/weft/runtime/engine"
)

// TestTCP holds what differs there: no administration, and no foreign pages.
func TestTCP(t *testing.T) {
	t.Parallel()
	models := newFakeModels(t, map[string]*fakeEngine{"m": {text: " a", finish: engine.FinishStop}})
	s := serveLive(t, testOptions(models))
	client := api.NewClient(api.Host{URL: "http://" + s.tcp})
	defer client.Close()
	if st, err := client.Status(t.Context()); err != nil || st.Caller.Network != "tcp" || st.Caller.Admin || st.Caller.UID != nil {
		t.Errorf("status: %+v, %v", st, err)
	}
	if st, err := s.client.Status(t.Context()); err != nil || st.Caller.Network != "unix" || !st.Caller.Admin || st.Caller.UID == nil {
		t.Errorf("status on the socket: %+v, %v", st, err)
	}
	var e *api.Error
	if _, err := client.Upload(t.Context(), "x", strings.NewReader("y"), 1); !errors.As(err, &e) || e.Status != 403 || *e.Code != api.CodeForbidden {
		t.Errorf("upload: %v", err)
	}
	if err := client.Delete(t.Context(), "x"); !errors.As(err, &e) || e.Status != 403 {
		t.Errorf("delete: %v", err)
	}
	for header, value := range map[string]string{"Host": "evil.example", "Origin": "http://evil.example"} {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://"+s.tcp+api.PathCompletions, strings.NewReader(`{"model":"m","prompt":"x"}`))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set(header, value)
		if header == "Host" {
			req.Host = value
		}
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode != http.StatusForbidden {
			t.Errorf("with a foreign %s: %s", header, resp.Status)
		}
	}
}

// TestStates holds what is answered while the daemon starts and while it stops.
func TestStates(t *testing.T) {
	t.Parallel()
	models := newFakeModels(t, map[string]*fakeEngine{"m": {text: " a", finish: engine.FinishStop}})
	var state string
	var mu sync.Mutex
	o := testOptions(models)
	o.State = func() string { mu.Lock(); defer mu.Unlock(); return state }
	s := serveLive(t, o)
	ask := func(model string) error {
		_, err := s.client.Complete(t.Context(), api.CompletionRequest{Model: model, Prompt: api.Text("x")})
		return err
	}
	for _, c := range []struct{ state, ready, there, missing string }{
		{StateStarting, "starting", "", "starting"},
		{StateReady, "", "", "model_not_found"},
		{StateDraining, "closing", "closing", "closing"},
	} {
		mu.Lock()
		state = c.state
		mu.Unlock()
		for what, got := range map[string]struct {
			err  error
			want string
		}{"ready": {s.client.Ready(t.Context()), c.ready}, "there": {ask("m"), c.there}, "missing": {ask("n"), c.missing}} {
			var e *api.Error
			if errors.As(got.err, &e) != (got.want != "") || e != nil && *e.Code != got.want {
				t.Errorf("%s, %s: got %v, want %q", c.state, what, got.err, got.want)
			}
		}
		if resp, err := http.Get("http://" + s.tcp + api.PathHealth); err != nil || resp.StatusCode != 200 {
			t.Errorf("%s: not healthy: %v", c.state, err)
		}
	}
}

// TestLogLine holds that a request leaves one line with everything but text.
func TestLogLine(t *testing.T) {
	t.Parallel()
	models := newFakeModels(t, map[string]*fakeEngine{"m": {text: " secretanswer", finish: engine.FinishStop}})
	s := serveLive(t, testOptions(models))
	for _, c := range []struct{ id, body, want string }{
		{"my-id.1", `{"model":"m","prompt":"secretprompt"}`, `level=INFO msg=request id=my-id.1 endpoint=completions who="uid=`},
		{"bad id {}", `{"model":"m","prompt":"secretprompt","max_tokens":1}`, "id=req-"},
		{"err", `{"model":"m","prompt":"x","stop":{"secret":1}}`, "code=invalid_value field=stop"},
		{"err2", `{"model":"m","prompt":"x","logit_bias":{"secret":1}}`, "code=invalid_value"},
	} {
		before := len(s.log.String())
		conn := s.raw(t, strings.Replace(post(api.PathCompletions, c.body), "\r\n", "\r\nX-Request-Id: "+c.id+"\r\n", 1))
		resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err != nil {
			t.Fatal(err)
		}
		if got := resp.Header.Get("X-Request-Id"); got != c.id && !strings.HasPrefix(got, "req-") || got == "bad id {}" {
			t.Errorf("answered with the id %q", got)
		}
		var line string
		eventually(t, "there is a line", func() bool { line = s.log.String()[before:]; return strings.HasSuffix(line, "\n") })
		if !strings.Contains(line, c.want) || strings.Count(line, "\n") != 1 {
			t.Errorf("got %q, want one line with %q", line, c.want)
		}
		conn.Close()
	}
	if strings.Contains(s.log.String(), "secret") {
		t.Errorf("text in the log: %s", s.log)
	}
	if line := s.log.String(); !strings.Contains(line, "model=m choices=1 tokens_in=") || !strings.Contains(line, "first_token=") || !strings.Contains(line, "end=stop") {
		t.Errorf("something is missing: %s", line)
	}
}

func TestMetrics(t *testing.T) {
	t.Parallel()
	models := newFakeModels(t, map[string]*fakeEngine{"m": {text: " a b", finish: engine.FinishStop}})
	o := testOptions(models)
	o.Connections = door.NewConnections(4, 4)
	s := serveLive(t, o)
	if _, err := s.client.Complete(t.Context(), api.CompletionRequest{Model: "m", Prompt: api.Text("x")}); err != nil {
		t.Fatal(err)
	}
	if _, err := s.client.Complete(t.Context(), api.CompletionRequest{Model: "nobody" + strings.Repeat("x", 100), Prompt: api.Text("x")}); err == nil {
		t.Fatal("no error")
	}
	o.Metrics.Step(3, time.Millisecond)
	var text string
	eventually(t, "the requests are counted", func() bool {
		resp, err := http.Get("http://" + s.tcp + api.PathMetrics)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		b, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Fatal(err)
		}
		text = string(b)
		return strings.Contains(text, `weft_server_requests_total{code="404",endpoint="completions"} 1`)
	})
	for _, want := range []string{
		`weft_server_requests_total{code="200",endpoint="completions"} 1`,
		`weft_server_tokens_total{kind="completion"}`, `weft_server_tokens_total{kind="prompt"}`,
		"weft_server_first_token_seconds_count 1", "weft_server_inter_token_seconds_count", "weft_server_queue_seconds_count 1",
		"weft_engine_step_rows_sum 3", "weft_engine_step_duration_seconds_count 1",
		`weft_repository_resident_bytes{model="lily"} 1.572864e+06`, `weft_engine_running_sequences{model="lily"} 2`, `weft_engine_preemptions{model="lily"} 5`,
		`weft_repository_models{state="refused"} 1`, "weft_server_connections 0", `weft_build_info{version="v0"} 1`, "process_open_fds", "go_goroutines",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("no %s", want)
		}
	}
	if strings.Contains(text, "nobody") {
		t.Error("a name that a client invented became a label")
	}
}
