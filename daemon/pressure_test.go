package daemon

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"time"
)

// fakeHolder has pages, sessions' pages and models to give back; all it gave is listed.
type fakeHolder struct {
	pages, sessions, adapters int64
	models                    []string
	gave                      []string
}

func (f *fakeHolder) GiveBackPages(_ context.Context, sessions bool) (n int64) {
	n, f.pages = f.pages, 0
	if sessions {
		n, f.sessions = n+f.sessions, 0
	}
	if n > 0 {
		f.gave = append(f.gave, fmt.Sprint("pages ", n))
	}
	return n
}

func (f *fakeHolder) GiveBackAdapters() (n int64) {
	n, f.adapters = f.adapters, 0
	if n > 0 {
		f.gave = append(f.gave, "adapters")
	}
	return n
}

func (f *fakeHolder) GiveBack(context.Context, string) (string, int64) {
	if len(f.models) == 0 {
		return "", 0
	}
	name := f.models[0]
	f.models = f.models[1:]
	f.gave = append(f.gave, name)
	return name, 1000
}

// stallText is what the kernel says after tasks have waited for so long in all.
func stallText(total time.Duration) *fstest.MapFile {
	return &fstest.MapFile{Data: fmt.Appendf(nil, "some avg10=1.53 avg60=0.87 avg300=0.73 total=%d\nfull avg10=0.00 avg60=0.00 avg300=0.00 total=9\n", total.Microseconds())}
}

// TestPressureByStalls: tasks that wait for memory have it given back, one thing at a time, until they wait no more.
func TestPressureByStalls(t *testing.T) {
	var log bytes.Buffer
	root := machine("0::/\n", nil)
	from := &fakeHolder{pages: 10, sessions: 20, models: []string{"old", "new"}}
	counted := map[string]int64{}
	p := pressure{gauge: gauge{root: root}, from: from, log: slog.New(slog.NewTextHandler(&log, nil)), given: func(what string, n int64) { counted[what] += n }}
	now, total := time.Unix(1e9, 0), time.Hour
	p.clock = func() time.Time { return now }
	look := func(share float64, on bool, gave ...string) {
		t.Helper()
		now = now.Add(time.Second)
		total += time.Duration(share * float64(time.Second))
		root["proc/pressure/memory"] = stallText(total)
		from.gave = nil
		if got := p.step(t.Context(), calmLook) == pressedLook; got != on || !slices.Equal(from.gave, gave) {
			t.Errorf("at %v of the time: wanted is %v and given back was %v, want %v and %v", share, got, from.gave, on, gave)
		}
	}
	look(0.9, false) // nothing is known before the first look
	look(0.09, false)
	look(0.11, true, "pages 10")
	from.adapters = 7
	look(0.3, true, "adapters")
	look(0.05, true, "old") // it ends later than it begins
	look(0.02, false)
	look(0.05, false)
	look(0.5, true, "new")
	look(0.5, true, "pages 20")
	look(0.5, true)
	look(0.5, true)
	from.pages = 5
	look(0.5, true, "pages 5")
	look(0, false)
	for text, times := range map[string]int{
		"memory is given back under pressure": 6, "tasks of the machine waited for memory in 11 % of the time": 1, "model=old": 1,
		"nothing is left to give back": 1, "memory pressure is over": 2,
	} {
		if n := strings.Count(log.String(), text); n != times {
			t.Errorf("the log says %q %d times, want %d:\n%s", text, n, times, log.String())
		}
	}
	if counted["pages"] != 15 || counted["model"] != 2000 || counted["sessions"] != 20 {
		t.Errorf("counted was %v", counted)
	}
}

