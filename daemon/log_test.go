package daemon

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

func TestJournalLines(t *testing.T) {
	var out bytes.Buffer
	log := NewLog(&out, slog.LevelInfo, "journal").With("a", 1)
	log.Debug("unseen")
	log.Info("hello", "b", "two words")
	log.WithGroup("g").Warn("careful", "time", 3)
	log.Error("broken")
	want := "<6>msg=hello a=1 b=\"two words\"\n<4>msg=careful a=1 g.time=3\n<3>msg=broken a=1\n"
	if out.String() != want {
		t.Errorf("the journal got\n%swant\n%s", out.String(), want)
	}
}

func TestLogFormats(t *testing.T) {
	for format, want := range map[string]string{"text": "level=WARN msg=hello", "json": `"level":"WARN","msg":"hello"`} {
		var out bytes.Buffer
		log := NewLog(&out, slog.LevelWarn, format)
		log.Info("unseen")
		log.Warn("hello")
		if !strings.Contains(out.String(), want) || strings.Contains(out.String(), "unseen") {
			t.Errorf("%s: %s", format, out.String())
		}
	}
}

// full is a disk that has room or has not.
type full struct {
	bytes.Buffer
	now bool
}

func (f *full) Write(p []byte) (int, error) {
	if f.now {
		return 0, unix.ENOSPC
	}
	return f.Buffer.Write(p)
}

func TestLostLinesAreCounted(t *testing.T) {
	for _, format := range []string{"text", "json", "journal"} {
		var out full
		log := NewLog(&out, slog.LevelInfo, format).With("a", 1)
		log.Info("before")
		out.now = true
		log.Info("lost")
		log.WithGroup("g").Info("lost too")
		out.now = false
		log.Info("after")
		log.Info("later")
		got := out.String()
		if strings.Count(got, "\n") != 4 || strings.Count(got, "are lost") != 1 || !strings.Contains(got, "no space left on device") ||
			!strings.Contains(got, "lines=2") && !strings.Contains(got, `"lines":2`) {
			t.Errorf("%s:\n%s", format, got)
		}
	}
}
