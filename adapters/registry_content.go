package adapters

import (
	"errors"
	"path/filepath"
	"slices"
	"time"

	"golang.org/x/sys/unix"

	"github.com/weft-run/weft/runtime/gguf"
)

// About is what an adapter's headers say.
type About struct {
	Format    Format
	Rank      int // the largest
	Targets   int
	DoRA      bool
	Activated bool   // an aLoRA
	BaseName  string // the base that it was made for; "": it does not say
}

// content is one adapter's files, open, their headers read.
type content interface {
	about() *About
	// fits says why the adapter cannot be for a base, by its headers alone.
	fits(BaseInfo) error
	// load reads all of it for a base, as Source.Read does.
	load(b BaseInfo, to Taker, rest func(took time.Duration)) (digest string, err error)
	// invocation are the tokens of an activated adapter (aLoRA); else nil.
	invocation() []int32
	close()
}

// sourceContent is the content that a Source reads.
type sourceContent struct{ *Source }

// openContent opens what lies at an origin, which must still be what was found there.
func openContent(o *Origin) (content, error) {
	path := o.Files[0].Path
	if len(o.Files) > 1 {
		path = filepath.Dir(path)
	}
	s, err := Open(path, DefaultLimits())
	if errors.Is(err, ErrChanged) {
		return nil, &changedError{name: o.Name}
	}
	if err != nil {
		return nil, err
	}
	for _, f := range o.Files {
		// A Source's files are those at the path, or it would not have opened.
		if now, err := identityAt(f.Path); err != nil || now != f.Identity {
			_ = s.Close()
			return nil, &changedError{name: o.Name}
		}
	}
	if weights := o.Files[len(o.Files)-1].Identity; s.id != weights { // and this one is what is read
		_ = s.Close()
		return nil, &changedError{name: o.Name}
	}
	return sourceContent{s}, nil
}

// identityAt is that of the file at a path now.
func identityAt(path string) (gguf.FileIdentity, error) {
	var st unix.Stat_t
	if err := unix.Stat(path, &st); err != nil {
		return gguf.FileIdentity{}, err
	}
	return gguf.FileIdentity{Device: st.Dev, Inode: st.Ino, Size: st.Size, ModTime: st.Mtim.Nano(), ChangeTime: st.Ctim.Nano()}, nil
}

func (c sourceContent) about() *About {
	a := &About{Format: c.Format, Targets: c.Targets, DoRA: c.DoRA, Activated: c.Invocation != nil, BaseName: c.BaseName}
	if len(c.Ranks) > 0 {
		a.Rank = slices.Max(c.Ranks)
	}
	return a
}

func (c sourceContent) fits(b BaseInfo) error { return c.Fits(b.Architecture, b.Targets) }

func (c sourceContent) load(b BaseInfo, to Taker, rest func(took time.Duration)) (string, error) {
	return c.Read(b.Architecture, b.Targets, to, rest)
}

func (c sourceContent) invocation() []int32 { return c.Invocation }

func (c sourceContent) close() { _ = c.Close() } // files that were only read have nothing to report
