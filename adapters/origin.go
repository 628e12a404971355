package adapters

import (
	"fmt"
	"strings"

	"github.com/weft-run/weft/runtime/gguf"
)

// Origin is one name of the adapters folder as it lies there now.
type Origin struct {
	Name  string
	Files []File // one GGUF file, or the configuration and the weights of a PEFT folder
	// Base is the base that the operator's settings name, Aliases are other names of the adapter.
	Base    string
	Aliases []string
	// Missing says what files the adapter lacks, Waiting why those that are there do not count yet: what was published stays.
	Missing, Waiting string
	// Problem says why this cannot be an adapter as it lies there.
	Problem string
}

// File is one file of an adapter.
type File struct {
	Path     string
	Identity gguf.FileIdentity // changes when the content may have
}

// identity is that of all files: what is remembered of content is remembered under it.
func (o *Origin) identity() string {
	var key strings.Builder
	for _, f := range o.Files {
		id := f.Identity
		fmt.Fprintf(&key, "%q %d:%d:%d:%d:%d ", f.Path, id.Device, id.Inode, id.Size, id.ModTime, id.ChangeTime)
	}
	return key.String()
}

// whole says whether everything of it is there and counts.
func (o *Origin) whole() bool { return o.Problem == "" && o.Missing == "" && o.Waiting == "" }

// one says whether of several files exactly one is another since before.
func (o *Origin) one(before *Origin) bool {
	if len(o.Files) < 2 || len(o.Files) != len(before.Files) {
		return false
	}
	anew := 0
	for i, f := range o.Files {
		if f != before.Files[i] {
			anew++
		}
	}
	return anew == 1
}
