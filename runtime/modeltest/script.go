package modeltest

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Scripts runs text scripts: tests that are read as a table. A line that starts in the first column is a command with its
// words; the lines below it that start with a tab are the output it must have; empty lines and lines with # in the first column
// are for the reader. Each file that pattern matches is a subtest with a state of its own: start makes the function that runs its
// commands. With UPDATE_SCRIPTS=1 in the environment the files are rewritten with the output as it is.
func Scripts(t *testing.T, pattern string, start func(t *testing.T) func(words []string) string) {
	t.Helper()
	files, err := filepath.Glob(pattern)
	if err != nil || len(files) == 0 {
		t.Fatalf("no scripts match %s (%v)", pattern, err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			got := runScript(string(text), start(t))
			if os.Getenv("UPDATE_SCRIPTS") != "" {
				if err := os.WriteFile(file, []byte(got), 0o640); err != nil {
					t.Fatal(err)
				}
				return
			}
			if line := firstDifference(got, string(text)); line != "" {
				t.Errorf("%s:%s\n(UPDATE_SCRIPTS=1 rewrites the expectations)", file, line)
			}
		})
	}
}

// runScript returns the script with the output as it is.
func runScript(text string, run func(words []string) string) string {
	var out strings.Builder
	for line := range strings.Lines(text) {
		if strings.HasPrefix(line, "\t") {
			continue
		}
		out.WriteString(line)
		words := strings.Fields(line)
		if len(words) == 0 || strings.HasPrefix(line, "#") {
			continue
		}
		for l := range strings.Lines(run(words)) {
			fmt.Fprintf(&out, "\t%s\n", strings.TrimRight(l, "\n"))
		}
	}
	return out.String()
}

func firstDifference(got, want string) string {
	if got == want {
		return ""
	}
	g, w := strings.Split(got, "\n"), strings.Split(want, "\n")
	for i := range min(len(g), len(w)) {
		if g[i] != w[i] {
			return fmt.Sprintf("%d:\n got %q\nwant %q", i+1, g[i], w[i])
		}
	}
	return fmt.Sprintf("%d: got %d lines, want %d", min(len(g), len(w)), len(g), len(w))
}
