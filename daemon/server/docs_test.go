package server

import (
	"io"
	"net/http/httptest"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"testing"

	"github.com/weft-run/weft/daemon/api"
)

// TestDocs holds that docs/api.md names every endpoint, field, error code and figure there is.
func TestDocs(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile(filepath.Join("..", "..", "docs", "api.md"))
	if err != nil {
		t.Fatal(err)
	}
	page := string(text)
	has := func(what, name string) {
		t.Helper()
		if !strings.Contains(page, name) {
			t.Errorf("%s %s is not in docs/api.md", what, name)
		}
	}
	s := &Server{}
	for _, e := range s.endpoints() {
		has("endpoint", e.method+" "+strings.ReplaceAll(e.path, "...", ""))
	}
	for _, r := range []any{
		api.ChatRequest{},
		api.CompletionRequest{},
		api.TokenizeRequest{},
		api.DetokenizeRequest{},
		api.RenderRequest{},
		api.PerplexityRequest{},
		api.PerplexityResponse{},
		api.Stored{},
		api.CacheList{},
		api.ModelCache{},
		api.CacheSharing{},
		api.CacheDomain{},
		api.CacheDropped{},
		api.ModelDropped{},
		api.AdapterChoice{},
		api.LoRAChoice{},
		api.AdapterStatuses{},
		api.AdapterStatus{},
		api.AdapterBase{},
	} {
		for _, name := range jsonNames(reflect.TypeOf(r)) {
			if name != "stream_options" { // its one field stands there
				has("field", "`"+name+"`")
			}
		}
	}
	for _, name := range append(jsonNames(reflect.TypeOf(api.Info{})), jsonNames(reflect.TypeOf(api.Timings{}))...) {
		has("field of weft", `"`+name+`"`)
	}
	// The codes are the string constants of daemon/api whose names begin with Code.
	source, err := os.ReadFile(filepath.Join("..", "api", "errors.go"))
	if err != nil {
		t.Fatal(err)
	}
	codes := regexp.MustCompile(`(?m)^\tCode\w+\s+= "(\w+)"`).FindAllStringSubmatch(string(source), -1)
	if len(codes) < 20 {
		t.Fatalf("found %d codes", len(codes))
	}
	for _, c := range codes {
		has("code", "`"+c[1]+"`")
	}
	metrics := NewMetrics("v0")
	metrics.watch(newFakeModels(t, nil), &fakeAdapters{}, nil)
	metrics.observe(&record{endpoint: "x", choices: 1, adapters: []api.Adapter{{Name: "a"}}}, 0)
	w := httptest.NewRecorder()
	metrics.handler.ServeHTTP(w, httptest.NewRequest("GET", "/metrics", nil))
	body, err := io.ReadAll(w.Body)
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range regexp.MustCompile(`(?m)^# TYPE (weft_\w+)`).FindAllStringSubmatch(string(body), -1) {
		has("figure", "`"+m[1])
	}
}

// jsonNames lists the names that a struct's fields have on the wire.
func jsonNames(t reflect.Type) []string {
	var names []string
	for i := range t.NumField() {
		f := t.Field(i)
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		switch {
		case f.Anonymous:
			names = append(names, jsonNames(f.Type)...)
		case name != "" && name != "-":
			names = append(names, name)
		}
	}
	return names
}
