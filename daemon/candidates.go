package daemon

import (
	"cmp"
	"fmt"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/weft-run/weft/daemon/watch"
	"github.com/weft-run/weft/runtime/gguf"
)

// folderSettings is the name of the settings file in a model's own folder.
const folderSettings = "weft.toml"

// kind is what a watched folder holds one of under each name: models, or adapters.
type kind struct {
	flat     func(files []watch.File) []candidate              // those of the files in the folder itself
	inFolder func(dir string, e watch.Entry) (candidate, bool) // that of a subfolder; false: it holds none
}

var modelKind = kind{flat: modelsIn, inFolder: modelInFolder}

// A candidate is what a watched folder holds under one name: the files of one model or adapter, settled or not, or the reason why they
// are none.
type candidate struct {
	name     string
	where    string       // path of its first file, or of its folder
	aliases  []string     // names that follow from the files' names
	files    []watch.File // a split set in the order of its numbers
	settings *watch.File  // the settings file beside them, if there is one
	problem  string       // why this can never be served as it lies there
	missing  string       // the file that it waits for
}

// settled says whether every file counts.
func (c *candidate) settled() bool {
	return !slices.ContainsFunc(c.files, func(f watch.File) bool { return !f.Settled }) && (c.settings == nil || c.settings.Settled)
}

// candidates finds what is of a kind in a list of the folder dir, sorted by name, each name once.
func candidates(dir string, list []watch.Entry, k kind) []candidate {
	var top []watch.File
	var found []candidate
	for _, e := range list {
		if !e.Folder {
			top = append(top, e.Files...)
			continue
		}
		if c, ok := k.inFolder(dir, e); ok {
			found = append(found, c)
		}
	}
	beside := map[string]*watch.File{}
	for i, f := range top {
		if name, ok := strings.CutSuffix(f.Name, ".toml"); ok {
			beside[name] = &top[i]
		}
	}
	flat := k.flat(top)
	for i := range flat {
		flat[i].settings = beside[flat[i].name]
	}
	// A file goes before a split set, which goes before a folder, where they claim one name.
	all := append(flat, found...)
	for i := range all {
		all[i].checkName()
	}
	return unique(all)
}

// checkName makes a candidate whose name cannot be told in JSON, in a line of a log or on a terminal one that is refused, under a name
// that can.
func (c *candidate) checkName() {
	if utf8.ValidString(c.name) && !strings.ContainsFunc(c.name, unicode.IsControl) {
		return
	}
	c.name, c.aliases = strconv.Quote(c.name), nil
	c.problem = "its name has bytes that are not UTF-8, or control characters such as a line break; rename it"
}

// newFolder begins the candidate of a subfolder, under its name and with its settings.
func newFolder(dir string, e watch.Entry) candidate {
	c := candidate{name: e.Name, where: filepath.Join(dir, e.Name)}
	for i, f := range e.Files {
		if f.Name == folderSettings {
			c.settings = &e.Files[i]
		}
	}
	return c
}

// modelInFolder makes a subfolder's one model a candidate under the folder's name. It is false for a folder that holds none.
func modelInFolder(dir string, e watch.Entry) (candidate, bool) {
	c := newFolder(dir, e)
	inside := modelsIn(e.Files)
	switch {
	case len(inside) == 1:
		c.files, c.problem, c.missing = inside[0].files, inside[0].problem, inside[0].missing
	case len(inside) > 1:
		names := make([]string, len(inside))
		for i, m := range inside {
			names[i] = m.name
			c.files = append(c.files, m.files...)
		}
		c.problem = fmt.Sprintf("the folder holds %d models (%s) and may hold one; give each a folder of its own", len(inside), strings.Join(names, ", "))
	case len(e.Files) == 1 && e.Files[0].Problem != "":
		c.files, c.problem = e.Files, e.Files[0].Problem
	case strings.HasSuffix(e.Name, ".gguf"):
		c.problem = "it is a folder without a model in it, not a file"
	default:
		return candidate{}, false
	}
	return c, true
}

// modelsIn groups the GGUF files of one folder: a plain file is a model, the files of a split set are one together.
func modelsIn(files []watch.File) []candidate {
	names := make([]string, len(files))
	for i, f := range files {
		names[i] = f.Name
	}
	var found []candidate
	for _, set := range gguf.FileSets(names) {
		c := candidate{name: set.Name}
		for _, i := range set.Files {
			f := files[i]
			c.files = append(c.files, f)
			if f.Problem != "" && c.problem == "" {
				c.problem = f.Problem
				if set.Split {
					c.problem = f.Name + ": " + f.Problem
				}
			}
		}
		c.where = c.files[0].Path
		if set.Split {
			c.aliases = []string{strings.TrimSuffix(set.First, ".gguf")}
			c.missing = missingShards(c.files)
		}
		found = append(found, c)
	}
	return found
}

// missingShards names the first file that a split set lacks, or returns "".
func missingShards(files []watch.File) string {
	have := map[int]bool{}
	base, count := "", 0
	for _, f := range files {
		var no int
		base, no, count, _ = gguf.ShardName(f.Name)
		have[no] = true
	}
	for no := 1; no <= count; no++ {
		if !have[no] {
			return fmt.Sprintf("%d of %d files of the split set are there; %s is missing", len(have), count, gguf.ShardPath(base, no, count))
		}
	}
	return ""
}

// unique gives each name to its first candidate and makes the others refused entries under names that say what they are.
func unique(all []candidate) []candidate {
	taken := map[string]*candidate{}
	for i := range all {
		c := &all[i]
		if first := taken[c.name]; first != nil {
			c.problem = fmt.Sprintf("the name %q belongs to %s already; rename one of them", c.name, first.where)
			c.name, c.aliases = fmt.Sprintf("%s (%s)", c.name, c.where), nil
		}
		taken[c.name] = c
	}
	slices.SortFunc(all, func(a, b candidate) int { return cmp.Compare(a.name, b.name) })
	return all
}
