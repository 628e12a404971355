package config

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// inputs are those of a plain user in a folder of the test.
func inputs(t *testing.T, args ...string) Inputs {
	t.Helper()
	f, err := ParseFlags(args)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	return Inputs{Flags: f, Dir: dir, Env: []string{"HOME=" + dir}}
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

func TestFlagWinsOverEnvironmentOverFilesOverDefault(t *testing.T) {
	in := inputs(t, "--threads", "4")
	etc := filepath.Join(in.Dir, ".config", "weft")
	write(t, filepath.Join(etc, "weftd.toml"), "version = 1\nthreads = 1\nctx = 1\nqueue = 1\nparallel = 1\n")
	write(t, filepath.Join(etc, "conf.d", "20.toml"), "ctx = 20\nqueue = 20\n")
	write(t, filepath.Join(etc, "conf.d", "10.toml"), "ctx = 10\nqueue = 10\nthreads = 10\n")
	write(t, filepath.Join(etc, "conf.d", "30.txt"), "not read")
	in.Env = append(in.Env, "WEFT_THREADS=3", "WEFT_QUEUE=3", "WEFT_HOST=unix:///other")
	l, err := Load(in)
	if err != nil {
		t.Fatal(err)
	}
	c := l.Config
	got := map[string]int{"threads": c.Threads, "queue": c.Queue, "ctx": c.Ctx, "parallel": c.Parallel, "page_tokens": c.PageTokens}
	want := map[string]int{"threads": 4, "queue": 3, "ctx": 20, "parallel": 1, "page_tokens": 32}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
	from := map[string]string{}
	for _, s := range l.Sources {
		from[s.Key] = s.From
	}
	for key, want := range map[string]string{
		"threads": "flag", "queue": "environment", "ctx": filepath.Join(etc, "conf.d", "20.toml"),
		"parallel": filepath.Join(etc, "weftd.toml"), "page_tokens": "default",
	} {
		if from[key] != want {
			t.Errorf("%s comes from %q, want %q", key, from[key], want)
		}
	}
	if len(l.Files) != 3 {
		t.Errorf("files read: %q", l.Files)
	}
}

// TestTestsVariablesAreNoSettings starts with what .ci/run exports: a daemon that tests or make start has it in its environment.
func TestTestsVariablesAreNoSettings(t *testing.T) {
	script, err := os.ReadFile(filepath.Join("..", "..", ".ci", "run"))
	if err != nil {
		t.Fatal(err)
	}
	exported := regexp.MustCompile(`export (WEFT_\w+)=`).FindAllSubmatch(script, -1)
	if len(exported) == 0 {
		t.Fatal("found none")
	}
	in := inputs(t)
	for _, name := range exported {
		in.Env = append(in.Env, string(name[1])+"=1")
	}
	if _, err := Load(in); err != nil {
		t.Error(err)
	}
}

func TestPaths(t *testing.T) {
	for _, c := range []struct {
		name         string
		args, env    []string
		root         bool
		data, socket string
	}{
		{"root", nil, nil, true, "/var/lib/weft", "unix:///run/weft/weftd.sock"},
		{"service", nil, []string{"STATE_DIRECTORY=/var/lib/weft2:/x"}, false, "/var/lib/weft2", "unix:///var/lib/weft2/weftd.sock"},
		{"user", nil, []string{"HOME=/home/u", "XDG_RUNTIME_DIR=/run/user/7"}, false, "/home/u/.local/share/weft", "unix:///run/user/7/weft/weftd.sock"},
		{"xdg", nil, []string{"HOME=/home/u", "XDG_DATA_HOME=/d"}, false, "/d/weft", "unix:///d/weft/weftd.sock"},
		{"relative xdg is ignored", nil, []string{"HOME=/home/u", "XDG_DATA_HOME=d"}, false, "/home/u/.local/share/weft", "unix:///home/u/.local/share/weft/weftd.sock"},
		{"flag", []string{"--data-dir=here"}, []string{"HOME=/home/u"}, false, "/work-dir/here", "unix:///work-dir/here/weftd.sock"},
		{"variable", nil, []string{"WEFT_DATA_DIR=/there"}, false, "/there", "unix:///there/weftd.sock"},
		{"listen", []string{"--listen", "tcp://127.0.0.1:0", "--listen", "unix:///s"}, []string{"HOME=/home/u"}, false, "/home/u/.local/share/weft", "tcp://127.0.0.1:0 unix:///s"},
	} {
		t.Run(c.name, func(t *testing.T) {
			f, err := ParseFlags(c.args)
			if err != nil {
				t.Fatal(err)
			}
			// A configuration of the machine must not disturb the test of the defaults.
			f.Config = filepath.Join(t.TempDir(), "empty.toml")
			write(t, f.Config, "")
			l, err := Load(Inputs{Flags: f, Env: c.env, Root: c.root, Dir: "/work-dir"})
			if err != nil {
				t.Fatal(err)
			}
			var socket []string
			for _, a := range l.Config.Listen {
				socket = append(socket, a.String())
			}
			if l.Config.DataDir != c.data || strings.Join(socket, " ") != c.socket {
				t.Errorf("data %s, listeners %s; want %s, %s", l.Config.DataDir, socket, c.data, c.socket)
			}
			if want := filepath.Join(c.data, "models"); l.Config.ModelsDir != want {
				t.Errorf("models in %s, want %s", l.Config.ModelsDir, want)
			}
		})
	}
}

func TestMistakesAreNamed(t *testing.T) {
	for _, c := range []struct {
		name, file string
		args, env  []string
		is         error
		want       string
	}{
		{"unknown key", "data_dri = 'x'", nil, nil, ErrUnknown, `unknown key "data_dri"; the nearest known one is "data_dir"`},
		{"unknown variable", "", nil, []string{"WEFT_DATADIR=x"}, ErrUnknown, `unknown environment variable "WEFT_DATADIR"; the nearest known one is "WEFT_DATA_DIR"`},
		{"unknown flag", "", []string{"--data-dirr=x"}, nil, ErrUnknown, `unknown flag "--data-dirr"; the nearest known one is "--data-dir"`},
		{"argument", "", []string{"serve"}, nil, ErrUnknown, `unknown argument "serve"`},
		{"syntax", "ctx = \n", nil, nil, nil, "line 1, column"},
		{"wrong type", "ctx = 'many'", nil, nil, ErrValue, `ctx: bad value: "many" is not a whole number`},
		{"wrong type of a list", "listen = [1]", nil, nil, ErrValue, "listen: bad value: [1] is not a list of strings"},
		{"out of range", "parallel = 0", nil, nil, ErrValue, "parallel: bad value: 0 is outside 1 to 1024"},
		{"flag value", "", []string{"--threads", "two"}, nil, ErrValue, `flag --threads: threads: bad value: "two" is not a whole number`},
		{"choice", "log_format = 'xml'", nil, nil, ErrValue, `"xml" is none of text, json, journal`},
		{"level", "log_level = 'loud'", nil, nil, ErrValue, `"loud" is none of debug, info, warn, error`},
		{"kv type", "kv_type = 'q8'", nil, nil, ErrValue, `"q8" is none of f16, f32, q8_0, q4_0`},
		{"page size", "page_tokens = 48", nil, nil, ErrValue, "48 is none of 16, 32, 64"},
		{"newer version", "version = 2", nil, nil, ErrVersion, "version 2 and this program knows 1 to 1"},
		{"version of wrong type", "version = '1'", nil, nil, ErrValue, `version: bad value: "1" is not a whole number`},
		{"duration", "drain_timeout = 5", nil, nil, ErrValue, `drain_timeout: bad value: 5 is not a time such as "30s"`},
		{"negative duration", "drain_timeout = '-5s'", nil, nil, ErrValue, "-5s is outside 0s to 1h0m0s"},
		{"size", "memory_budget = 'lots'", nil, nil, ErrValue, `"lots" is not a size such as`},
		{"share of a body", "max_body = '5%'", nil, nil, ErrValue, "a body has a size in bytes"},
		{"header of nothing", "max_header = '10B'", nil, nil, ErrValue, "max_header: bad value: 10 is outside 1KiB to 16MiB"},
		{"share of a text", "max_text = '5%'", nil, nil, ErrValue, "max_text: bad value: 5% is outside 1 to 1GiB"},
		{"depth", "max_depth = 100000", nil, nil, ErrValue, "max_depth: bad value: 100000 is outside 4 to 1000"},
		{"stops", "", []string{"--max-stops=-1"}, nil, ErrValue, "max_stops: bad value: -1 is outside 0 to 4096"},
		{"callers", "", nil, []string{"WEFT_MAX_PER_CALLER=0"}, ErrValue, "max_per_caller: bad value: 0 is outside 1"},
		{"steps", "step_tokens = 4\nparallel = 8", nil, nil, ErrValue, "4 is less than parallel, 8"},
		{"scheme", "listen = ['ftp://x']", nil, nil, ErrValue, "starts with neither unix:// nor tcp://"},
		{"relative socket", "listen = ['unix://x/y']", nil, nil, ErrValue, "unix:///absolute/path"},
		{"port", "listen = ['tcp://localhost']", nil, nil, ErrValue, "tcp://127.0.0.1:PORT"},
		{"long socket", "listen = ['unix:///" + strings.Repeat("x", 120) + "']", nil, nil, ErrValue, "121 bytes and a socket may have 107"},
		{"twice", "listen = ['unix:///x', 'unix:///x']", nil, nil, ErrValue, "unix:///x is listed twice"},
		{"bool", "builtin = 'perhaps'", nil, nil, ErrValue, `"perhaps" is not true or false`},
	} {
		t.Run(c.name, func(t *testing.T) {
			f, err := ParseFlags(c.args)
			if err == nil {
				dir := t.TempDir()
				f.Config = filepath.Join(dir, "weftd.toml")
				write(t, f.Config, c.file)
				_, err = Load(Inputs{Flags: f, Dir: dir, Env: append(c.env, "HOME="+dir)})
			}
			if err == nil {
				t.Fatal("no error")
			}
			if c.is != nil && !errors.Is(err, c.is) {
				t.Errorf("%v is not %v", err, c.is)
			}
			if !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "\n") {
				t.Errorf("error is\n%v\nwant one line with\n%s", err, c.want)
			}
		})
	}
}

