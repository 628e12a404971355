package daemon

import (
	"archive/tar"
	"bufio"
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"
	"sync"

	"golang.org/x/sys/unix"

	"github.com/weft-run/weft/adapters"
	"github.com/weft-run/weft/daemon/api"
)

// maxConfigBytes bounds adapter_config.json in an upload: peft writes some kilobytes.
const maxConfigBytes = 1 << 20

// adapterStore puts adapters into the adapters folder and takes them out: a GGUF file as a model lands, a tar archive of the two files
// that peft writes as a folder, which takes the old one's place in one step. Safe for concurrent use.
type adapterStore struct {
	files    fileStore
	registry *adapters.Registry
	look     func(context.Context) // brings the registry up to date with the folder

	landing sync.Mutex // held while an upload takes its name, so that the next one sees what it replaces
}

// Put streams an adapter into the folder. expect is the generation that it is to replace, or 0: a *adapters.StaleError says that another is there by now.
func (s *adapterStore) Put(ctx context.Context, name string, r io.Reader, size int64, expect uint64) (api.Stored, error) {
	if err := s.expected(ctx, name, expect); err != nil { // before gigabytes are read
		return api.Stored{}, err
	}
	land := func(rename func() error) error {
		s.landing.Lock()
		defer s.landing.Unlock()
		if err := s.expected(ctx, name, expect); err != nil {
			return err
		}
		return rename()
	}
	body := bufio.NewReader(r)
	if magic, err := body.Peek(4); err == nil && string(magic) == "GGUF" {
		return s.files.put(ctx, name, body, size, land)
	}
	return s.putFolder(ctx, name, body, size, land)
}

// Delete takes an adapter's files out of the folder.
func (s *adapterStore) Delete(ctx context.Context, name string) error {
	return s.files.Delete(ctx, name)
}

// expected says whether the generation that is to be replaced is the one that is published, after a look at the folder.
func (s *adapterStore) expected(ctx context.Context, name string, generation uint64) error {
	if generation == 0 {
		return nil
	}
	s.look(ctx)
	return s.registry.Replaceable(name, generation)
}

// putFolder unpacks an archive into a hidden folder, which then takes the name.
func (s *adapterStore) putFolder(ctx context.Context, name string, r io.Reader, size int64, land func(func() error) error) (stored api.Stored, err error) {
	root, err := s.files.open(name)
	if err != nil {
		return stored, noRoom(err)
	}
	defer root.Close()
	defer func() {
		if err != nil {
			err = fmt.Errorf("daemon: upload of %q: %w", name, err)
		}
	}()
	if _, err := root.Lstat(name + ".gguf"); err == nil {
		return stored, badName(name, "a name that no GGUF adapter has; delete that one first")
	}
	if err := s.files.checkSpace(size); err != nil {
		return stored, err
	}
	hidden := "." + name + uploadMark + rand.Text()
	if err := root.Mkdir(hidden, 0o750); err != nil {
		return stored, noRoom(err)
	}
	defer func() { _ = root.RemoveAll(hidden) }() // what failed, or what was replaced; cleaned at the next start if this fails
	folder, err := root.OpenRoot(hidden)
	if err != nil {
		return stored, err
	}
	defer folder.Close()
	sum := sha256.New()
	count := &counter{r: io.TeeReader(contextReader{ctx, r}, sum)}
	if err := unpack(folder, count); err != nil {
		return stored, err
	}
	if size >= 0 && count.n != size {
		return stored, fmt.Errorf("%w: %d bytes came and %d were announced", ErrSize, count.n, size)
	}
	if err := keepSettings(root, name, folder); err != nil {
		return stored, err
	}
	if err := syncFolder(folder); err != nil {
		return stored, err
	}
	if err := land(func() error { return takePlace(root, hidden, name) }); err != nil {
		return stored, err
	}
	return api.Stored{Name: name, Bytes: count.n, SHA256: hex.EncodeToString(sum.Sum(nil))}, syncFolder(root)
}

// counter counts what was read.
type counter struct {
	r io.Reader
	n int64
}

