package cpu

import (
	"math"
	"os"
	"path"
	"runtime"
	"strconv"
	"strings"
)

// usableThreads is the number of cores in the process's affinity mask, or less when the CPU quota of its control group
// or of one above it allows less. A fraction of a core is left free: threads that spin must not be throttled.
func usableThreads() int {
	threads := runtime.NumCPU()
	if quota, ok := cgroupQuota("/proc/self/cgroup", "/sys/fs/cgroup"); ok {
		threads = min(threads, int(quota))
	}
	return max(threads, 1)
}

// cgroupQuota returns the smallest CPU quota, in cores, of the process's control group and those above it. list is the
// process's membership file, mount the root of the hierarchy (version 2, or the cpu controller of version 1 below it).
func cgroupQuota(list, mount string) (cores float64, ok bool) {
	groups, err := os.ReadFile(list)
	if err != nil {
		return 0, false
	}
	for line := range strings.Lines(string(groups)) {
		fields := strings.SplitN(strings.TrimSpace(line), ":", 3)
		if len(fields) != 3 {
			continue
		}
		read, root := quotaV2, mount
		if fields[1] != "" {
			if !hasController(fields[1], "cpu") {
				continue
			}
			read, root = quotaV1, path.Join(mount, "cpu")
		}
		for group := path.Join("/", fields[2]); ; group = path.Dir(group) {
			if quota, found := read(path.Join(root, group)); found && (!ok || quota < cores) {
				cores, ok = quota, true
			}
			if group == "/" {
				break
			}
		}
	}
	return cores, ok
}

func hasController(list, name string) bool {
	for _, c := range strings.Split(list, ",") {
		if c == name {
			return true
		}
	}
	return false
}

// quotaV2 reads "QUOTA PERIOD" or "max PERIOD", in microseconds.
func quotaV2(dir string) (float64, bool) {
	b, err := os.ReadFile(path.Join(dir, "cpu.max"))
	if err != nil {
		return 0, false
	}
	fields := strings.Fields(string(b))
	if len(fields) != 2 {
		return 0, false
	}
	return ratio(fields[0], fields[1])
}

// quotaV1 reads the two files of version 1; a quota of -1 is none.
func quotaV1(dir string) (float64, bool) {
	quota, err := os.ReadFile(path.Join(dir, "cpu.cfs_quota_us"))
	if err != nil {
		return 0, false
	}
	period, err := os.ReadFile(path.Join(dir, "cpu.cfs_period_us"))
	if err != nil {
		return 0, false
	}
	return ratio(strings.TrimSpace(string(quota)), strings.TrimSpace(string(period)))
}

func ratio(quota, period string) (float64, bool) {
	q, err1 := strconv.ParseFloat(quota, 64)
	p, err2 := strconv.ParseFloat(period, 64)
	cores := q / p
	if err1 != nil || err2 != nil || q <= 0 || p <= 0 || !(cores > 0 && cores <= math.MaxInt32) {
		return 0, false
	}
	return cores, true
}
