package config

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// FuzzFile: whatever stands in a file, reading it ends in an error or in a configuration that prints and reads back the same.
func FuzzFile(f *testing.F) {
	f.Add("version = 1\nlisten = ['unix:///x', 'tcp://127.0.0.1:8080']\nmemory_budget = '60%'\n")
	f.Add("idle_timeout = '1h'\nlog_level = 'warn'\nsocket_group = \"a\\u0001\"\n")
	f.Add("ctx = 1e9\n[a]\nb = {c = [1979-05-27]}\n")
	dir := f.TempDir()
	path := filepath.Join(dir, "weftd.toml")
	f.Fuzz(func(t *testing.T, text string) {
		in := Inputs{Flags: Flags{Config: path}, Env: []string{"HOME=" + dir}, Dir: dir}
		load := func(data []byte) (*Loaded, error) {
			if err := os.WriteFile(path, data, 0o600); err != nil {
				t.Fatal(err)
			}
			return Load(in)
		}
		first, err := load([]byte(text))
		if err != nil {
			return
		}
		var printed bytes.Buffer
		if err := first.Print(&printed); err != nil {
			t.Fatal(err)
		}
		second, err := load(printed.Bytes())
		if err != nil {
			t.Fatalf("%v\n%s", err, printed.String())
		}
		if d := cmp.Diff(first.Config, second.Config); d != "" {
			t.Errorf("%s\n%s", d, printed.String())
		}
	})
}

// FuzzModel: whatever stands beside a model, reading it ends, and numbers that pass are inside their limits.
func FuzzModel(f *testing.F) {
	f.Add([]byte("ctx = 2048\naliases = ['a']\n[sampling]\ntemperature = 0.5\n"))
	f.Add([]byte("[sampling]\ntop_k = inf\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		m, err := ParseModel(data)
		if err != nil {
			return
		}
		for k, v := range m.Sampling {
			if l := samplingLimits[k]; !(v >= l[0] && v <= l[1]) {
				t.Errorf("%s = %v is outside %v", k, v, l)
			}
		}
	})
}

// FuzzSetting: whatever a flag or a variable says, it is refused or within the setting's limits; sizes and addresses are written as they
// are read.
func FuzzSetting(f *testing.F) {
	for i, text := range []string{"4GiB", "60%", "1e3", "unix:///a/../b", "tcp://[::1]:0", "30s", "-1", "true", "a,b", "9223372036854775807B", "1e-400%", "0x10", "1h1h"} {
		f.Add(uint8(i), text)
	}
	f.Fuzz(func(t *testing.T, at uint8, text string) {
		var c Config
		all := c.settings()
		s := all[int(at)%len(all)]
		if err := s.assign(text); err == nil {
			switch to := s.to.(type) {
			case *int:
				if int64(*to) < s.min || int64(*to) > s.max {
					t.Fatalf("%s took %q as %d", s.key, text, *to)
				}
			case *time.Duration:
				if int64(*to) < s.min || int64(*to) > s.max {
					t.Fatalf("%s took %q as %v", s.key, text, *to)
				}
			}
		}
		if size, err := ParseSize(text); err == nil {
			if again, err := ParseSize(size.String()); err != nil || again != size || size.Of(1<<40) < 0 {
				t.Fatalf("%q is %+v, and %q is %+v, %v", text, size, size.String(), again, err)
			}
		}
		if a, err := ParseAddress(text); err == nil {
			if again, err := ParseAddress(a.String()); err != nil || again != a {
				t.Fatalf("%q is %+v, and %q is %+v, %v", text, a, a.String(), again, err)
			}
		}
	})
}
