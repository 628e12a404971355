package server

import (
	"net/http"
	"path/filepath"
	"strings"
	"testing"
)

// FuzzModelName: a name that is taken is one element of a path and stays in its folder.
func FuzzModelName(f *testing.F) {
	for _, name := range []string{"a.gguf", "..", "a/b", "a\\b", ".hidden", "x\x00", "\xff", "a.gguf.gguf", strings.Repeat("n", 300), "con:1", " ", "CON"} {
		f.Add(name)
	}
	f.Fuzz(func(t *testing.T, text string) {
		r := &http.Request{}
		r.SetPathValue("name", text)
		name, err := fileName(r)
		if err != nil {
			if len(err.Error()) > 4*maxModelName+200 {
				t.Fatalf("the error has %d bytes", len(err.Error()))
			}
			return
		}
		if file := name + ".gguf"; filepath.Base(file) != file || !filepath.IsLocal(file) || len(file) > 255 {
			t.Fatalf("%q is taken as %q", text, name)
		}
		if validID(text) && strings.ContainsAny(text, " \r\n\"") {
			t.Fatalf("%q is taken as the id of a request", text)
		}
	})
}
