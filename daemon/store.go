package daemon

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"strconv"
	"strings"
	"unicode/utf8"

	"golang.org/x/sys/unix"

	"github.com/weft-run/weft/daemon/api"
	"github.com/weft-run/weft/daemon/server"
	"github.com/weft-run/weft/daemon/watch"
	"github.com/weft-run/weft/runtime/gguf"
)

var (
	// ErrName says that a name cannot be that of a file.
	ErrName = errors.New("not a name for a file")
	// ErrSize says that an upload ended before or after its stated size.
	ErrSize = errors.New("upload of the wrong size")
)

// maxNameBytes leaves room in a file name (255 bytes) for the ending and for what an upload adds.
const maxNameBytes = 200

// uploadMark is in the names of files being uploaded, which also begin with a dot and so never count as models.
const uploadMark = ".upload-"

// fileStore puts models, or adapters, into their folder and takes them out. It writes files only; that one is then served or gone is
// the watcher's doing. Safe for concurrent use: of two uploads to one name the one that ends last wins.
type fileStore struct {
	dir string
}

// Put streams a GGUF file into the folder: to a hidden file first, which takes its name when it is whole and on disk. size is
// what the client announced, or -1.
func (s *fileStore) Put(ctx context.Context, name string, r io.Reader, size int64) (api.Stored, error) {
	return s.put(ctx, name, r, size, func(rename func() error) error { return rename() })
}

// put is Put with a word to say at the moment of landing: land calls rename, or refuses.
func (s *fileStore) put(ctx context.Context, name string, r io.Reader, size int64, land func(rename func() error) error) (stored api.Stored, err error) {
	root, err := s.open(name)
	if err != nil {
		return stored, noRoom(err)
	}
	defer root.Close()
	if info, err := root.Lstat(name); err == nil && info.IsDir() {
		return stored, badName(name, "a name that no folder has")
	}
	if err := s.checkSpace(size); err != nil {
		return stored, err
	}
	hidden := "." + name + uploadMark + rand.Text()
	f, err := root.OpenFile(hidden, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o640)
	if err != nil {
		return stored, fmt.Errorf("daemon: upload of %q: %w", name, noRoom(err))
	}
	defer func() {
		f.Close()
		if err != nil {
			_ = root.Remove(hidden) // of no use any more; cleaned at the next start if this fails
			err = fmt.Errorf("daemon: upload of %q: %w", name, err)
		}
	}()
	sum := sha256.New()
	n, err := io.Copy(io.MultiWriter(f, sum), contextReader{ctx, r})
	if err != nil {
		return stored, err
	}
	if size >= 0 && n != size {
		return stored, fmt.Errorf("%w: %d bytes came and %d were announced", ErrSize, n, size)
	}
	if err := f.Sync(); err != nil {
		return stored, err
	}
	if err := land(func() error { return root.Rename(hidden, name+".gguf") }); err != nil {
		return stored, err
	}
	return api.Stored{Name: name, Bytes: n, SHA256: hex.EncodeToString(sum.Sum(nil))}, syncFolder(root)
}

// noRoom tells the server that a folder cannot be written to, or is not there: the client learns why.
func noRoom(err error) error {
	if errors.Is(err, fs.ErrPermission) || errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.EROFS) {
		return fmt.Errorf("%w: %w; make the folder writable for the daemon's user", server.ErrNoRoom, err)
	}
	return err
}

// Delete takes the files of a name out of the folder: its file, the files of its split set, or its subfolder. Its settings file stays for
// the next of that name. An error is fs.ErrNotExist when there is none.
func (s *fileStore) Delete(_ context.Context, name string) error {
	root, err := s.open(name)
	if err != nil {
		return err
	}
	defer root.Close()
	files, err := filesOf(root, name)
	if err != nil {
		return fmt.Errorf("daemon: deleting %q: %w", name, err)
	}
	if len(files) == 0 {
		return fmt.Errorf("daemon: deleting %q: %w", name, fs.ErrNotExist)
	}
	for _, f := range files {
		if err := root.RemoveAll(f); err != nil {
			return fmt.Errorf("daemon: deleting %q: %w", name, err)
		}
	}
	return syncFolder(root)
}

