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

// memoryGroup is a control group of the process, or one above it, that counts memory.
type memoryGroup struct {
	version    int
	group, dir string // dir is below the root
}

// memoryGroups lists the control groups of the process and those above them, the lowest first.
func memoryGroups(root fs.FS) (list []memoryGroup) {
	text, err := fs.ReadFile(root, "proc/self/cgroup")
	if err != nil {
		return nil
	}
	for line := range strings.Lines(string(text)) {
		h, group, ok := hierarchyOf(line)
		if !ok {
			continue
		}
		for _, mount := range h.mounts {
			for at := path.Join("/", group); ; at = path.Dir(at) {
				list = append(list, memoryGroup{h.version, at, path.Join(mount, at)})
				if at == "/" {
					break
				}
			}
		}
	}
	return list
}

// strain is how near a group is to its limit. What was read of files and not used for a while is not counted: the kernel takes that first, and
// nobody misses it.
func (m memoryGroup) strain(root fs.FS) (strain, bool) {
	number := func(file string) (int64, bool) {
		text, err := fs.ReadFile(root, path.Join(m.dir, file))
		if err != nil {
			return 0, false
		}
		n, err := strconv.ParseInt(strings.TrimSpace(string(text)), 10, 64)
		return n, err == nil && n > 0
	}
	usage, limits, inactive := "memory.current", []string{"memory.high", "memory.max"}, "inactive_file"
	if m.version == 1 {
		usage, limits, inactive = "memory.usage_in_bytes", []string{"memory.limit_in_bytes"}, "total_inactive_file"
	}
	used, ok := number(usage)
	if !ok {
		return strain{}, false
	}
	used = max(used-m.stat(root, inactive), 0)
	worst, found := strain{}, false
	for _, file := range limits {
		limit, ok := number(file)
		if !ok {
			continue
		}
		share := float64(used) / float64(limit)
		if level := (share - belowLimit) / (nearLimit - belowLimit); !found || level > worst.level {
			worst = strain{level, fmt.Sprintf("control group %s has %.0f %% of its %s", m.group, 100*share, file)}
			found = true
		}
	}
	return worst, found
}

// stat is one value of the group's memory.stat, 0 where it is not known.
func (m memoryGroup) stat(root fs.FS, key string) int64 {
	text, err := fs.ReadFile(root, path.Join(m.dir, "memory.stat"))
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(text)) {
		if name, value, ok := strings.Cut(strings.TrimSpace(line), " "); ok && name == key {
			if n, err := strconv.ParseInt(value, 10, 64); err == nil && n > 0 {
				return n
			}
		}
	}
	return 0
}
