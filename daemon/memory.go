package daemon

import (
	"fmt"
	"io/fs"
	"log/slog"
	"path"
	"strconv"
	"strings"

	"github.com/weft-run/weft/daemon/config"
)

// unknownMemory is taken where the machine does not say how much it has.
const unknownMemory = 1 << 30

// usable is the memory that this process may use, in bytes, and who says so.
type usable struct {
	bytes int64
	from  string
}

// usableMemory asks the control groups of the process first: the least limit of its own and of those above it, memory.max and
// memory.high of version 2 or memory.limit_in_bytes of version 1. Where none is less than what the machine has, it is what the kernel
// says can be had now without swapping: other programs have the rest. root is the file system from "/".
func usableMemory(root fs.FS) usable {
	info := memoryInfo(root)
	total, known := info["MemTotal"]
	limit, ok := groupMemory(root)
	switch {
	case ok && (!known || limit.bytes < total):
		return limit
	case info["MemAvailable"] > 0:
		return usable{info["MemAvailable"], "MemAvailable of /proc/meminfo"}
	case known:
		return usable{total, "MemTotal of /proc/meminfo"}
	}
	return usable{unknownMemory, "a guess, because /proc/meminfo cannot be read; set memory_budget"}
}

// memoryBudget is what models and their caches may take by the configuration, and tells in the log how it came about.
func memoryBudget(root fs.FS, setting config.Size, log *slog.Logger) int64 {
	have := usableMemory(root)
	bytes := setting.Of(have.bytes)
	log.Info("memory budget", "bytes", bytes, "setting", setting.String(), "usable", have.bytes, "by", have.from)
	if bytes > have.bytes {
		log.Warn("the memory budget is more than this process may use; lower memory_budget, or the kernel may end the daemon", "bytes", bytes, "usable", have.bytes, "by", have.from)
	}
	return bytes
}

// memoryInfo is /proc/meminfo, in bytes.
func memoryInfo(root fs.FS) map[string]int64 {
	values := map[string]int64{}
	text, err := fs.ReadFile(root, "proc/meminfo")
	if err != nil {
		return values
	}
	for line := range strings.Lines(string(text)) {
		name, rest, _ := strings.Cut(line, ":")
		if kib, ok := strings.CutSuffix(strings.TrimSpace(rest), " kB"); ok {
			if n, err := strconv.ParseInt(kib, 10, 64); err == nil {
				values[name] = n << 10
			}
		}
	}
	return values
}

// hierarchy is one version of control groups: how its lines in /proc/self/cgroup begin, where it is mounted, and the files that
// limit memory.
type hierarchy struct {
	version int
	mounts  []string
	files   []string
}

// groupMemory is the least memory limit of the process's control groups and those above them.
func groupMemory(root fs.FS) (least usable, ok bool) {
	groups, err := fs.ReadFile(root, "proc/self/cgroup")
	if err != nil {
		return usable{}, false
	}
	for line := range strings.Lines(string(groups)) {
		h, group, counts := hierarchyOf(line)
		if !counts {
			continue
		}
		for group = path.Join("/", group); ; group = path.Dir(group) {
			if limit, found := h.limit(root, group); found && (!ok || limit.bytes < least.bytes) {
				least, ok = limit, true
			}
			if group == "/" {
				break
			}
		}
	}
	return least, ok
}

// hierarchyOf reads a line of /proc/self/cgroup; it is false for one that says nothing of memory.
func hierarchyOf(line string) (h hierarchy, group string, ok bool) {
	id, rest, _ := strings.Cut(strings.TrimSpace(line), ":")
	controllers, group, found := strings.Cut(rest, ":")
	switch {
	case !found:
		return h, "", false
	case id == "0" && controllers == "":
		return hierarchy{2, []string{"sys/fs/cgroup", "sys/fs/cgroup/unified"}, []string{"memory.max", "memory.high"}}, group, true
	case strings.Contains(","+controllers+",", ",memory,"):
		return hierarchy{1, []string{"sys/fs/cgroup/memory"}, []string{"memory.limit_in_bytes"}}, group, true
	}
	return h, "", false
}

// limit is the least limit that one group has. A group of the host may not be there in a container: its root then is the container's
// own.
func (h hierarchy) limit(root fs.FS, group string) (least usable, ok bool) {
	for _, mount := range h.mounts {
		for _, file := range h.files {
			text, err := fs.ReadFile(root, path.Join(mount, group, file))
			if err != nil {
				continue
			}
			n, err := strconv.ParseInt(strings.TrimSpace(string(text)), 10, 64) // "max" is no limit
			if err == nil && n > 0 && (!ok || n < least.bytes) {
				least, ok = usable{n, fmt.Sprintf("%s of the control group %s (version %d)", file, group, h.version)}, true
			}
		}
	}
	return least, ok
}
