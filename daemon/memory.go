package daemon

import (
	"io/fs"
	"log/slog"
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
