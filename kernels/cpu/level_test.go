package cpu

import (
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/weft-run/weft/kernels/quant"
)

// CI says which level its machine has: without this test a machine that lacks it would show green and test nothing.
func TestExpectedLevel(t *testing.T) {
	want := os.Getenv("EXPECT_CPU")
	if want == "" {
		t.Skip("EXPECT_CPU is not set")
	}
	d, err := NewDevice(Options{Threads: 1, Level: want})
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	if d.Level() != want {
		t.Fatalf("level %s was expected to run here, but the best is %s", want, d.Level())
	}
}

func TestUnknownLevelNamesTheLevels(t *testing.T) {
	_, err := NewDevice(Options{Level: "avx3"})
	if err == nil || !strings.Contains(err.Error(), `"avx3"`) || !strings.Contains(err.Error(), strings.Join(Levels(), ", ")) {
		t.Fatalf("error %v does not name the level and those there are", err)
	}
	if _, err := NewDevice(Options{Threads: -1}); err == nil {
		t.Fatal("a negative number of threads was accepted")
	}
}

// A level of another architecture is an error too, not a silent fall to ref.
func TestLevelsOfTheArchitecture(t *testing.T) {
	other := map[string]string{"arm64": "avx2"}[runtime.GOARCH]
	if other == "" {
		other = "neondot"
	}
	if _, err := NewDevice(Options{Level: other}); err == nil || !strings.Contains(err.Error(), "levels are ref, ") {
		t.Fatalf("error %v does not name the levels there are", err)
	}
}

// Every level computes every type.
func TestTablesAreComplete(t *testing.T) {
	for _, name := range Levels() {
		table, err := tableFor(name)
		if err != nil {
			t.Fatal(err)
		}
		for _, typ := range quant.Computable() {
			p := table.products[typ]
			if p == nil || p.rowsFloat == nil == (p.rowsQuant == nil) {
				t.Errorf("level %s: %s", name, typ)
			}
		}
	}
}

func TestCgroupQuota(t *testing.T) {
	for _, c := range []struct {
		name  string
		files map[string]string
		cores float64
		ok    bool
	}{
		{name: "none", files: map[string]string{"list": "0::/\n"}},
		{name: "version 2", files: map[string]string{"list": "0::/a/b\n", "a/b/cpu.max": "max 100000\n", "a/cpu.max": "150000 100000\n"}, cores: 1.5, ok: true},
		{name: "the smallest", files: map[string]string{"list": "0::/a/b\n", "a/b/cpu.max": "50000 100000\n", "a/cpu.max": "150000 100000\n"}, cores: 0.5, ok: true},
		{name: "version 1", files: map[string]string{"list": "4:memory:/x\n3:cpu,cpuacct:/s\n", "cpu/s/cpu.cfs_quota_us": "300000\n", "cpu/s/cpu.cfs_period_us": "100000\n"}, cores: 3, ok: true},
		{name: "version 1 without", files: map[string]string{"list": "3:cpu:/s\n", "cpu/s/cpu.cfs_quota_us": "-1\n", "cpu/s/cpu.cfs_period_us": "100000\n"}},
		{name: "nonsense", files: map[string]string{"list": "what\n0::/\n", "cpu.max": "much little\n"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			for name, text := range c.files {
				name = filepath.Join(dir, name)
				if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			cores, ok := cgroupQuota(filepath.Join(dir, "list"), dir)
			if cores != c.cores || ok != c.ok {
				t.Fatalf("%v %v, want %v %v", cores, ok, c.cores, c.ok)
			}
		})
	}
	if n := usableThreads(); n < 1 {
		t.Fatalf("%d usable threads", n)
	}
}