func TestNamedFileMustExist(t *testing.T) {
	if _, err := Load(inputs(t, "--config", "nowhere.toml")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("error is %v", err)
	}
}

func TestEmptyConfigFlagReadsNothing(t *testing.T) {
	in := inputs(t, "--config", "")
	write(t, filepath.Join(in.Dir, ".config", "weft", "weftd.toml"), "not read")
	if l, err := Load(in); err != nil || len(l.Files) != 0 {
		t.Errorf("read %v, %v", l, err)
	}
}

func TestUserWithoutHomeNeedsADataDir(t *testing.T) {
	_, err := Load(Inputs{})
	if err == nil || !strings.Contains(err.Error(), "--data-dir") {
		t.Errorf("error is %v", err)
	}
}

func TestPrintIsReadBack(t *testing.T) {
	in := inputs(t, "--listen", "tcp://[::1]:80", "--listen", `unix:///a"b`, "--log-level=DEBUG", "--memory-budget", "1.5GiB",
		"--idle-timeout=2h", "--socket-group", "a\\b\tc", "--builtin=false", "--drain-timeout", "1m30s")
	first, err := Load(in)
	if err != nil {
		t.Fatal(err)
	}
	var text bytes.Buffer
	if err := first.Print(&text); err != nil {
		t.Fatal(err)
	}
	again := inputs(t, "--config", "printed.toml")
	write(t, filepath.Join(again.Dir, "printed.toml"), text.String())
	second, err := Load(again)
	if err != nil {
		t.Fatalf("%v\n%s", err, text.String())
	}
	if d := cmp.Diff(first.Config, second.Config); d != "" {
		t.Errorf("printed and read again: %s\n%s", d, text.String())
	}
}