func (c *counter) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.n += int64(n)
	return n, err
}

// unpack writes the two files of an archive into a folder. Names in the archive never become paths: each must be one of the two.
func unpack(folder *os.Root, r io.Reader) error {
	bad := func(got string) error {
		return &api.FieldError{Field: "body", Want: fmt.Sprintf("a GGUF file, or a tar archive of exactly %s and %s", peftConfig, peftWeights), Got: got}
	}
	archive := tar.NewReader(r)
	seen := map[string]bool{}
	for {
		h, err := archive.Next()
		switch {
		case errors.Is(err, io.EOF):
			if len(seen) != 2 {
				return bad(fmt.Sprintf("an archive of %d of them", len(seen)))
			}
			_, err := io.Copy(io.Discard, r) // what pads the archive
			return err
		case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
			return err
		case err != nil: // what the body itself ended with comes before this
			return bad(noArchive)
		}
		name := strings.TrimPrefix(h.Name, "./")
		switch {
		case h.Typeflag == tar.TypeDir && (name == "" || name == "."):
			continue // `tar -C FOLDER -c .` begins so
		case name != peftConfig && name != peftWeights || h.Typeflag != tar.TypeReg:
			return bad(fmt.Sprintf("the entry %.80q", h.Name))
		case isSparse(h):
			return bad(fmt.Sprintf("%s with holes, of %d bytes when they are filled", name, h.Size))
		case seen[name]:
			return bad(name + " twice")
		case name == peftConfig && h.Size > maxConfigBytes:
			return bad(fmt.Sprintf("%s of %d bytes, where %d are allowed", name, h.Size, maxConfigBytes))
		}
		seen[name] = true
		if err := writeNew(folder, name, archive); errors.Is(err, io.ErrUnexpectedEOF) {
			return bad(noArchive)
		} else if err != nil {
			return err
		}
	}
}

// noArchive is what was got where a body is no GGUF file and cannot be read as an archive.
const noArchive = "neither, or one that is cut"

// isSparse says whether an entry of an archive leaves out its zeros: some hundred bytes would fill any disk with them.
func isSparse(h *tar.Header) bool {
	for key := range h.PAXRecords {
		if strings.HasPrefix(key, "GNU.sparse.") {
			return true
		}
	}
	return false
}

// writeNew writes a file that is not there yet and brings it onto the disk.
func writeNew(folder *os.Root, name string, r io.Reader) error {
	f, err := folder.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o640)
	if err != nil {
		return err
	}
	_, err = io.Copy(f, r)
	return errors.Join(err, f.Sync(), f.Close())
}

// keepSettings copies the settings of the adapter that is to be replaced: they are the operator's, as those beside a GGUF file are.
func keepSettings(root *os.Root, name string, to *os.Root) error {
	f, err := root.Open(name + "/" + folderSettings)
	if err != nil {
		return nil //nolint:nilerr // there are none, or none that an upload may follow to
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxSettingsBytes))
	if err != nil {
		return err
	}
	return writeNew(to, folderSettings, bytes.NewReader(text))
}

// takePlace gives a folder a name in one step, in exchange with the folder that has it.
func takePlace(root *os.Root, hidden, name string) error {
	if _, err := root.Lstat(name); errors.Is(err, fs.ErrNotExist) {
		return root.Rename(hidden, name)
	}
	d, err := root.Open(".")
	if err != nil {
		return err
	}
	defer d.Close()
	at := int(d.Fd())
	err = unix.Renameat2(at, hidden, at, name, unix.RENAME_EXCHANGE)
	if !errors.Is(err, unix.EINVAL) && !errors.Is(err, unix.ENOSYS) {
		return err
	}
	// This file system cannot exchange. The watcher takes a name that is gone for a moment for still there.
	old := "." + name + uploadMark + rand.Text()
	if err := root.Rename(name, old); err != nil {
		return err
	}
	if err := root.Rename(hidden, name); err != nil {
		return errors.Join(err, root.Rename(old, name))
	}
	return root.Rename(old, hidden)
}
