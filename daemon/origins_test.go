package daemon

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/weft-run/weft/daemon/config"
	"github.com/weft-run/weft/daemon/watch"
)

// TestOrigins shows what becomes of what can lie in the adapters folder.
func TestOrigins(t *testing.T) {
	dir := t.TempDir()
	settings := filepath.Join(dir, "s.toml")
	must(t, os.WriteFile(settings, []byte("base = 'm'\naliases = ['nick']"), 0o600))
	wrong := filepath.Join(dir, "w.toml")
	must(t, os.WriteFile(wrong, []byte("bse = 'm'"), 0o600))
	file := func(name string) watch.File {
		return watch.File{Name: name, Path: "/a/" + name, Size: 1, Settled: true}
	}
	at := func(name, path string) watch.File { f := file(name); f.Path = path; return f }
	folder := func(name string, files ...watch.File) watch.Entry {
		return watch.Entry{Name: name, Folder: true, Files: files}
	}
	moving := file(peftWeights)
	moving.Settled = false
	fifo := watch.File{Name: peftWeights, Problem: "it is a FIFO, not a regular file", Settled: true}
	list := []watch.Entry{
		folder("cut", file(peftConfig)),
		folder("fifo", file(peftConfig), fifo),
		folder("gguf", file("x.gguf")),
		folder("headless", file(peftWeights)),
		folder("moving", file(peftConfig), moving),
		folder("named", file(peftConfig), file(peftWeights), at(folderSettings, settings)),
		folder("other", file("README.md")),
		folder("pickle", file(peftConfig), file(peftPickle)),
		folder("plain", file(peftConfig), file(peftWeights), file("README.md")),
		{Name: "plain.gguf", Files: []watch.File{file("plain.gguf")}},
		{Name: "single.gguf", Files: []watch.File{file("single.gguf")}},
		{Name: "single.toml", Files: []watch.File{at("single.toml", settings)}},
		{Name: "wrong.gguf", Files: []watch.File{file("wrong.gguf")}},
		{Name: "wrong.toml", Files: []watch.File{at("wrong.toml", wrong)}},
	}
	var got strings.Builder
	for _, o := range origins(config.Config{AdaptersDir: "/a"}, list) {
		fmt.Fprintf(&got, "%s %d files base=%q %v missing=%q waiting=%v problem=%.60q\n", o.Name, len(o.Files), o.Base, o.Aliases, o.Missing, o.Waiting != "", o.Problem)
	}
	want := `cut 1 files base="" [] missing="adapter_model.safetensors is missing" waiting=false problem=""
fifo 2 files base="" [] missing="" waiting=false problem="adapter_model.safetensors: it is a FIFO, not a regular file"
gguf 0 files base="" [] missing="" waiting=false problem="a folder is an adapter as peft saves it; a GGUF adapter lies"
headless 1 files base="" [] missing="adapter_config.json is missing" waiting=false problem=""
moving 2 files base="" [] missing="" waiting=true problem=""
named 2 files base="m" [nick] missing="" waiting=false problem=""
pickle 1 files base="" [] missing="" waiting=false problem="adapter_model.bin is a pickle, which is a program and not da"
plain 1 files base="" [] missing="" waiting=false problem=""
plain (/a/plain) 2 files base="" [] missing="" waiting=false problem="the name \"plain\" belongs to /a/plain.gguf already; rename on"
single 1 files base="m" [nick] missing="" waiting=false problem=""
wrong 1 files base="" [] missing="" waiting=false problem="its settings file wrong.toml: unknown key \"bse\"; the nearest"
`
	if got.String() != want {
		t.Errorf("got\n%swant\n%s", got.String(), want)
	}
}
