package daemon

import (
	"fmt"
	"io/fs"
	"path"
	"strconv"
	"strings"
)

// memoryGroup is a control group of the process, or one above it, that counts memory.
type memoryGroup struct {
	hierarchy
	group, dir string // dir is below the root
}

// hierarchy is one version of control groups: where it is mounted, and the names of its files.
type hierarchy struct {
	version int
	mounts  []string
	limits  []string
	usage   string
	files   [2]string // the keys of memory.stat for what was read of files, and
	mapped  string    // for what of it processes have mapped
}

var (
	hierarchy1 = hierarchy{1, []string{"sys/fs/cgroup/memory"}, []string{"memory.limit_in_bytes"}, "memory.usage_in_bytes", [2]string{"total_inactive_file", "total_active_file"}, "total_mapped_file"}
	hierarchy2 = hierarchy{2, []string{"sys/fs/cgroup", "sys/fs/cgroup/unified"}, []string{"memory.max", "memory.high"}, "memory.current", [2]string{"inactive_file", "active_file"}, "file_mapped"}
)

// memoryGroups lists the control groups of the process and those above them, the lowest first, wherever they may be mounted. A group of the
// host may not be there in a container: its root then is the container's own.
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
		for at := path.Join("/", group); ; at = path.Dir(at) {
			for _, mount := range h.mounts {
				list = append(list, memoryGroup{h, at, path.Join(mount, at)})
			}
			if at == "/" {
				break
			}
		}
	}
	return list
}

// hierarchyOf reads a line of /proc/self/cgroup; it is false for one that says nothing of memory.
func hierarchyOf(line string) (h hierarchy, group string, ok bool) {
	id, rest, _ := strings.Cut(strings.TrimSpace(line), ":")
	controllers, group, found := strings.Cut(rest, ":")
	switch {
	case !found:
		return h, "", false
	case id == "0" && controllers == "":
		return hierarchy2, group, true
	case strings.Contains(","+controllers+",", ",memory,"):
		return hierarchy1, group, true
	}
	return h, "", false
}

// groupMemory is the least memory limit of the process's control groups and those above them.
func groupMemory(root fs.FS) (least usable, ok bool) {
	for _, m := range memoryGroups(root) {
		for _, file := range m.limits {
			n, limited := m.number(root, file)
			if limited && (!ok || n < least.bytes) {
				least, ok = usable{n, fmt.Sprintf("%s of the control group %s (version %d)", file, m.group, m.version)}, true
			}
		}
	}
	return least, ok
}

// number reads a file of the group; it is false where the file has none, or as a limit "max", which is no limit.
func (m memoryGroup) number(root fs.FS, file string) (int64, bool) {
	text, err := fs.ReadFile(root, path.Join(m.dir, file))
	if err != nil {
		return 0, false
	}
	n, err := strconv.ParseInt(strings.TrimSpace(string(text)), 10, 64)
	return n, err == nil && n > 0
}

// stat is the group's memory.stat, in bytes. Values that are no numbers, or below 0, are left out.
func (m memoryGroup) stat(root fs.FS) map[string]int64 {
	values := map[string]int64{}
	text, err := fs.ReadFile(root, path.Join(m.dir, "memory.stat"))
	if err != nil {
		return values
	}
	for line := range strings.Lines(string(text)) {
		name, value, ok := strings.Cut(strings.TrimSpace(line), " ")
		if n, err := strconv.ParseInt(value, 10, 64); ok && err == nil && n > 0 && n < noLimit/4 {
			values[name] = n
		}
	}
	return values
}