func TestMigrationsRunInOrder(t *testing.T) {
	steps := []migration{
		func(k map[string]any) error { k["b"] = k["a"]; delete(k, "a"); return nil },
		func(k map[string]any) error { k["c"] = k["b"]; delete(k, "b"); return nil },
	}
	for _, c := range []struct{ in, want map[string]any }{
		{map[string]any{"a": 1}, map[string]any{"c": 1}},
		{map[string]any{"version": int64(2), "b": 2}, map[string]any{"c": 2}},
		{map[string]any{"version": int64(3), "c": 3}, map[string]any{"c": 3}},
	} {
		if err := migrate(c.in, steps); err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(c.want, c.in); d != "" {
			t.Error(d)
		}
	}
}

func TestSize(t *testing.T) {
	for text, want := range map[string]Size{
		"4GiB": {Bytes: 4 << 30}, "4 gib": {Bytes: 4 << 30}, "500MB": {Bytes: 500e6}, "1048576": {Bytes: 1 << 20}, "12B": {Bytes: 12},
		"60%": {Percent: 60}, "0.5 %": {Percent: 0.5}, "1.5K": {Bytes: 1536}, "2T": {Bytes: 2 << 40},
	} {
		got, err := ParseSize(text)
		if err != nil || got != want {
			t.Errorf("%q is %v, %v; want %v", text, got, err, want)
		}
		if again, err := ParseSize(got.String()); err != nil || again != got {
			t.Errorf("%q printed as %q reads as %v, %v", text, got, again, err)
		}
	}
	for _, text := range []string{"", "GiB", "-1", "0", "0%", "101%", "NaN", "NaN%", "Inf", "1e30", "1XB"} {
		if got, err := ParseSize(text); !errors.Is(err, ErrValue) {
			t.Errorf("%q is %v, %v", text, got, err)
		}
	}
	if got := (Size{Percent: 25}).Of(4000); got != 1000 {
		t.Errorf("a quarter of 4000 is %d", got)
	}
}

func TestShortDuration(t *testing.T) {
	for d, want := range map[time.Duration]string{0: "0s", 10 * time.Minute: "10m", 2 * time.Hour: "2h", 90 * time.Second: "1m30s", 500 * time.Millisecond: "500ms"} {
		if got := shortDuration(d); got != want {
			t.Errorf("%v is %q, want %q", d, got, want)
		}
	}
}

func TestUsageNamesEveryFlag(t *testing.T) {
	var b strings.Builder
	Usage(&b)
	c := Default()
	for _, s := range c.settings() {
		if _, rest, ok := strings.Cut(b.String(), "--"+flagName(s.key)); !ok || rest[0] != ' ' && rest[0] != '[' {
			t.Errorf("--%s is not in the usage", flagName(s.key))
		}
	}
}
