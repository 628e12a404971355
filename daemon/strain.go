package daemon

import (
	"fmt"
	"io/fs"
	"path"
	"strconv"
	"strings"
	"time"
)

const (
	// stallShare is the share of time in which tasks waited for memory from which on the machine counts as pressed.
	stallShare = 0.10
	// nearLimit and belowLimit are the shares of a control group's limit that count as pressed, and as none.
	nearLimit, belowLimit = 0.95, 0.90
)

// strain says how pressed for memory the machine, or a control group of this process, is: 1 and more is pressed, 0 is none.
type strain struct {
	level float64
	why   string
}

// gauge measures strain. It is one goroutine's.
type gauge struct {
	root  fs.FS // the file system from "/"
	stall map[string]stalled
}

// stalled is what the kernel said of a file's stalls at one moment.
type stalled struct {
	total time.Duration // in which some task waited for memory, since the start of the machine
	at    time.Time
}

// measure is the highest strain now. What stalls tell is of the time since the last measure.
func (g *gauge) measure(now time.Time) (worst strain) {
	worse := func(s strain, ok bool) {
		if ok && s.level > worst.level {
			worst = s
		}
	}
	worse(g.stalls("proc/pressure/memory", "the machine", now))
	for _, m := range memoryGroups(g.root) {
		if m.version == 2 {
			worse(g.stalls(path.Join(m.dir, "memory.pressure"), "control group "+m.group, now))
		}
		worse(m.strain(g.root))
	}
	return worst
}

// stallFiles are the files that tell of stalls, with the way to them: of the process's own control group, then of the machine.
func stallFiles(root fs.FS) (files []string) {
	for _, m := range memoryGroups(root) {
		if m.version == 2 {
			files = append(files, path.Join("/", m.dir, "memory.pressure"))
			break
		}
	}
	return append(files, "/proc/pressure/memory")
}

// stalls reads a file of pressure stall information (Documentation/accounting/psi.rst of the kernel).
func (g *gauge) stalls(file, who string, now time.Time) (strain, bool) {
	text, err := fs.ReadFile(g.root, file)
	if err != nil {
		return strain{}, false
	}
	total, ok := stallTotal(string(text))
	if !ok {
		return strain{}, false
	}
	before, known := g.stall[file]
	if g.stall == nil {
		g.stall = map[string]stalled{}
	}
	g.stall[file] = stalled{total, now}
	since := now.Sub(before.at)
	if !known || since <= 0 || total < before.total {
		return strain{}, false
	}
	share := float64(total-before.total) / float64(since)
	return strain{share / stallShare, fmt.Sprintf("tasks of %s waited for memory in %.0f %% of the time", who, 100*share)}, true
}

// stallTotal is the time of the line "some avg10=0.00 avg60=0.00 avg300=0.00 total=123", which counts microseconds.
func stallTotal(text string) (time.Duration, bool) {
	for line := range strings.Lines(text) {
		fields := strings.Fields(line)
		if len(fields) == 0 || fields[0] != "some" {
			continue
		}
		for _, f := range fields[1:] {
			if v, ok := strings.CutPrefix(f, "total="); ok {
				n, err := strconv.ParseInt(v, 10, 64)
				return time.Duration(n) * time.Microsecond, err == nil && n >= 0 && n < 1<<52
			}
		}
	}
	return 0, false
}

// strain is how near a group is to its limit. What was read of files and not used for a while is not counted: the kernel takes that first, and
// nobody misses it.
func (m memoryGroup) strain(root fs.FS) (strain, bool) {
	used, ok := m.number(root, m.usage)
	if !ok {
		return strain{}, false
	}
	used = max(used-m.stat(root, m.inactive), 0)
	worst, found := strain{}, false
	for _, file := range m.limits {
		limit, ok := m.number(root, file)
		if !ok {
			continue
		}
		share := float64(used) / float64(limit)
		if level := (share - belowLimit) / (nearLimit - belowLimit); !found || level >= worst.level {
			worst = strain{level, fmt.Sprintf("control group %s has %.0f %% of its %s", m.group, 100*share, file)}
			found = true
		}
	}
	return worst, found
}
