package main

import (
	"bytes"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// manPage returns a man page with its escapes resolved.
func manPage(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile("../../packaging/man/" + name)
	if err != nil {
		t.Fatal(err)
	}
	return strings.ReplaceAll(string(text), `\-`, "-")
}

// TestManPage demands every verb and flag of weft in its man page.
func TestManPage(t *testing.T) {
	page := manPage(t, "weft.1")
	a := &app{in: strings.NewReader(""), out: &bytes.Buffer{}, err: &bytes.Buffer{}, getenv: os.Getenv}
	root := a.root()
	var visit func(cmd *cobra.Command)
	visit = func(cmd *cobra.Command) {
		cmd.LocalFlags().VisitAll(func(f *pflag.Flag) {
			if !regexp.MustCompile(`--` + f.Name + `\b`).MatchString(page) {
				t.Errorf("weft.1 does not mention --%s of %s", f.Name, cmd.CommandPath())
			}
		})
		for _, verb := range cmd.Commands() {
			if !regexp.MustCompile(`(?m)^\.BI? "?` + verb.Name() + `\b`).MatchString(page) {
				t.Errorf("weft.1 does not describe %s", verb.CommandPath())
			}
			visit(verb)
		}
	}
	visit(root)
}

// TestDaemonManPage demands every flag that docs/configuration.md lists, which a test of its own holds against the code, in the
// man page of weftd.
func TestDaemonManPage(t *testing.T) {
	page := manPage(t, "weftd.1")
	reference, err := os.ReadFile("../../docs/configuration.md")
	if err != nil {
		t.Fatal(err)
	}
	flags := regexp.MustCompile("(?m)^\\| `\\w+` \\| `(--[a-z-]+)`").FindAllSubmatch(reference, -1)
	if len(flags) == 0 {
		t.Fatal("docs/configuration.md lists no flags")
	}
	for _, f := range flags {
		if !regexp.MustCompile(string(f[1]) + `\b`).MatchString(page) {
			t.Errorf("weftd.1 does not mention %s", f[1])
		}
	}
}
