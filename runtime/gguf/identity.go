package gguf

import (
	"fmt"
	"os"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// Identity tells one model from another at once, without reading its tensors. Two equal identities are the same bytes as
// long as nobody forges times.
type Identity struct {
	// HeaderDigest is Header.Digest; of a split set, the sha256 in hex over the digests of its files.
	HeaderDigest string
	// Files has one entry for each file of a split set, in order.
	Files []FileIdentity
}

// FileIdentity is a file as the file system knows it. Times are nanoseconds since 1970.
type FileIdentity struct {
	Device, Inode       uint64
	Size                int64
	ModTime, ChangeTime int64
}

// Key is the identity as one short line of text, for maps and for remembering.
func (id Identity) Key() string {
	var b strings.Builder
	b.WriteString(id.HeaderDigest)
	for _, f := range id.Files {
		fmt.Fprintf(&b, " %d:%d:%d:%d:%d", f.Device, f.Inode, f.Size, f.ModTime, f.ChangeTime)
	}
	return b.String()
}

// IdentityOf asks the file system about an open file, which must be a regular one.
func IdentityOf(f *os.File) (FileIdentity, error) {
	var st unix.Stat_t
	if err := unix.Fstat(int(f.Fd()), &st); err != nil {
		return FileIdentity{}, fmt.Errorf("gguf: %s: %w", f.Name(), err)
	}
	if st.Mode&unix.S_IFMT != unix.S_IFREG {
		return FileIdentity{}, refuse(ErrFormat, "%s is not a regular file", f.Name())
	}
	return FileIdentity{
		Device: st.Dev, Inode: st.Ino, Size: st.Size,
		ModTime: st.Mtim.Nano(), ChangeTime: st.Ctim.Nano(),
	}, nil
}

// Changed compares the open files with what they were when they were opened: nil, or an error that is ErrChanged when a
// file's size or time of modification differ. A rename over the file or an unlink changes neither: that is a swap and
// leaves the mapping whole. It does not allocate when nothing changed, so it may be called after every step. A file that was closed has
// not changed.
func (f *File) Changed() error {
	f.closing.RLock()
	defer f.closing.RUnlock()
	for i := range f.shards {
		s := &f.shards[i]
		var st unix.Stat_t
		if err := unix.Fstat(s.fd, &st); err != nil {
			return fmt.Errorf("gguf: %s: %w", s.path, err)
		}
		if st.Size != s.id.Size {
			return refuse(ErrChanged, "%s: changed in place: it has %d bytes, and had %d when it was loaded", s.path, st.Size, s.id.Size)
		}
		if now := st.Mtim.Nano(); now != s.id.ModTime {
			return refuse(ErrChanged, "%s: changed in place: written at %s, and at %s when it was loaded", s.path, stamp(now), stamp(s.id.ModTime))
		}
	}
	return nil
}

func stamp(ns int64) string { return time.Unix(0, ns).UTC().Format(time.RFC3339Nano) }
