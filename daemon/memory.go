package daemon

import (
	"log/slog"
	"os"
	"path"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// totalMemory is the memory that this process may use: the machine's, or what its control group and those above it allow if that
// is less.
func totalMemory(log *slog.Logger) int64 {
	var info unix.Sysinfo_t
	if err := unix.Sysinfo(&info); err != nil {
		log.Warn("the machine's memory is not known; taking 1 GiB", "reason", err)
		return 1 << 30
	}
	total := int64(info.Totalram) * int64(info.Unit)
	if limit, ok := groupMemory("/proc/self/cgroup", "/sys/fs/cgroup"); ok {
		total = min(total, limit)
	}
	return total
}

// groupMemory is the least memory limit of the process's control group and those above it. list is the process's membership
// file, mount the root of the unified hierarchy (version 2).
func groupMemory(list, mount string) (limit int64, ok bool) {
	groups, err := os.ReadFile(list)
	if err != nil {
		return 0, false
	}
	for line := range strings.Lines(string(groups)) {
		group, found := strings.CutPrefix(strings.TrimSpace(line), "0::")
		if !found {
			continue
		}
		for group = path.Join("/", group); ; group = path.Dir(group) {
			text, err := os.ReadFile(path.Join(mount, group, "memory.max"))
			n, perr := strconv.ParseInt(strings.TrimSpace(string(text)), 10, 64) // "max" is no limit
			if err == nil && perr == nil && n >= 0 && (!ok || n < limit) {
				limit, ok = n, true
			}
			if group == "/" {
				break
			}
		}
	}
	return limit, ok
}
