package config

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/pelletier/go-toml/v2"
)

// Inputs is all that the configuration depends on besides the files, so that tests can choose it.
type Inputs struct {
	Flags Flags
	Env   []string // "NAME=value"
	Root  bool     // running as root: /etc, /var/lib and /run are ours
	Dir   string   // working folder: relative paths start here
}

// Source tells where a setting got its value.
type Source struct {
	Key  string
	From string // "default", "environment", "flag", or the path of a file
}

// Loaded is a configuration and how it came about.
type Loaded struct {
	Config  Config
	Files   []string // in the order in which they were read
	Sources []Source // one for each setting, in the order of the reference
}

// foreign are the variables with our prefix that are no settings: they belong to the client, to the tests and to make. What
// begins with testPrefix is the tests' too.
var foreign = []string{"WEFT_HOST", "WEFT_CONFIG", "WEFT_REQUIRE_TESTDATA", "WEFT_CLIENTS", "WEFT_LONG", "WEFT_SEED"}

const testPrefix = "WEFT_TEST"

// Load reads files, environment and flags, each over the one before, fills what nobody said, and validates all of it.
func Load(in Inputs) (*Loaded, error) {
	l := &Loaded{Config: Default()}
	from := map[string]string{}
	table := map[string]setting{}
	var keys []string
	for _, s := range l.Config.settings() {
		table[s.key] = s
		keys = append(keys, s.key)
	}

	files, err := in.files()
	if err != nil {
		return nil, err
	}
	for _, path := range files {
		if err := readFile(path, table, keys, from); err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
	}
	l.Files = files
	if err := in.readEnv(table, keys, from); err != nil {
		return nil, err
	}
	for _, f := range in.Flags.values {
		if err := table[f.key].assign(f.value); err != nil {
			return nil, fmt.Errorf("flag --%s: %w", flagName(f.key), err)
		}
		from[f.key] = "flag"
	}

	if err := l.Config.fillPaths(in); err != nil {
		return nil, err
	}
	if err := l.Config.validate(); err != nil {
		return nil, err
	}
	for _, k := range keys {
		if from[k] == "" {
			from[k] = "default"
		}
		l.Sources = append(l.Sources, Source{Key: k, From: from[k]})
	}
	return l, nil
}

// files lists the configuration files that exist, in the order of reading: weftd.toml, then conf.d beside it in name order. A
// file that was named must exist; the default one need not.
func (in Inputs) files() ([]string, error) {
	if in.Flags.NoFiles {
		return nil, nil
	}
	main := in.Flags.Config
	if main == "" {
		main, _ = in.env("WEFT_CONFIG")
	}
	named := main != ""
	if !named {
		dir, err := in.configDir()
		if err != nil {
			return nil, nil // no home: nothing to read
		}
		main = filepath.Join(dir, "weftd.toml")
	}
	if !filepath.IsAbs(main) {
		main = filepath.Join(in.Dir, main)
	}
	var list []string
	switch _, err := os.Stat(main); {
	case err == nil:
		list = append(list, main)
	case named || !errors.Is(err, fs.ErrNotExist):
		return nil, fmt.Errorf("configuration file: %w", err)
	}
	dropIns, err := os.ReadDir(filepath.Join(filepath.Dir(main), "conf.d")) // sorted by name
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("configuration folder: %w", err)
	}
	for _, e := range dropIns {
		if strings.HasSuffix(e.Name(), ".toml") && !strings.HasPrefix(e.Name(), ".") {
			list = append(list, filepath.Join(filepath.Dir(main), "conf.d", e.Name()))
		}
	}
	return list, nil
}

// readFile stores the settings of one TOML file.
func readFile(path string, table map[string]setting, keys []string, from map[string]string) error {
	data, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	values, err := parseTOML(data)
	if err != nil {
		return err
	}
	if err := migrate(values, migrations()); err != nil {
		return err
	}
	for _, k := range sortedKeys(values) {
		s, ok := table[k]
		if !ok {
			return unknown("key", k, keys)
		}
		if err := s.assign(values[k]); err != nil {
			return err
		}
		from[k] = path
	}
	return nil
}

// parseTOML reads a document into a map. A syntax error says line and column.
func parseTOML(data []byte) (map[string]any, error) {
	values := map[string]any{}
	err := toml.Unmarshal(data, &values)
	if at := (*toml.DecodeError)(nil); errors.As(err, &at) {
		row, column := at.Position()
		return nil, fmt.Errorf("line %d, column %d: %w", row, column, err)
	}
	return values, err
}

// readEnv stores the settings that variables with our prefix give. An empty variable is as good as none.
func (in Inputs) readEnv(table map[string]setting, keys []string, from map[string]string) error {
	known := slices.Clone(foreign)
	byVariable := map[string]string{}
	for _, k := range keys {
		v := variableName(k)
		byVariable[v] = k
		known = append(known, v)
	}
	for _, pair := range in.Env {
		name, value, _ := strings.Cut(pair, "=")
		if !strings.HasPrefix(name, "WEFT_") || strings.HasPrefix(name, testPrefix) || slices.Contains(foreign, name) {
			continue
		}
		key, ok := byVariable[name]
		if !ok {
			return unknown("environment variable", name, known)
		}
		if value == "" {
			continue
		}
		if err := table[key].assign(value); err != nil {
			return fmt.Errorf("environment variable %s: %w", name, err)
		}
		from[key] = "environment"
	}
	return nil
}

// env returns the value of a variable.
func (in Inputs) env(name string) (string, bool) {
	for _, pair := range in.Env {
		if n, v, _ := strings.Cut(pair, "="); n == name {
			return v, true
		}
	}
	return "", false
}

// validate checks what one setting alone cannot tell.
func (c *Config) validate() error {
	if c.PageTokens&(c.PageTokens-1) != 0 {
		return fmt.Errorf("page_tokens: %w: %d is none of 16, 32, 64", ErrValue, c.PageTokens)
	}
	if c.MaxBody.Percent != 0 {
		return fmt.Errorf("max_body: %w: %v is a share; a body has a size in bytes", ErrValue, c.MaxBody)
	}
	for _, size := range []struct {
		key       string
		is        Size
		low, high int64
	}{
		{"kv_quota", c.KVQuota, 1 << 20, 1 << 50},
		{"body_room", c.BodyRoom, 1 << 20, 1 << 50},
		{"max_header", c.MaxHeader, 1 << 10, 16 << 20},
		{"max_text", c.MaxText, 1, 1 << 30},
		{"max_stop_bytes", c.MaxStopBytes, 1, 1 << 20},
	} {
		if size.is.Percent != 0 || size.is.Bytes < size.low || size.is.Bytes > size.high {
			return fmt.Errorf("%s: %w: %v is outside %v to %v", size.key, ErrValue, size.is, Size{Bytes: size.low}, Size{Bytes: size.high})
		}
	}
	if c.StepTokens < c.Parallel {
		return fmt.Errorf("step_tokens: %w: %d is less than parallel, %d: every running sequence needs one token in each step",
			ErrValue, c.StepTokens, c.Parallel)
	}
	return nil
}

func variableName(key string) string { return "WEFT_" + strings.ToUpper(key) }

func flagName(key string) string { return strings.ReplaceAll(key, "_", "-") }

func sortedKeys(m map[string]any) []string {
	list := make([]string, 0, len(m))
	for k := range m {
		list = append(list, k)
	}
	slices.Sort(list)
	return list
}