// Clean removes what uploads left that a crash cut off, and says how many. No upload may be running.
func (s *fileStore) Clean() (removed int, err error) {
	entries, err := os.ReadDir(s.dir)
	if err != nil {
		return 0, err
	}
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), ".") && strings.Contains(e.Name(), uploadMark) && (e.Type().IsRegular() || e.IsDir()) {
			if err := os.RemoveAll(s.dir + "/" + e.Name()); err != nil {
				return removed, err
			}
			removed++
		}
	}
	return removed, nil
}

// cleanOrWarn is Clean at the start of the daemon, which what cannot be cleaned does not prevent.
func (s *fileStore) cleanOrWarn(log *slog.Logger) int {
	removed, err := s.Clean()
	if err != nil {
		log.Warn("left-overs of uploads cannot be looked for or removed", "folder", s.dir, "reason", err)
	}
	return removed
}

// filesOf lists what a model of a name consists of in the folder.
func filesOf(root *os.Root, name string) ([]string, error) {
	d, err := root.Open(".")
	if err != nil {
		return nil, err
	}
	defer d.Close()
	names, err := d.Readdirnames(-1)
	if err != nil {
		return nil, err
	}
	var files []string
	for _, n := range names {
		base, _, _, isShard := gguf.ShardName(n)
		if n == name+".gguf" || n == name || isShard && base == name {
			files = append(files, n)
		}
	}
	return files, nil
}

// open checks a name and opens the folder, out of which no name then leads. The folder is opened each time: it may have
// been made anew.
func (s *fileStore) open(name string) (*os.Root, error) {
	if err := checkName(name); err != nil {
		return nil, err
	}
	root, err := os.OpenRoot(s.dir)
	if err != nil {
		return nil, fmt.Errorf("daemon: folder of uploads: %w", err)
	}
	return root, nil
}

// checkName refuses names that are no plain file names, or that the watcher would never count.
func checkName(name string) error {
	switch {
	case name == "":
		return badName(name, "a name")
	case len(name) > maxNameBytes:
		return badName(name[:maxNameBytes], fmt.Sprintf("a name of at most %d bytes", maxNameBytes))
	case !utf8.ValidString(name) || strings.ContainsFunc(name, func(r rune) bool { return r < ' ' || r == 0x7f || r == '/' || r == '\\' }):
		return badName(name, "a name without slashes and control characters")
	case watch.Ignored(name):
		return badName(name, "a name that does not begin with a dot or end like a file that is still being written")
	case strings.HasSuffix(strings.ToLower(name), ".gguf"):
		return badName(name, "a name, which is that of the file without the ending .gguf")
	}
	return nil
}

// badName is an error that is ErrName, and that the server shows as one of the request's field.
func badName(name, want string) error {
	return fmt.Errorf("daemon: %w: %w", ErrName, &api.FieldError{Field: "name", Want: want, Got: strconv.Quote(name)})
}

// checkSpace refuses an upload that cannot fit before it has filled the disk.
func (s *fileStore) checkSpace(size int64) error {
	var st unix.Statfs_t
	if size < 0 || unix.Statfs(s.dir, &st) != nil {
		return nil
	}
	if free := int64(st.Bavail) * st.Bsize; size > free {
		return fmt.Errorf("daemon: the upload has %d bytes and %s has room for %d: %w", size, s.dir, free, unix.ENOSPC)
	}
	return nil
}

// syncFolder makes a rename or removal in the folder last through a loss of power.
func syncFolder(root *os.Root) error {
	d, err := root.Open(".")
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Sync()
}

// contextReader ends with the context, so that an upload stops when the daemon does.
type contextReader struct {
	ctx context.Context
	r   io.Reader
}

func (c contextReader) Read(p []byte) (int, error) {
	if err := c.ctx.Err(); err != nil {
		return 0, err
	}
	return c.r.Read(p)
}
