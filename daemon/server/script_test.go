package server

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/weft-run/weft/adapters"
	"github.com/weft-run/weft/runtime/engine"
	"github.com/weft-run/weft/runtime/modeltest"
	"github.com/weft-run/weft/runtime/repository"
)

// masks hide what differs from run to run.
var masks = []struct {
	re   *regexp.Regexp
	with string
}{
	{regexp.MustCompile(`"created":\d+`), `"created":0`},
	{regexp.MustCompile(`_ms":[0-9.e-]+`), `_ms":0`},
	{regexp.MustCompile(`"seed":\d{5,}`), `"seed":"drawn"`},
	{regexp.MustCompile(`"(uid|gid|pid)":\d+`), `"$1":0`},
	{regexp.MustCompile(`"go":"[^"]*","platform":"[^"]*"`), `"go":"","platform":""`},
}

// TestScripts plays the dialogues of testdata: a line is a request (method, path, body), below it stands the answer.
func TestScripts(t *testing.T) {
	t.Parallel()
	modeltest.Scripts(t, "testdata/*.txt", func(t *testing.T) func([]string) string {
		models := newFakeModels(t, map[string]*fakeEngine{
			"lily":     {text: ", Lily ran.", finish: engine.FinishStop},
			"accents":  {text: "é€😀", finish: engine.FinishLength},
			"lost":     {text: " a b", fail: &engine.LostError{Cause: fmt.Errorf("the file changed")}},
			"damaged":  {fail: &engine.NonFiniteError{Layer: 3, Layers: 5, Position: 17}},
			"full":     {refuse: &engine.QueueFullError{Queue: 64, RetryAfter: 2500 * time.Millisecond}},
			"short":    {refuse: &engine.TooLongError{Prompt: 5000, Context: 64}},
			"closed":   {refuse: engine.ErrClosed},
			"panics":   {panics: true},
			"bare":     {text: " x", finish: engine.FinishStop, template: "a\n{% if %}"},
			"foreign":  {text: " x", finish: engine.FinishStop, template: "chatml"},
			"faulty":   {text: " x", finish: engine.FinishStop, template: "a\n\n{{ messages[0].content + 1 }}"},
			"endless":  {text: " x", finish: engine.FinishStop, template: "{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}"},
			"defaults": {text: " one two three four", finish: engine.FinishStop, defaults: map[string]float64{"seed": 11, "max_tokens": 3, "temperature": 0.5}},
		})
		models.refused = map[string]*repository.RefusedError{
			"bad":      {Name: "bad", Reason: `tensor "blk.0.attn_q.weight" is missing`},
			"settling": {Name: "settling", Reason: "its files are still being written", Waiting: true},
		}
		models.errs = map[string]error{
			"lily+gone":    &adapters.NotFoundError{Name: "gone", Near: []string{"style"}},
			"lily+other":   &adapters.UnfitError{Adapter: "other", Base: "lily", Reason: "it is for rose"},
			"lily+tone":    &adapters.RefusedError{Name: "tone", Reason: "it changes nothing"},
			"lily+coming":  &adapters.RefusedError{Name: "coming", Reason: "it is about to be read", Waiting: true},
			"lily+crowded": &adapters.BusyError{Adapter: "crowded", Need: 10, Resident: 20, Budget: 25},
		}
		options := testOptions(models)
		options.Adapters, options.AdapterStore = &fakeAdapters{}, &fakeAdapterStore{generation: 3}
		handler := New(options)
		t.Cleanup(func() {
			if n := models.held(); n != 0 {
				t.Errorf("%d leases are still held", n)
			}
			for name, e := range models.engines {
				if n := e.busy(); n != 0 {
					t.Errorf("%s: %d streams were not cancelled", name, n)
				}
			}
		})
		return func(words []string) string {
			body := strings.Join(words[2:], " ")
			r := httptest.NewRequest(words[0], words[1], strings.NewReader(body))
			r = r.WithContext(onSocket(t.Context()))
			r.Header.Set("X-Request-Id", "r1")
			if tag, rest, ok := strings.Cut(body, " "); ok && strings.HasPrefix(tag, "If-Match:") {
				r.Header.Set("If-Match", strings.TrimPrefix(tag, "If-Match:"))
				r.Body = io.NopCloser(strings.NewReader(rest))
			}
			w := httptest.NewRecorder()
			func() {
				defer func() {
					if err, ok := recover().(error); ok && !errors.Is(err, http.ErrAbortHandler) {
						t.Errorf("%s %s panicked: %v", words[0], words[1], err)
					}
				}()
				handler.ServeHTTP(w, r)
			}()
			out := fmt.Sprintf("%d %s", w.Code, w.Header().Get("Content-Type"))
			if s := w.Header().Get("Retry-After"); s != "" {
				out += ", retry after " + s
			}
			if id := w.Header().Get("X-Request-Id"); id != "r1" {
				out += ", id " + id
			}
			out += "\n" + strings.ReplaceAll(w.Body.String(), "\n\n", "\n")
			for _, m := range masks {
				out = m.re.ReplaceAllString(out, m.with)
			}
			return out
		}
	})
}
