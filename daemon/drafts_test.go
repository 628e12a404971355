package daemon

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/weft-run/weft/daemon/builtin"
	"github.com/weft-run/weft/runtime/modeltest"
)

// TestDrafts: a model guesses for another whose settings name it, while both are in service and their vocabularies are one; answers stay the same
// whatever becomes of it, and what it takes in memory is given back.
func TestDrafts(t *testing.T) {
	dir := dataDir(t)
	models := filepath.Join(dir, "models")
	must(t, os.MkdirAll(models, 0o755))
	write := func(name string, data []byte) {
		t.Helper()
		must(t, os.WriteFile(filepath.Join(models, "."+name), data, 0o644))
		must(t, os.Rename(filepath.Join(models, "."+name), filepath.Join(models, name)))
	}
	write("large.gguf", builtin.Bytes())
	write("large.toml", []byte("draft = \"small\"\n"))
	foreign, err := os.ReadFile(modeltest.WriteTiny(t, modeltest.Spec{Seed: 1}))
	must(t, err)
	l := startLive(t, liveSettings(dir))
	until := func(note string) {
		t.Helper()
		l.until("the draft: "+note, func() bool {
			m, ok := l.model("large")
			return ok && m.Draft == "small" && strings.Contains(m.DraftNote, note) && (note == "") == (m.DraftNote == "")
		})
		one, err := l.client.ModelStatus(t.Context(), "large")
		must(t, err)
		if !strings.Contains(one.DraftNote, note) || (note == "") != (one.DraftNote == "") {
			t.Errorf("asked for alone it says %q of its draft", one.DraftNote)
		}
	}
	want, _ := l.ask("stories260K", 200)
	same := func() {
		t.Helper()
		if got, _ := l.ask("large", 200); !slices.Equal(got, want) {
			t.Errorf("%v, want %v", got, want)
		}
	}
	memory := func() int64 {
		t.Helper()
		st, err := l.client.Status(t.Context())
		must(t, err)
		sum := st.Memory.Resident
		for _, m := range st.Models {
			sum -= m.Resident
		}
		return sum
	}
	until("not in service")
	same()
	l.until("no memory held beside models", func() bool { return memory() == 0 })
	write("small.gguf", builtin.Bytes())
	until("")
	same()
	status, _ := l.model("large")
	if status.DraftedByModel == 0 || status.AcceptedByModel != status.DraftedByModel || status.DraftedByModel > status.Drafted {
		t.Errorf("a draft of the same weights: %+v", status)
	}
	l.until("its memory", func() bool { return memory() > 0 })
	write("small.gguf", foreign) // a swap
	until("its vocabulary is another one")
	same()
	write("small.gguf", builtin.Bytes())
	until("")
	same()
	must(t, os.Remove(filepath.Join(models, "small.gguf")))
	until("not in service")
	l.until("its generation let go", func() bool { _, ok := l.model("small"); return !ok })
	same()
	l.until("no memory held beside models", func() bool { return memory() == 0 })
	write("large.toml", []byte("draft = \"large\"\n"))
	l.until("a note", func() bool {
		m, ok := l.model("large")
		return ok && m.DraftNote == "a model cannot guess for itself"
	})
	same()
	write("small.gguf", builtin.Bytes())
	write("large.toml", []byte("draft = \"small\"\nspeculation = \"off\"\n"))
	until("speculation is off")
	write("large.toml", []byte("draft = \"small\"\n"))
	until("")
	must(t, l.stop())
}
