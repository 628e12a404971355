package daemon

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/weft-run/weft/daemon/config"
)

// settings are a configuration whose folders lie below dir.
func settings(dir string) config.Config {
	cfg := config.Default()
	cfg.DataDir = dir
	for name, to := range map[string]*string{
		"models": &cfg.ModelsDir, "adapters": &cfg.AdaptersDir, "plugins": &cfg.PluginsDir, "documents": &cfg.DocumentsDir, "state": &cfg.StateDir,
	} {
		*to = filepath.Join(dir, name)
	}
	return cfg
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestFoldersAreMadeWithTheirModes(t *testing.T) {
	cfg := settings(filepath.Join(t.TempDir(), "weft"))
	for range 2 { // the second time all is there
		must(t, makeFolders(cfg))
	}
	for path, want := range map[string]fs.FileMode{cfg.DataDir: 0o750, cfg.ModelsDir: 0o750, cfg.StateDir: 0o700} {
		info, err := os.Stat(path)
		must(t, err)
		if info.Mode().Perm() != want {
			t.Errorf("%s has mode %v, want %v", path, info.Mode().Perm(), want)
		}
	}
	cfg.ModelsDir = filepath.Join(cfg.StateDir, "file", "models")
	must(t, os.WriteFile(filepath.Dir(cfg.ModelsDir), nil, 0o600))
	if err := makeFolders(cfg); err == nil || !strings.Contains(err.Error(), "models_dir") {
		t.Errorf("a folder below a file: %v", err)
	}
}

func TestOneDaemonToAFolder(t *testing.T) {
	dir := t.TempDir()
	first, err := lockState(dir)
	must(t, err)
	_, err = lockState(dir)
	if !errors.Is(err, ErrInUse) || !strings.Contains(err.Error(), "process "+strconv.Itoa(os.Getpid())) {
		t.Errorf("second lock: %v", err)
	}
	must(t, first.Close())
	again, err := lockState(dir)
	must(t, err)
	must(t, again.Close())
}
