package watch

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// errGone says that the watched folder is not there.
var errGone = errors.New("watch: no such folder")

// ignoredEndings are those of files that somebody is still writing.
var ignoredEndings = []string{".part", ".tmp", ".crdownload", ".incomplete"}

// Ignored says whether a name never counts.
func Ignored(name string) bool {
	if strings.HasPrefix(name, ".") {
		return true
	}
	lower := strings.ToLower(name)
	return slices.ContainsFunc(ignoredEndings, func(ending string) bool { return strings.HasSuffix(lower, ending) })
}

// look returns what is in dir now, sorted by name, with no file settled yet. A name that vanishes during the look is left out. A
// folder that is not there is as good as an empty one, and is told by an error that is errGone; after any other error nothing is
// known. links says whether a link to a folder is one.
func look(dir string, links bool) ([]Entry, error) {
	names, err := readNames(dir, 0)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.ENOTDIR) {
		return nil, fmt.Errorf("%w: %w", errGone, err)
	}
	if err != nil {
		return nil, err
	}
	return lookAtNames(dir, names, links)
}

// lookAtNames is look for names, sorted, that may be in dir.
func lookAtNames(dir string, names []string, links bool) ([]Entry, error) {
	var list []Entry
	for _, name := range names {
		path := filepath.Join(dir, name)
		info, lerr := os.Lstat(path)
		if errors.Is(lerr, fs.ErrPermission) {
			return nil, lerr // it is the folder's, which says nothing about the name
		}
		if lerr != nil {
			continue
		}
		folder, flags := info.IsDir(), unix.O_NOFOLLOW
		if links && info.Mode()&fs.ModeSymlink != 0 {
			to, err := os.Stat(path)
			folder, flags = err == nil && to.IsDir(), 0
		}
		if !folder {
			if f, ok := lookAt(path, name); ok {
				list = append(list, Entry{Name: name, Files: []File{f}})
			}
			continue
		}
		e := Entry{Name: name, Folder: true}
		inner, rerr := readNames(path, flags)
		switch {
		case errors.Is(rerr, fs.ErrNotExist):
			continue
		case errors.Is(rerr, unix.EMFILE) || errors.Is(rerr, unix.ENFILE) || errors.Is(rerr, unix.ENOMEM):
			return nil, rerr // our own want says nothing about the folder
		case rerr != nil:
			e.Files = []File{{Name: name, Path: path, Problem: "the folder cannot be read: " + reason(rerr)}}
		}
		for _, n := range inner {
			p := filepath.Join(path, n)
			if info, err := os.Lstat(p); err != nil || info.IsDir() {
				continue
			}
			if f, ok := lookAt(p, n); ok {
				e.Files = append(e.Files, f)
			}
		}
		list = append(list, e)
	}
	return list, nil
}

// readNames lists a folder's names that count, sorted. The flags make sure that what is opened is a folder, and that
// opening does not wait: somebody may put a FIFO in its place at any time.
func readNames(dir string, flags int) ([]string, error) {
	fd, err := unix.Open(dir, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC|unix.O_NONBLOCK|flags, 0)
	if err != nil {
		return nil, &fs.PathError{Op: "open", Path: dir, Err: err}
	}
	f := os.NewFile(uintptr(fd), dir)
	defer f.Close()
	names, err := f.Readdirnames(-1)
	names = slices.DeleteFunc(names, Ignored)
	slices.Sort(names)
	return names, err
}

// lookAt describes the file at path, through a symbolic link if it is one. It is false when there is none any more.
func lookAt(path, name string) (File, bool) {
	f := File{Name: name, Path: path}
	var st unix.Stat_t
	if err := unix.Stat(path, &st); err != nil {
		if _, lerr := os.Lstat(path); lerr != nil {
			return File{}, false
		}
		f.Problem = "the symbolic link cannot be followed: " + reason(err)
		if !errors.Is(err, unix.ENOENT) && !errors.Is(err, unix.ELOOP) {
			f.Problem = reason(err)
		}
		return f, true
	}
	if kind := st.Mode & unix.S_IFMT; kind != unix.S_IFREG {
		f.Problem = "it is " + kinds[kind] + ", not a regular file"
		return f, true
	}
	f.Device, f.Inode, f.Size = st.Dev, st.Ino, st.Size
	f.ModTime, f.ChangeTime = st.Mtim.Nano(), st.Ctim.Nano()
	return f, true
}

// kinds are the words for what is not a regular file.
var kinds = map[uint32]string{
	unix.S_IFDIR: "a link to a folder", unix.S_IFIFO: "a FIFO", unix.S_IFSOCK: "a socket", unix.S_IFCHR: "a character device", unix.S_IFBLK: "a block device",
}

// reason is an error's last cause: the path is in the entry already.
func reason(err error) string {
	var errno unix.Errno
	if errors.As(err, &errno) {
		return errno.Error()
	}
	return err.Error()
}
