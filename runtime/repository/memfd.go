package repository

import (
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// memoryFile makes a file in memory of a model that is in no folder, so that it is served like all others. It can be neither cut
// nor grown.
func memoryFile(name string, b []byte) (*os.File, error) {
	fd, err := unix.MemfdCreate(name, unix.MFD_CLOEXEC|unix.MFD_ALLOW_SEALING)
	if err != nil {
		return nil, fmt.Errorf("repository: a file in memory for the built-in model: %w", err)
	}
	f := os.NewFile(uintptr(fd), name)
	if _, err := f.Write(b); err != nil {
		_ = f.Close()
		return nil, fmt.Errorf("repository: a file in memory for the built-in model: %w", err)
	}
	if _, err := unix.FcntlInt(f.Fd(), unix.F_ADD_SEALS, unix.F_SEAL_SHRINK|unix.F_SEAL_GROW|unix.F_SEAL_SEAL); err != nil {
		_ = f.Close()
		return nil, fmt.Errorf("repository: sealing the built-in model: %w", err)
	}
	return f, nil
}
