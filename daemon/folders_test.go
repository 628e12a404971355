package daemon

import (
	"errors"
	"io/fs"
	"log/slog"
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
	cfg.MemoryPressure = false // what else this machine does must not decide
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
		must(t, makeFolders(cfg, quiet()))
	}
	for path, want := range map[string]fs.FileMode{cfg.DataDir: 0o750, cfg.ModelsDir: 0o750, cfg.StateDir: 0o700} {
		info, err := os.Stat(path)
		must(t, err)
		if info.Mode().Perm() != want {
			t.Errorf("%s has mode %v, want %v", path, info.Mode().Perm(), want)
		}
	}
	file := filepath.Join(cfg.StateDir, "file")
	must(t, os.WriteFile(file, nil, 0o600))
	var log strings.Builder
	cfg.ModelsDir = filepath.Join(file, "models")
	if err := makeFolders(cfg, NewLog(&log, slog.LevelInfo, "text")); err != nil || !strings.Contains(log.String(), "setting=models_dir") {
		t.Errorf("a models folder below a file: %v; the log has %q", err, log.String())
	}
	cfg.StateDir = filepath.Join(file, "state")
	if err := makeFolders(cfg, quiet()); err == nil || !strings.Contains(err.Error(), "state_dir") {
		t.Errorf("a state folder below a file: %v", err)
	}
}

func TestOneDaemonToAFolder(t *testing.T) {
	dir := t.TempDir()
	first, err := lockState(dir, quiet())
	must(t, err)
	_, err = lockState(dir, quiet())
	if !errors.Is(err, ErrInUse) || !strings.Contains(err.Error(), "process "+strconv.Itoa(os.Getpid())) {
		t.Errorf("second lock: %v", err)
	}
	must(t, first.Close())
	again, err := lockState(dir, quiet())
	must(t, err)
	if again.killed != 0 {
		t.Errorf("after a clean end the lock says that process %d was killed", again.killed)
	}
	must(t, again.folder.Close()) // as the kernel does for a process that is killed
	after, err := lockState(dir, quiet())
	must(t, err)
	if after.killed != os.Getpid() {
		t.Errorf("after a kill the lock says that process %d was killed", after.killed)
	}
	must(t, after.Close())
}