// TestPressureByLimits: so does a control group that is near its limit, of either version, its own or one above it.
func TestPressureByLimits(t *testing.T) {
	const cg = "sys/fs/cgroup/"
	const unit = cg + "system.slice/weftd.service/"
	for name, c := range map[string]struct {
		groups string
		files  map[string]string
		on     bool
		says   string
	}{
		"no limit":            {"0::/system.slice/weftd.service\n", map[string]string{unit + "memory.current": "1000", unit + "memory.high": "max", unit + "memory.max": "max"}, false, ""},
		"below high":          {"0::/system.slice/weftd.service\n", map[string]string{unit + "memory.current": "940", unit + "memory.high": "1000"}, false, ""},
		"near high":           {"0::/system.slice/weftd.service\n", map[string]string{unit + "memory.current": "951", unit + "memory.high": "1000"}, true, "control group /system.slice/weftd.service has 95 % of its memory.high"},
		"unused files":        {"0::/system.slice/weftd.service\n", map[string]string{unit + "memory.current": "950", unit + "memory.high": "1000", unit + "memory.stat": "anon 700\ninactive_file 100\nactive_file 100\n"}, false, ""},
		"near max":            {"0::/system.slice/weftd.service\n", map[string]string{unit + "memory.current": "990", unit + "memory.high": "max", unit + "memory.max": "1000"}, true, "99 % of its memory.max"},
		"a slice":             {"0::/system.slice/weftd.service\n", map[string]string{unit + "memory.current": "5", cg + "system.slice/memory.current": "960", cg + "system.slice/memory.high": "1000"}, true, "control group /system.slice has"},
		"a container":         {"0::/\n", map[string]string{cg + "memory.current": "960", cg + "memory.max": "1000"}, true, "control group / has"},
		"version 1":           {"4:memory:/box\n", map[string]string{cg + "memory/box/memory.usage_in_bytes": "1000", cg + "memory/box/memory.limit_in_bytes": "1000", cg + "memory/box/memory.stat": "total_inactive_file 20\n"}, true, "98 % of its memory.limit_in_bytes"},
		"version 1, files":    {"4:memory:/box\n", map[string]string{cg + "memory/box/memory.usage_in_bytes": "1000", cg + "memory/box/memory.limit_in_bytes": "1000", cg + "memory/box/memory.stat": "total_inactive_file 300\n"}, false, ""},
		"version 1, no limit": {"4:memory:/box\n", map[string]string{cg + "memory/box/memory.usage_in_bytes": "1000", cg + "memory/box/memory.limit_in_bytes": "9223372036854771712"}, false, ""},
		"noise":               {"x\n0::/../../etc\n", map[string]string{"etc/memory.current": "960", "etc/memory.max": "1000", cg + "etc/memory.current": "many", "proc/pressure/memory": "some total=\nsome\n\n"}, false, ""},
	} {
		t.Run(name, func(t *testing.T) {
			root := machine(c.groups, c.files)
			from := &fakeHolder{pages: 1}
			var log bytes.Buffer
			p := pressure{gauge: gauge{root: root}, from: from, log: slog.New(slog.NewTextHandler(&log, nil)), clock: time.Now}
			p.step(t.Context(), calmLook)
			if on := len(from.gave) > 0; on != c.on || !strings.Contains(log.String(), c.says) {
				t.Errorf("wanted is %v; the log says %s", on, log.String())
			}
		})
	}
}

// TestLimitsAreLookedAtInTime: a group that can be full soon is looked at before that.
func TestLimitsAreLookedAtInTime(t *testing.T) {
	for left, want := range map[int64]time.Duration{
		noLimit: calmLook, 10 * fastest: calmLook, fastest: time.Second, fastest / 2: time.Second / 2, 100: soonLook, 0: soonLook,
	} {
		if got := soon(left, calmLook); got != want {
			t.Errorf("with %d bytes left in %v, want %v", left, got, want)
		}
	}
	root := machine("0::/a\n", map[string]string{"sys/fs/cgroup/a/memory.current": "0\n", "sys/fs/cgroup/a/memory.max": fmt.Sprintln(int64(fastest * 2))})
	p := pressure{gauge: gauge{root: root}, from: &fakeHolder{pages: 1, models: []string{"a"}}, log: slog.New(slog.DiscardHandler), clock: time.Now}
	used := func(bytes int, want time.Duration) {
		t.Helper()
		root["sys/fs/cgroup/a/memory.current"] = &fstest.MapFile{Data: fmt.Appendln(nil, bytes)}
		if got := p.step(t.Context(), calmLook); got.Round(10*time.Millisecond) != want {
			t.Errorf("the next look is in %v, want %v", got, want)
		}
	}
	used(1, 1900*time.Millisecond)
	used(fastest, 900*time.Millisecond)
	used(fastest*2, soonLook) // pages
	used(fastest*2, soonLook) // the model
	used(fastest*2, pressedLook)
	used(fastest, 900*time.Millisecond)
}

// TestStallsOfBeforeGiveNothingBack: stalls until something was given back are no reason to give back more.
func TestStallsOfBeforeGiveNothingBack(t *testing.T) {
	root := machine("0::/a\n", map[string]string{"sys/fs/cgroup/a/memory.max": "1000\n", "sys/fs/cgroup/a/memory.current": "500\n"})
	from := &fakeHolder{models: []string{"a", "b", "c", "d"}}
	now := time.Unix(1e9, 0)
	p := pressure{gauge: gauge{root: root}, from: from, log: slog.New(slog.DiscardHandler), clock: func() time.Time { return now }}
	look := func(after, stalls time.Duration, used string, models int) {
		t.Helper()
		now = now.Add(after)
		root["proc/pressure/memory"] = stallText(stalls)
		root["sys/fs/cgroup/a/memory.current"] = &fstest.MapFile{Data: []byte(used)}
		if p.step(t.Context(), calmLook); len(from.models) != models {
			t.Errorf("%d models are left, want %d", len(from.models), models)
		}
	}
	look(0, 0, "500", 4)
	look(time.Second, 90*time.Millisecond, "960", 3)          // the limit wants it, and stalls would not let it end
	look(100*time.Millisecond, 90*time.Millisecond, "900", 3) // it is over
	look(time.Second, 390*time.Millisecond, "900", 2)
	look(500*time.Millisecond, 395*time.Millisecond, "900", 2)
	look(500*time.Millisecond, 395*time.Millisecond, "900", 2)
}

// TestStallWatch ends, whether the kernel takes the question or not.
func TestStallWatch(t *testing.T) {
	none, err := watchStalls([]string{t.TempDir() + "/memory.pressure"})
	if none != nil || err == nil || none.stalls() != nil {
		t.Errorf("of no file: %v, %v", none, err)
	}
	none.close()
	w, err := watchStalls(stallFiles(machine("", nil)))
	t.Logf("the kernel's answer: %v", err)
	w.close()
}
