package daemon

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"strconv"
	"strings"

	"github.com/weft-run/weft/daemon/config"
	"github.com/weft-run/weft/kernels/ref"
	"github.com/weft-run/weft/runtime/pagestore"
)

// keptDir is the folder of kept pages in the state folder.
const keptDir = "kv"

// openKept opens the pages that are kept on disk. They tell of conversations, so they are for the service alone.
func openKept(state *os.Root, cfg config.Config, log *slog.Logger) (*pagestore.Store, error) {
	if err := state.Mkdir(keptDir, stateMode); err != nil && !errors.Is(err, fs.ErrExist) {
		log.Warn("the folder of kept pages cannot be made", "folder", keptDir, "reason", err)
		return nil, nil
	}
	if err := state.Chmod(keptDir, stateMode); err != nil {
		log.Warn("the folder of kept pages cannot be closed to others", "folder", keptDir, "reason", err)
	}
	dir, err := state.OpenRoot(keptDir)
	if err != nil {
		return nil, fmt.Errorf("daemon: kept pages: %w", err)
	}
	store, err := pagestore.Open(pagestore.Options{Dir: dir, Quota: cfg.KVQuota.Bytes, MaxAge: cfg.KVMaxAge, Log: log})
	if err != nil {
		return nil, errors.Join(fmt.Errorf("daemon: kept pages: %w", err), dir.Close())
	}
	return store, nil
}

// numericsVersion is the number of ref.Version.
func numericsVersion() int {
	n, err := strconv.Atoi(strings.TrimPrefix(ref.Version, "numerics "))
	if err != nil {
		panic("BUG: daemon: " + err.Error())
	}
	return n
}
