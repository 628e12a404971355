package daemon

import (
	"fmt"
	"io/fs"
	"os"
	"path"
	"strconv"
	"strings"
	"time"
)

const (
	// stallShare is the share of time in which tasks waited for memory from which on the machine counts as pressed.
	stallShare = 0.10
	// stallWindow is the least time over which stalls are a share of it: in shorter ones a single stall is much.
	stallWindow = time.Second
	// nearLimit and belowLimit are the shares of a control group's limit, and of the machine's memory, that count as pressed, and as none.
	nearLimit, belowLimit = 0.95, 0.90
)

// strain says how pressed for memory the machine, or a control group of this process, is: 1 and more is pressed, 0 is none.
type strain struct {
	level float64
	why   string
}

// strains are the highest of each kind.
type strains struct {
	stalls strain // of the time since the last measure
	limits strain // of this moment: of control groups with limits, and of the machine
	left   int64  // what the nearest of these can take until it is pressed, in bytes; noLimit where nothing is known
}

// noLimit is more than any machine has.
const noLimit = 1 << 62

// gauge measures strain. It is one goroutine's.
type gauge struct {
	root  fs.FS // the file system from "/"
	stall map[string]stalled
}

// stalled is what the kernel said of a file's stalls at one moment.
type stalled struct {
	total time.Duration // in which some task waited for memory, since the start of the machine
	at    time.Time
	last  strain // until then
}

// measure is the highest strain now. What stalls tell is of the time since the last measure, or of stallWindow where that is longer.
func (g *gauge) measure(now time.Time) strains {
	worst := strains{left: noLimit}
	mapped := mappedFiles(g.root)
	worst.stalls.rise(g.stalls("proc/pressure/memory", "the machine", now))
	s, left := machineStrain(g.root, mapped)
	worst.limits.rise(s)
	worst.left = left
	for _, m := range memoryGroups(g.root) {
		if m.version == 2 {
			worst.stalls.rise(g.stalls(path.Join(m.dir, "memory.pressure"), "control group "+m.group, now))
		}
		s, left := m.strain(g.root, mapped)
		worst.limits.rise(s)
		worst.left = min(worst.left, left)
	}
	return worst
}

// restart forgets the stalls until now.
func (g *gauge) restart(now time.Time) {
	g.stall = nil
	g.measure(now)
}

// rise makes s the higher of the two.
func (s *strain) rise(other strain) {
	if other.level > s.level {
		*s = other
	}
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
func (g *gauge) stalls(file, who string, now time.Time) (next strain) {
	text, err := fs.ReadFile(g.root, file)
	if err != nil {
		return strain{}
	}
	total, ok := stallTotal(string(text))
	if !ok {
		return strain{}
	}
	before, known := g.stall[file]
	known = known && total >= before.total
	since := now.Sub(before.at)
	if known && since >= 0 && since < stallWindow {
		return before.last
	}
	if known && since > 0 {
		share := float64(total-before.total) / float64(since)
		next = strain{share / stallShare, fmt.Sprintf("tasks of %s waited for memory in %.0f %% of the time", who, 100*share)}
	}
	if g.stall == nil {
		g.stall = map[string]stalled{}
	}
	g.stall[file] = stalled{total, now, next}
	return next
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

// strain is how near a group is to its limit, and how many bytes it can take until it is pressed. Files that were read are not counted,
// whether they were used lately or not: the kernel takes those first, and where somebody misses them stalls tell. What this process has
// mapped, in bytes, is counted: the weights of its models, which only it can give up before they are missed.
func (m memoryGroup) strain(root fs.FS, mapped int64) (worst strain, left int64) {
	left = noLimit
	used := int64(-1) // not read yet: most groups have no limit
	for _, file := range m.limits {
		limit, ok := m.number(root, file)
		if !ok || limit >= noLimit {
			continue
		}
		if used < 0 {
			if used, ok = m.used(root, mapped); !ok {
				return strain{}, noLimit
			}
		}
		share := float64(used) / float64(limit)
		worst.rise(strain{nearness(share), fmt.Sprintf("control group %s has %.0f %% of its %s", m.group, 100*share, file)})
		left = min(left, leftOf(limit, used))
	}
	return worst, left
}

// machineStrain is how near the machine is to the end of its memory, and how many bytes it can take until it is pressed: what the kernel says
// can be had counts as free, but for what this process has mapped.
func machineStrain(root fs.FS, mapped int64) (worst strain, left int64) {
	info := memoryInfo(root)
	total, available := info["MemTotal"], info["MemAvailable"]
	if total <= 0 || available <= 0 || total >= noLimit || available > total {
		return worst, noLimit
	}
	used := total - available + min(mapped, available)
	share := float64(used) / float64(total)
	worst.rise(strain{nearness(share), fmt.Sprintf("%.0f %% of the machine's memory is in use", 100*share)})
	return worst, leftOf(total, used)
}

// nearness is the level of strain at a share of a limit.
func nearness(share float64) float64 { return (share - belowLimit) / (nearLimit - belowLimit) }

// leftOf is what can be taken until a limit presses, in bytes.
func leftOf(limit, used int64) int64 { return max(int64(nearLimit*float64(limit))-used, 0) }

// used is what counts of a group's usage, in bytes, as strain says.
func (m memoryGroup) used(root fs.FS, mapped int64) (bytes int64, ok bool) {
	bytes, ok = m.number(root, m.usage)
	if !ok {
		return 0, false
	}
	stat := m.stat(root)
	files := stat[m.files[0]] + stat[m.files[1]]
	return max(bytes-max(files-min(mapped, stat[m.mapped]), 0), 0), true
}

// mappedFiles is what this process has in memory of files that it has mapped, in bytes; 0 where that is not known.
func mappedFiles(root fs.FS) int64 {
	text, err := fs.ReadFile(root, "proc/self/statm")
	if err != nil {
		return 0
	}
	fields := strings.Fields(string(text)) // size, resident, shared, in pages
	if len(fields) < 3 {
		return 0
	}
	n, err := strconv.ParseInt(fields[2], 10, 64)
	if err != nil || n < 0 || n > noLimit/int64(os.Getpagesize()) {
		return 0
	}
	return n * int64(os.Getpagesize())
}
