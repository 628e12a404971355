package daemon

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"

	"golang.org/x/sys/unix"
)

// noteName is the file in the state folder that says who holds the folder's lock. It is empty after a clean end.
const noteName = "weftd.lock"

// stateLock says that one daemon uses a state folder. The lock is on the folder itself, so that a folder which cannot be written, or
// lies on a full disk, is locked too; the kernel gives it back when the process ends, however it ends.
type stateLock struct {
	folder *os.File
	note   *os.File // nil where it cannot be written
	// killed is the process id of the daemon that had the folder last and did not end cleanly, or 0.
	killed int
}

// lockState takes the lock. The error is ErrInUse when another daemon has it.
func lockState(dir string, log *slog.Logger) (*stateLock, error) {
	folder, err := os.OpenFile(dir, os.O_RDONLY|unix.O_DIRECTORY, 0)
	if err != nil {
		return nil, fmt.Errorf("daemon: state folder: %w; make it readable for this user, or choose another with --state-dir", err)
	}
	path := filepath.Join(dir, noteName)
	switch err := unix.Flock(int(folder.Fd()), unix.LOCK_EX|unix.LOCK_NB); {
	case errors.Is(err, unix.EWOULDBLOCK):
		folder.Close()
		owner := "its process id is not known"
		if pid := readNote(path); pid != 0 {
			owner = fmt.Sprintf("process %d", pid)
		}
		return nil, fmt.Errorf("daemon: folder %s is %w (%s); stop that one or choose another folder with --data-dir", dir, ErrInUse, owner)
	case err != nil:
		log.Warn("the state folder's file system has no locks; see to it that no other daemon uses it", "folder", dir, "reason", err)
	}
	l := &stateLock{folder: folder, killed: readNote(path)}
	if err := l.write(path); err != nil {
		log.Warn("the state folder cannot be written; digests are not remembered until it can", "folder", dir, "reason", err)
	}
	return l, nil
}

// write notes this process. What was noted is written over and not cut off first: that takes no room on a full disk.
func (l *stateLock) write(path string) error {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return err
	}
	text := fmt.Appendf(nil, "%-10d\n", os.Getpid())
	_, err = f.WriteAt(text, 0)
	if err = errors.Join(err, f.Truncate(int64(len(text)))); err != nil {
		f.Close()
		return err
	}
	l.note = f
	return nil
}

// readNote returns the process id that a note holds, or 0.
func readNote(path string) int {
	f, err := os.OpenFile(path, os.O_RDONLY|unix.O_NONBLOCK, 0)
	if err != nil {
		return 0
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, 32))
	if err != nil {
		return 0
	}
	pid, err := strconv.Atoi(string(bytes.TrimSpace(text)))
	if err != nil || pid < 0 {
		return 0
	}
	return pid
}

// Close gives the lock back after a clean end.
func (l *stateLock) Close() error {
	var err error
	if l.note != nil {
		err = errors.Join(l.note.Truncate(0), l.note.Close())
	}
	return errors.Join(err, l.folder.Close())
}
