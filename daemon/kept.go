package daemon

import (
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/weft-run/weft/daemon/config"
	"github.com/weft-run/weft/kernels/ref"
	"github.com/weft-run/weft/runtime/pagestore"
)

// keptDir is the folder of kept pages in the state folder.
const keptDir = "kv"

// openKept opens the pages that are kept on disk. They tell of conversations, so they are for the service alone.
func openKept(state *os.Root, cfg config.Config, log *slog.Logger) *pagestore.Store {
	log = log.With("folder", filepath.Join(cfg.StateDir, keptDir))
	return pagestore.Open(pagestore.Options{Quota: cfg.KVQuota.Bytes, MaxAge: cfg.KVMaxAge, Log: log, Dir: func() (*os.Root, error) {
		if err := state.Mkdir(keptDir, stateMode); err != nil && !errors.Is(err, fs.ErrExist) {
			return nil, err
		}
		dir, err := state.OpenRoot(keptDir)
		if err != nil {
			return nil, err
		}
		info, err := dir.Stat(".")
		if err == nil && info.Mode().Perm() != stateMode {
			err = state.Chmod(keptDir, stateMode)
		}
		if err != nil {
			log.Warn("the folder of kept pages cannot be closed to others", "reason", err)
		}
		return dir, nil
	}})
}

// numericsVersion is the number of ref.Version.
func numericsVersion() int {
	n, err := strconv.Atoi(strings.TrimPrefix(ref.Version, "numerics "))
	if err != nil {
		panic("BUG: daemon: " + err.Error())
	}
	return n
}
