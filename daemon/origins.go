package daemon

import (
	"cmp"
	"slices"
	"strings"

	"github.com/weft-run/weft/adapters"
	"github.com/weft-run/weft/daemon/config"
	"github.com/weft-run/weft/daemon/watch"
	"github.com/weft-run/weft/runtime/gguf"
)

// Names of the files of an adapter as peft saves it.
const (
	peftConfig  = adapters.ConfigFile
	peftWeights = adapters.WeightsFile
	peftPickle  = "adapter_model.bin" // the older form, which is a program and not data
)

var adapterKind = kind{flat: adaptersIn, inFolder: adapterInFolder}

// origins is what the registry is to serve: what the adapters folder holds.
func origins(cfg config.Config, list []watch.Entry) []adapters.Origin {
	found := candidates(cfg.AdaptersDir, list, adapterKind)
	all := make([]adapters.Origin, len(found))
	for i := range found {
		all[i] = found[i].origin()
	}
	return all
}

// origin reads a candidate's settings and makes it what the registry knows.
func (c *candidate) origin() adapters.Origin {
	o := adapters.Origin{Name: c.name, Problem: c.problem, Missing: c.missing, Aliases: c.aliases}
	for _, f := range c.files {
		o.Files = append(o.Files, adapters.File{Path: f.Path, Identity: gguf.FileIdentity{
			Device: f.Device, Inode: f.Inode, Size: f.Size, ModTime: f.ModTime, ChangeTime: f.ChangeTime,
		}})
	}
	if !c.settled() {
		o.Waiting, o.Problem = "its files are still being written, or have just been", ""
	}
	if c.settings == nil || !c.settings.Settled {
		return o
	}
	a, err := readSettings(c.settings, config.ParseAdapter)
	if err != nil {
		o.Problem = cmp.Or(o.Problem, err.Error())
	}
	o.Base, o.Aliases = a.Base, slices.Concat(a.Aliases, c.aliases)
	return o
}

// adaptersIn makes each GGUF file a candidate.
func adaptersIn(files []watch.File) []candidate {
	var all []candidate
	for _, f := range files {
		if name, ok := strings.CutSuffix(f.Name, ".gguf"); ok {
			all = append(all, candidate{name: name, where: f.Path, files: []watch.File{f}, problem: f.Problem})
		}
	}
	return all
}

// adapterInFolder makes a subfolder that holds a file of peft's a candidate under the folder's name.
func adapterInFolder(dir string, e watch.Entry) (candidate, bool) {
	c := newFolder(dir, e)
	has := map[string]bool{}
	for _, f := range e.Files {
		has[f.Name] = true
		if f.Name == peftConfig || f.Name == peftWeights {
			c.files = append(c.files, f)
			if f.Problem != "" {
				c.problem = cmp.Or(c.problem, f.Name+": "+f.Problem)
			}
		}
	}
	switch {
	case len(c.files) == 2:
	case has[peftPickle] && !has[peftWeights]:
		c.problem = peftPickle + " is a pickle, which is a program and not data; save the adapter as safetensors"
	case has[peftWeights]:
		c.missing = peftConfig + " is missing"
	case has[peftConfig]:
		c.missing = peftWeights + " is missing"
	case len(e.Files) == 1 && e.Files[0].Problem != "":
		c.files, c.problem = e.Files, e.Files[0].Problem
	case slices.ContainsFunc(e.Files, func(f watch.File) bool { return strings.HasSuffix(f.Name, ".gguf") }):
		c.problem = "a folder is an adapter as peft saves it; a GGUF adapter lies in the adapters folder itself, as NAME.gguf"
	default:
		return candidate{}, false
	}
	return c, true
}
