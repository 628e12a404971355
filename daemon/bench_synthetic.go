package daemon

import (
	"context"
	"os"
	"path/filepath"

	"github.com/weft-run/weft/runtime/gguf"
	"github.com/weft-run/weft/runtime/modeltest/synthetic"
)

// writeSynthetic writes a model and opens it. Without a name to keep it under, its name is gone when this returns: an open file
// stays readable, and nothing is left behind however the process ends.
func writeSynthetic(ctx context.Context, m synthetic.Model, keep string) (*gguf.File, error) {
	path := keep
	if path == "" {
		folder, err := os.MkdirTemp("", "weft-bench-")
		if err != nil {
			return nil, err
		}
		defer os.RemoveAll(folder)
		path = filepath.Join(folder, "model.gguf")
	}
	if err := m.WriteFile(ctx, path); err != nil {
		return nil, err
	}
	return gguf.Open(path, gguf.DefaultLimits())
}
