package config

import (
	"fmt"
	"path/filepath"
	"strings"
)

// configDir is the folder of weftd.toml and conf.d for this user.
func (in Inputs) configDir() (string, error) {
	if in.Root {
		return "/etc/weft", nil
	}
	dir, err := in.xdg("XDG_CONFIG_HOME", ".config")
	if err != nil {
		return "", err
	}
	return filepath.Join(dir, "weft"), nil
}

// dataDir is the data folder when none was named.
func (in Inputs) dataDir() (string, error) {
	if dirs, _ := in.env("STATE_DIRECTORY"); dirs != "" {
		// systemd lists several folders with colons; ours is the first.
		first, _, _ := strings.Cut(dirs, ":")
		return first, nil
	}
	if in.Root {
		return "/var/lib/weft", nil
	}
	dir, err := in.xdg("XDG_DATA_HOME", ".local/share")
	if err != nil {
		return "", fmt.Errorf("%w; name the data folder with --data-dir", err)
	}
	return filepath.Join(dir, "weft"), nil
}

// socket is the path of the Unix socket when no listener was named.
func (in Inputs) socket(dataDir string) string {
	if in.Root {
		return "/run/weft/weftd.sock"
	}
	if dir, _ := in.env("XDG_RUNTIME_DIR"); filepath.IsAbs(dir) {
		return filepath.Join(dir, "weft", "weftd.sock")
	}
	return filepath.Join(dataDir, "weftd.sock")
}

// xdg returns a base folder of the XDG specification: the variable's when it is absolute, else one below the home folder.
func (in Inputs) xdg(variable, below string) (string, error) {
	if dir, _ := in.env(variable); filepath.IsAbs(dir) {
		return dir, nil
	}
	home, _ := in.env("HOME")
	if !filepath.IsAbs(home) {
		return "", fmt.Errorf("neither %s nor HOME names a folder", variable)
	}
	return filepath.Join(home, below), nil
}

// fillPaths gives every folder and the listeners that were not named their places, and makes paths absolute.
func (c *Config) fillPaths(in Inputs) error {
	if c.DataDir == "" {
		dir, err := in.dataDir()
		if err != nil {
			return err
		}
		c.DataDir = dir
	}
	for _, f := range []struct {
		to   *string
		name string
	}{
		{&c.DataDir, ""},
		{&c.ModelsDir, "models"},
		{&c.AdaptersDir, "adapters"},
		{&c.PluginsDir, "plugins"},
		{&c.DocumentsDir, "documents"},
		{&c.StateDir, "state"},
	} {
		if *f.to == "" {
			*f.to = filepath.Join(c.DataDir, f.name)
		}
		if !filepath.IsAbs(*f.to) {
			*f.to = filepath.Join(in.Dir, *f.to)
		}
		*f.to = filepath.Clean(*f.to)
	}
	if len(c.Listen) == 0 {
		a, err := ParseAddress("unix://" + in.socket(c.DataDir))
		if err != nil {
			return err
		}
		c.Listen = []Address{a}
	}
	return nil
}
