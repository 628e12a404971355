// Package modeltest makes and finds models for tests: seeded tiny models of every architecture, written as GGUF, and the
// real ones that `make testdata` fetched. It is test support and no product code imports it: models to measure speed with,
// which `weftd bench` makes, are in modeltest/synthetic.
package modeltest

import (
	"os"
	"path/filepath"
	"testing"
)

// File returns the path of a fetched file below the test data folder (WEFT_TESTDATA, else .testdata beside go.mod). Where it is
// absent the test is skipped with one loud line, or fails when WEFT_REQUIRE_TESTDATA is set, as CI does.
func File(t testing.TB, name string) string {
	t.Helper()
	dir := os.Getenv("WEFT_TESTDATA")
	if dir == "" {
		dir = filepath.Join(moduleRoot(t), ".testdata")
	}
	path := filepath.Join(dir, name)
	if _, err := os.Stat(path); err == nil {
		return path
	}
	if os.Getenv("WEFT_REQUIRE_TESTDATA") != "" {
		t.Fatalf("%s is absent and WEFT_REQUIRE_TESTDATA is set; run `make testdata`", path)
	}
	t.Skipf("LOUD: skipped: %s is absent; run `make testdata`", path)
	return ""
}

func moduleRoot(t testing.TB) string {
	t.Helper()
	dir, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			t.Fatal("no go.mod above the test's folder")
		}
		dir = parent
	}
}
