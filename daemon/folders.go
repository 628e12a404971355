package daemon

import (
	"fmt"
	"log/slog"
	"os"
	"strings"

	"github.com/weft-run/weft/daemon/config"
)

// Modes of the folders that the daemon makes. Those that exist keep theirs: the operator set them.
const (
	dataMode  = 0o750 // readable by the service's group
	stateMode = 0o700 // what the daemon writes of conversations is for the service alone
)

// makeFolders makes the data folders that are not there. Without the data and the state folder there is no daemon; of the others the
// log says what is wrong, and they count when somebody makes them.
func makeFolders(cfg config.Config, log *slog.Logger) error {
	for _, f := range []struct {
		key, path string
		mode      os.FileMode
		needed    bool
	}{
		{"data_dir", cfg.DataDir, dataMode, true},
		{"state_dir", cfg.StateDir, stateMode, true},
		{"models_dir", cfg.ModelsDir, dataMode, false},
		{"adapters_dir", cfg.AdaptersDir, dataMode, false},
		{"plugins_dir", cfg.PluginsDir, dataMode, false},
		{"documents_dir", cfg.DocumentsDir, dataMode, false},
	} {
		switch err := os.MkdirAll(f.path, f.mode); {
		case err == nil:
		case f.needed:
			return fmt.Errorf("daemon: %s: %w; choose another folder with --data-dir, or make it writable for this user", f.key, err)
		default:
			log.Warn("a folder cannot be made; it is used when it is there", "setting", f.key, "folder", f.path, "reason", err)
		}
	}
	return nil
}

// cleanState removes the files of the state folder that were being written when the daemon was killed, and says how many.
func cleanState(state *os.Root) (removed int, err error) {
	d, err := state.Open(".")
	if err != nil {
		return 0, err
	}
	defer d.Close()
	names, err := d.Readdirnames(-1)
	if err != nil {
		return 0, err
	}
	for _, name := range names {
		if strings.HasPrefix(name, ".") && strings.HasSuffix(name, ".tmp") {
			if err := state.Remove(name); err != nil {
				return removed, err
			}
			removed++
		}
	}
	return removed, nil
}
