package daemon

import (
	"encoding/json"
	"errors"
	"go/parser"
	"go/token"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"sort"
	"strings"
	"testing"
)

const module = "github.com/weft-run/weft/"

// allowed is the import table of docs/architecture.md: for each package what it may import of ours, and which third-party
// modules. The standard library is always allowed. A package that is not listed fails the test: decide where it stands first.
var allowed = map[string]struct{ ours, others []string }{
	"kernels/quant":       {},
	"kernels/exact":       {},
	"kernels":             {ours: []string{"kernels/quant"}},
	"kernels/ref":         {ours: []string{"kernels/quant", "kernels/exact"}},
	"kernels/cpu/avx2":    {ours: []string{"kernels/ref", "kernels/quant", "kernels/exact"}},
	"kernels/cpu/neon":    {ours: []string{"kernels/ref", "kernels/quant", "kernels/exact"}},
	"kernels/cpu/avxvnni": {ours: []string{"kernels/ref", "kernels/quant"}},
	"kernels/cpu/avx512":  {ours: []string{"kernels/ref", "kernels/quant"}},
	"kernels/cpu": {ours: []string{
		"kernels", "kernels/ref", "kernels/quant", "kernels/cpu/avx2", "kernels/cpu/avxvnni", "kernels/cpu/avx512", "kernels/cpu/neon",
	}, others: []string{"golang.org/x/sys"}},
	"kernels/kerneltest": {ours: []string{"kernels", "kernels/ref", "kernels/quant", "kernels/exact"}},

	"runtime/gguf":        {ours: []string{"kernels/quant"}, others: []string{"golang.org/x/sys"}},
	"runtime/kvcache":     {ours: []string{"kernels"}},
	"runtime/pagestore":   {ours: []string{"runtime/kvcache", "kernels"}},
	"runtime/scheduler":   {ours: []string{"runtime/kvcache"}},
	"runtime/models":      {ours: []string{"runtime/gguf", "runtime/kvcache", "kernels", "kernels/quant", "kernels/exact"}},
	"runtime/sampler":     {ours: []string{"kernels/exact"}},
	"runtime/chat":        {ours: []string{"runtime/chat/jinja"}},
	"runtime/chat/jinja":  {},
	"runtime/tokenizer":   {ours: []string{"runtime/gguf"}, others: []string{"golang.org/x/text"}},
	"runtime/speculation": {},
	"runtime/engine": {ours: []string{
		"runtime/models", "runtime/scheduler", "runtime/kvcache", "runtime/pagestore", "runtime/sampler", "runtime/speculation", "kernels",
	}},
	"runtime/parts": {ours: []string{"runtime/models", "runtime/tokenizer", "runtime/chat", "runtime/gguf"}},
	"runtime/repository": {ours: []string{
		"runtime/engine", "runtime/models", "runtime/parts", "runtime/sampler", "runtime/tokenizer", "runtime/chat", "runtime/gguf", "runtime/ledger", "runtime/near", "runtime/kvcache", "kernels",
	}, others: []string{"golang.org/x/sys"}},
	"runtime/ledger":    {},
	"runtime/near":      {others: []string{"github.com/agext/levenshtein"}},
	"runtime/modeltest": {ours: []string{"runtime/gguf", "runtime/gguf/safetensors", "runtime/modeltest/synthetic", "kernels/quant"}},
	// weftd links it for `weftd bench --synthetic`; it is kept apart from modeltest because that one links "testing".
	"runtime/modeltest/synthetic": {ours: []string{"runtime/gguf", "kernels/quant"}},
	"runtime/modeltest/tofloat":   {ours: []string{"runtime/modeltest"}},

	"runtime/gguf/strictjson":  {},
	"runtime/gguf/safetensors": {ours: []string{"runtime/gguf/strictjson", "kernels/quant"}},
	// It reaches loaded models through an interface of its own; daemon joins it to the repository.
	"adapters": {
		ours: []string{
			"runtime/models", "runtime/gguf", "runtime/gguf/safetensors", "runtime/gguf/strictjson", "runtime/ledger", "runtime/near", "kernels/quant",
		},
		others: []string{"golang.org/x/sys"},
	},

	"daemon/api":         {others: []string{"github.com/agext/levenshtein"}},
	"daemon/config":      {others: []string{"github.com/pelletier/go-toml/v2", "github.com/agext/levenshtein"}},
	"daemon/watch":       {others: []string{"github.com/fsnotify/fsnotify", "golang.org/x/sys"}},
	"daemon/builtin":     {},
	"daemon/hosttest":    {},
	"daemon/server/door": {others: []string{"golang.org/x/sys"}},
	"daemon/server": {ours: []string{
		"daemon/api", "daemon/server/door", "adapters", "runtime/repository", "runtime/engine", "runtime/pagestore", "runtime/chat", "runtime/tokenizer", "runtime/sampler",
	}, others: []string{"github.com/prometheus/client_golang", "golang.org/x/sync", "golang.org/x/sys"}},
	"daemon":       {ours: []string{"*"}, others: []string{"golang.org/x/sync", "golang.org/x/sys"}},
	"daemon/weftd": {ours: []string{"daemon", "daemon/config", "daemon/api"}},
	"daemon/weft": {ours: []string{"daemon/api", "adapters", "runtime/gguf", "runtime/tokenizer", "runtime/models", "runtime/parts", "kernels"}, others: []string{
		"github.com/spf13/cobra", "github.com/spf13/pflag", "github.com/schollz/progressbar/v3", "golang.org/x/term", "github.com/agext/levenshtein",
	}},
}

