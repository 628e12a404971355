package daemon

import (
	"bytes"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"slices"
	"strings"
	"testing"
	"time"
)

// TestStallsOfTheGroup: a group's own stalls count where the machine has none.
func TestStallsOfTheGroup(t *testing.T) {
	root := machine("0::/a\n", map[string]string{"proc/pressure/memory": "some avg10=0.00 avg60=0.00 avg300=0.00 total=7\n"})
	g := gauge{root: root}
	now := time.Unix(1e9, 0)
	root["sys/fs/cgroup/a/memory.pressure"] = stallText(time.Second)
	g.measure(now)
	root["sys/fs/cgroup/a/memory.pressure"] = stallText(2 * time.Second)
	if s := g.measure(now.Add(4 * time.Second)).stalls; s.level < 2.4 || s.level > 2.6 || !strings.Contains(s.why, "control group /a waited for memory in 25 %") {
		t.Errorf("%+v", s)
	}
	if files := stallFiles(root); !slices.Equal(files, []string{"/sys/fs/cgroup/a/memory.pressure", "/proc/pressure/memory"}) {
		t.Errorf("word of stalls is asked of %v", files)
	}
}

// TestWeightsCountBeforeTheyAreMissed: mapped weights count against a limit also where the kernel holds them for unused, as it does until it
// looks for something to drop; what other programs mapped does not, nor does what is mapped no more, however lately it was read.
func TestWeightsCountBeforeTheyAreMissed(t *testing.T) {
	page := int64(os.Getpagesize())
	for name, c := range map[string]struct {
		own, inactive, active, mapped int64 // pages
		share                         int64 // of a limit of 1000 pages that is full, in %
	}{
		"weights":              {300, 400, 0, 300, 90},
		"weights of elsewhere": {900, 400, 0, 300, 90},
		"weights in use":       {300, 100, 300, 300, 90},
		"others' files":        {0, 200, 200, 400, 60},
		"given back":           {0, 0, 400, 0, 60},
		"nothing is known":     {-1, 400, 0, 300, 60},
	} {
		t.Run(name, func(t *testing.T) {
			stat := func(prefix, mapped string) string {
				return fmt.Sprintf("%sinactive_file %d\n%sactive_file %d\n%s%s %d\n", prefix, c.inactive*page, prefix, c.active*page, prefix, mapped, c.mapped*page)
			}
			full := fmt.Sprint(1000 * page)
			for _, root := range []fs.FS{
				machine("0::/a\n", map[string]string{
					"proc/self/statm": fmt.Sprintf("5000 400 %d 9 0 9 0\n", c.own), "sys/fs/cgroup/a/memory.current": full,
					"sys/fs/cgroup/a/memory.max": full, "sys/fs/cgroup/a/memory.stat": stat("", "file_mapped"),
				}),
				machine("4:memory:/a\n", map[string]string{
					"proc/self/statm": fmt.Sprintf("5000 400 %d 9 0 9 0\n", c.own), "sys/fs/cgroup/memory/a/memory.usage_in_bytes": full,
					"sys/fs/cgroup/memory/a/memory.limit_in_bytes": full, "sys/fs/cgroup/memory/a/memory.stat": stat("total_", "mapped_file"),
				}),
			} {
				got := (&gauge{root: root}).measure(time.Now())
				if want := max((950-10*c.share)*page, 0); got.left != want {
					t.Errorf("%d bytes are left until the group is pressed, want %d", got.left, want)
				}
			}
		})
	}
}

// TestPressureOfTheMachine: a machine that has little left is pressed before it stalls, and mapped weights count as used there too.
func TestPressureOfTheMachine(t *testing.T) {
	const mib = 1 << 20
	for name, c := range map[string]struct {
		available, mapped int64 // MiB, of 1000
		on                bool
		says              string
	}{
		"enough":  {200, 0, false, ""},
		"little":  {40, 0, true, "96 % of the machine's memory is in use"},
		"weights": {300, 270, true, "97 % of the machine's memory is in use"},
		"unknown": {0, 0, false, ""},
	} {
		t.Run(name, func(t *testing.T) {
			root := machine("", map[string]string{
				"proc/meminfo":    fmt.Sprintf("MemTotal: %d kB\nMemAvailable: %d kB\n", 1000*mib>>10, c.available*mib>>10),
				"proc/self/statm": fmt.Sprintf("9 9 %d 0 0 0 0\n", c.mapped*mib/int64(os.Getpagesize())),
			})
			var log bytes.Buffer
			from := &fakeHolder{pages: 1}
			p := pressure{gauge: gauge{root: root}, from: from, log: slog.New(slog.NewTextHandler(&log, nil)), clock: time.Now}
			p.step(t.Context(), calmLook)
			if on := len(from.gave) > 0; on != c.on || !strings.Contains(log.String(), c.says) {
				t.Errorf("wanted is %v; the log says %s", on, log.String())
			}
		})
	}
}

func FuzzStrain(f *testing.F) {
	f.Add("0::/a\n4:memory:/a\n", "some avg10=0.00 total=5\n", "1000\n", "inactive_file 5\n")
	f.Add("0::/../..\n", "some total=-1", "9223372036854775807", "inactive_file -9223372036854775808")
	f.Fuzz(func(t *testing.T, groups, stalls, number, stat string) {
		root := machine(groups, map[string]string{
			"proc/pressure/memory": stalls, "sys/fs/cgroup/a/memory.pressure": stalls, "sys/fs/cgroup/a/memory.current": number,
			"sys/fs/cgroup/a/memory.high": number, "sys/fs/cgroup/memory/a/memory.usage_in_bytes": number,
			"sys/fs/cgroup/memory/a/memory.limit_in_bytes": "4096", "sys/fs/cgroup/a/memory.stat": stat,
		})
		g := gauge{root: root}
		for i := range 2 {
			all := g.measure(time.Unix(int64(i), 0))
			for _, s := range []strain{all.stalls, all.limits} {
				if s.level < 0 || s.level != s.level || s.level > 0 && s.why == "" || all.left < 0 {
					t.Fatalf("%+v", all)
				}
			}
		}
	})
}
