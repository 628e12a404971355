package config

import (
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write the reference table into docs/configuration.md")

const (
	referencePath  = "../../docs/configuration.md"
	referenceBegin = "<!-- settings: written by `go test ./daemon/config -update` -->\n"
	referenceEnd   = "<!-- end of settings -->\n"
)

// TestReference keeps the table in the documentation equal to the table in the code.
func TestReference(t *testing.T) {
	var table strings.Builder
	table.WriteString("| key | flag | variable | default | what |\n| --- | --- | --- | --- | --- |\n")
	c := Default()
	for _, s := range c.settings() {
		value := "`" + s.format() + "`"
		if value == "`\"\"`" || value == "`[]`" {
			value = "see below"
			switch s.key {
			case "cpu":
				value = "the best"
			case "allowed_hosts", "allowed_origins":
				value = "none"
			}
		}
		fmt.Fprintf(&table, "| `%s` | `--%s` | `%s` | %s | %s |\n", s.key, flagName(s.key), variableName(s.key), value, s.help)
	}
	page, err := os.ReadFile(referencePath)
	if err != nil {
		t.Fatal(err)
	}
	head, rest, ok := strings.Cut(string(page), referenceBegin)
	_, tail, ok2 := strings.Cut(rest, referenceEnd)
	if !ok || !ok2 {
		t.Fatalf("%s has no place for the table", referencePath)
	}
	want := head + referenceBegin + table.String() + referenceEnd + tail
	if *update {
		if err := os.WriteFile(referencePath, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if want != string(page) {
		t.Errorf("%s is behind the code; run go test ./daemon/config -update", referencePath)
	}
}
