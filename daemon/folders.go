package daemon

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/weft-run/weft/daemon/config"
)

// Modes of the folders that the daemon makes. Those that exist keep theirs: the operator set them.
const (
	dataMode  = 0o750 // readable by the service's group
	stateMode = 0o700 // what the daemon writes of conversations is for the service alone
)

// makeFolders makes the data folders that are not there.
func makeFolders(cfg config.Config) error {
	for _, f := range []struct {
		key, path string
		mode      os.FileMode
	}{
		{"data_dir", cfg.DataDir, dataMode},
		{"models_dir", cfg.ModelsDir, dataMode},
		{"adapters_dir", cfg.AdaptersDir, dataMode},
		{"plugins_dir", cfg.PluginsDir, dataMode},
		{"documents_dir", cfg.DocumentsDir, dataMode},
		{"state_dir", cfg.StateDir, stateMode},
	} {
		if err := os.MkdirAll(f.path, f.mode); err != nil {
			return fmt.Errorf("daemon: %s: %w; choose another folder with --data-dir, or make it writable for this user", f.key, err)
		}
	}
	return nil
}

// lockState takes the lock on the state folder, which says that one daemon uses it. The kernel gives the lock back when the process
// ends, however it ends. The caller closes the file.
func lockState(dir string) (*os.File, error) {
	path := filepath.Join(dir, "weftd.lock")
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("daemon: lock file: %w", err)
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		defer f.Close()
		if !errors.Is(err, unix.EWOULDBLOCK) {
			return nil, fmt.Errorf("daemon: lock file %s: %w", path, err)
		}
		owner := "its process id is not known"
		if pid, err := io.ReadAll(io.LimitReader(f, 32)); err == nil && len(pid) > 0 {
			owner = "process " + strings.TrimSpace(string(pid))
		}
		return nil, fmt.Errorf("daemon: folder %s is %w (%s); stop that one or choose another folder with --data-dir", dir, ErrInUse, owner)
	}
	if err := errors.Join(f.Truncate(0), writePID(f)); err != nil {
		f.Close()
		return nil, fmt.Errorf("daemon: lock file %s: %w", path, err)
	}
	return f, nil
}

func writePID(f *os.File) error {
	_, err := f.WriteAt(fmt.Appendf(nil, "%d\n", os.Getpid()), 0)
	return err
}