// notLinked says what a program must not carry, whatever imports it.
var notLinked = map[string][]string{
	"daemon/weft":  {module + "runtime/engine", module + "kernels/cpu", "google.golang.org/grpc", "github.com/tetratelabs/wazero", "github.com/ebitengine/purego"},
	"daemon/weftd": {"github.com/ebitengine/purego", "testing"},
}

type listed struct {
	ImportPath string
	Name       string
	Imports    []string
	Deps       []string
}

func list(t *testing.T, args ...string) []listed {
	t.Helper()
	cmd := exec.Command("go", append([]string{"list", "-json=ImportPath,Name,Imports,Deps"}, args...)...)
	cmd.Dir = ".."
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	var all []listed
	for dec := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p listed
		if err := dec.Decode(&p); errors.Is(err, io.EOF) {
			return all
		} else if err != nil {
			t.Fatal(err)
		}
		all = append(all, p)
	}
}

// TestImportTable holds the arrows of docs/architecture.md.
func TestImportTable(t *testing.T) {
	t.Parallel()
	for _, p := range list(t, "./...") {
		name := strings.TrimPrefix(p.ImportPath, module)
		rule, ok := allowed[name]
		if !ok {
			t.Errorf("package %s is not in the import table: decide what it may import, here and in docs/architecture.md", name)
			continue
		}
		for _, imp := range p.Imports {
			switch ours, is := strings.CutPrefix(imp, module); {
			case is:
				if !slices.Contains(rule.ours, ours) && !slices.Contains(rule.ours, "*") {
					t.Errorf("%s must not import %s", name, ours)
				}
			case strings.Contains(strings.SplitN(imp, "/", 2)[0], "."):
				if !slices.ContainsFunc(rule.others, func(m string) bool { return imp == m || strings.HasPrefix(imp, m+"/") }) {
					t.Errorf("%s must not import %s", name, imp)
				}
			}
		}
	}
	for name, forbidden := range notLinked {
		for _, p := range list(t, "./"+name) {
			for _, dep := range p.Deps {
				for _, f := range forbidden {
					if dep == f || strings.HasPrefix(dep, f+"/") {
						t.Errorf("%s must not link %s", name, dep)
					}
				}
			}
		}
	}
}

// TestLinkedPackages holds docs/deps-*.txt, the committed lists of all third-party packages in each program, so that a new one
// shows in review. Run with UPDATE_DEPS=1 to write them.
func TestLinkedPackages(t *testing.T) {
	t.Parallel()
	for program, file := range map[string]string{"./daemon/weftd": "deps-weftd.txt", "./daemon/weft": "deps-weft.txt"} {
		var deps []string
		for _, p := range list(t, program) {
			for _, dep := range p.Deps {
				if !strings.HasPrefix(dep, module) && strings.Contains(strings.SplitN(dep, "/", 2)[0], ".") {
					deps = append(deps, dep)
				}
			}
		}
		sort.Strings(deps)
		got := strings.Join(slices.Compact(deps), "\n") + "\n"
		path := filepath.Join("..", "docs", file)
		if os.Getenv("UPDATE_DEPS") != "" {
			if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if got != string(want) {
			t.Errorf("%s links other packages than docs/%s lists; if that is meant: UPDATE_DEPS=1 go test ./daemon -run TestLinkedPackages", program, file)
		}
	}
}

// TestPackageComments demands a comment on every package: what it owns, then what it leaves to others.
func TestPackageComments(t *testing.T) {
	t.Parallel()
	commented := map[string]bool{}
	err := filepath.WalkDir("..", func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			if n := d.Name(); path != ".." && (strings.HasPrefix(n, ".") || n == "testdata" || n == "node_modules" || n == "bin") {
				return filepath.SkipDir
			}
			return nil
		}
		if !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return nil
		}
		f, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.ParseComments|parser.PackageClauseOnly)
		if err != nil {
			return err
		}
		dir := filepath.Dir(path)
		commented[dir] = commented[dir] || (f.Doc != nil && len(f.Doc.Text()) > 40)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for dir, ok := range commented {
		if !ok {
			t.Errorf("%s has no package comment: say what it owns and what it does not do", dir)
		}
	}
}
