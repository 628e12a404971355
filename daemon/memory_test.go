package daemon

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/weft-run/weft/daemon/config"
)

// machine is the root of a machine with 16 GiB, of which 10 GiB can be had, in the given control groups.
func machine(groups string, files map[string]string) fstest.MapFS {
	root := fstest.MapFS{
		"proc/meminfo":     {Data: []byte("MemTotal:       16777216 kB\nMemFree:  1 kB\nMemAvailable:   10485760 kB\nHugePages_Total:       0\n")},
		"proc/self/cgroup": {Data: []byte(groups)},
	}
	for name, text := range files {
		root[name] = &fstest.MapFile{Data: []byte(text)}
	}
	return root
}

func TestUsableMemory(t *testing.T) {
	const gib = 1 << 30
	const v2 = "0::/system.slice/weftd.service\n"
	const cg = "sys/fs/cgroup/"
	without := func(name string, root fstest.MapFS) fstest.MapFS {
		delete(root, name)
		return root
	}
	for name, c := range map[string]struct {
		root  fstest.MapFS
		bytes int64
		from  string
	}{
		"no groups at all":      {without("proc/self/cgroup", machine("", nil)), 10 * gib, "MemAvailable"},
		"no limit":              {machine(v2, map[string]string{cg + "system.slice/weftd.service/memory.max": "max\n"}), 10 * gib, "MemAvailable"},
		"its own max":           {machine(v2, map[string]string{cg + "system.slice/weftd.service/memory.max": "4294967296\n"}), 4 * gib, "memory.max of the control group /system.slice/weftd.service (version 2)"},
		"high is lower":         {machine(v2, map[string]string{cg + "system.slice/weftd.service/memory.max": "4294967296\n", cg + "system.slice/weftd.service/memory.high": "3221225472\n"}), 3 * gib, "memory.high of"},
		"a parent's":            {machine(v2, map[string]string{cg + "system.slice/weftd.service/memory.max": "max\n", cg + "system.slice/memory.max": "2147483648"}), 2 * gib, "control group /system.slice (version 2)"},
		"a container's root":    {machine("0::/\n", map[string]string{cg + "memory.max": "1073741824\n"}), gib, "control group / (version 2)"},
		"a host's path":         {machine("0::/docker/abc\n", map[string]string{cg + "memory.max": "1073741824\n"}), gib, "control group / (version 2)"},
		"above what is free":    {machine(v2, map[string]string{cg + "system.slice/weftd.service/memory.max": "12884901888\n"}), 12 * gib, "memory.max"},
		"more than the machine": {machine(v2, map[string]string{cg + "system.slice/memory.max": "99999999999999\n"}), 10 * gib, "MemAvailable"},
		"0 is none":             {machine(v2, map[string]string{cg + "system.slice/memory.max": "0\n"}), 10 * gib, "MemAvailable"},
		"noise":                 {machine("x\n0:\n::::\n0::/../../../etc\n", map[string]string{cg + "memory.max": "much\n", "etc/memory.max": "1\n"}), 10 * gib, "MemAvailable"},
		"version 1":             {machine("9:name=systemd:/a\n4:cpu,memory:/box\n", map[string]string{cg + "memory/box/memory.limit_in_bytes": "2147483648\n", cg + "memory/memory.limit_in_bytes": "9223372036854771712\n"}), 2 * gib, "memory.limit_in_bytes of the control group /box (version 1)"},
		"version 1, no limit":   {machine("4:memory:/box\n", map[string]string{cg + "memory/box/memory.limit_in_bytes": "9223372036854771712\n"}), 10 * gib, "MemAvailable"},
		"both versions":         {machine("4:memory:/box\n0::/unit\n", map[string]string{cg + "memory/box/memory.limit_in_bytes": "3221225472\n", cg + "unified/unit/memory.max": "2147483648\n"}), 2 * gib, "(version 2)"},
		"an old kernel":         {machine("", map[string]string{"proc/meminfo": "MemTotal:  2097152 kB\n"}), 2 * gib, "MemTotal"},
		"nothing is known":      {fstest.MapFS{}, unknownMemory, "a guess"},
		"only a limit known":    {without("proc/meminfo", machine(v2, map[string]string{cg + "system.slice/memory.max": "2147483648\n"})), 2 * gib, "memory.max"},
	} {
		t.Run(name, func(t *testing.T) {
			if got := usableMemory(c.root); got.bytes != c.bytes || !strings.Contains(got.from, c.from) {
				t.Errorf("%d bytes by %q, want %d by %q", got.bytes, got.from, c.bytes, c.from)
			}
		})
	}
}

// The log says what the budget is, and why.
func TestMemoryBudgetIsSaid(t *testing.T) {
	root := machine("0::/unit\n", map[string]string{"sys/fs/cgroup/unit/memory.max": "4294967296\n"})
	for setting, c := range map[string]struct {
		bytes int64
		says  []string
	}{
		"75%":  {3 << 30, []string{"level=INFO", "bytes=3221225472", "setting=75%", "usable=4294967296", "/unit (version 2)"}},
		"1GiB": {1 << 30, []string{"bytes=1073741824", "setting=1GiB"}},
		"8GiB": {8 << 30, []string{"level=WARN", "lower memory_budget"}},
	} {
		t.Run(setting, func(t *testing.T) {
			size, err := config.ParseSize(setting)
			must(t, err)
			var log bytes.Buffer
			if got := memoryBudget(root, size, slog.New(slog.NewTextHandler(&log, nil))); got != c.bytes {
				t.Errorf("budget is %d, want %d", got, c.bytes)
			}
			for _, s := range c.says {
				if !strings.Contains(log.String(), s) {
					t.Errorf("the log %q does not say %q", log.String(), s)
				}
			}
			if strings.Contains(log.String(), "WARN") != (setting == "8GiB") {
				t.Errorf("log is %q", log.String())
			}
		})
	}
}
