package cpu

import (
	"math"
	"os"
	"path/filepath"
	"testing"
)

// FuzzCgroupQuota: whatever the kernel's files hold, what is read of them is a positive number of cores or none.
func FuzzCgroupQuota(f *testing.F) {
	f.Add("0::/a\n", "150000 100000\n", "max 100000\n", "-1\n", "100000\n")
	f.Add("3:cpu,cpuacct:/a\n0::/\n", "", "0 0", "50000", "0")
	f.Add("0::/../..\n", "1e300 1e-300", "NaN NaN", "inf", "-5")
	dir := f.TempDir()
	f.Fuzz(func(t *testing.T, groups, top, below, quota, period string) {
		for name, text := range map[string]string{
			"cgroup": groups, "mount/cpu.max": top, "mount/a/cpu.max": below, "mount/cpu/a/cpu.cfs_quota_us": quota, "mount/cpu/a/cpu.cfs_period_us": period,
		} {
			path := filepath.Join(dir, name)
			if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		cores, ok := cgroupQuota(filepath.Join(dir, "cgroup"), filepath.Join(dir, "mount"))
		if ok && (!(cores > 0) || math.IsInf(cores, 0)) {
			t.Fatalf("the quota is %v cores", cores)
		}
	})
}
