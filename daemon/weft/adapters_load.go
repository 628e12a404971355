package main

import (
	"archive/tar"
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/weft-run/weft/daemon/api"
)

// adapterFiles are the files of a PEFT folder that an upload carries.
var adapterFiles = []string{"adapter_config.json", "adapter_model.safetensors"}

func (a *app) adapterLoadCommand() *cobra.Command {
	var noWait bool
	var expect uint64
	cmd := &cobra.Command{
		Use:   "load FILE|FOLDER [NAME]",
		Short: "send an adapter to the daemon",
		Long: "load sends a GGUF adapter, or the folder of an adapter as PEFT saves it, to the daemon's adapters folder, where it is served as NAME\n" +
			"(default: the file's or folder's name), and waits until it is published, or is known to fit and tested at first use. An adapter of that name\n" +
			"is replaced in one step: running requests end on the old one. It needs an administrator.",
		Args: arguments(1, 2, "a file or folder and, if you like, a name"),
		RunE: func(cmd *cobra.Command, args []string) error {
			name := strings.TrimSuffix(filepath.Base(filepath.Clean(args[0])), ".gguf")
			if len(args) == 2 {
				name = args[1]
			}
			c, err := a.client()
			if err != nil {
				return err
			}
			return a.loadAdapter(cmd.Context(), c, args[0], name, expect, !noWait)
		},
	}
	cmd.Flags().BoolVar(&noWait, "no-wait", false, "return when it is stored, before it is published")
	cmd.Flags().Uint64Var(&expect, "if-generation", 0, "store it only if this generation is the one to be replaced")
	return cmd
}

func (a *app) loadAdapter(ctx context.Context, c *api.Client, path, name string, expect uint64, wait bool) error {
	folder, err := isDir(path)
	if err != nil {
		return err
	}
	before, err := findAdapter(ctx, c, name)
	if err != nil {
		return err
	}
	body, size, err := adapterBody(path, folder)
	if err != nil {
		return err
	}
	defer body.Close()
	stored, err := a.send(path, name, body, size, func(body io.Reader) (*api.Stored, error) { return c.UploadAdapter(ctx, name, body, size, expect) })
	if err != nil {
		return err
	}
	if !wait {
		return a.printStored(name, stored)
	}
	ad, err := settledAdapter(ctx, c, name, before)
	if err != nil {
		return err
	}
	if a.json {
		return a.printJSON(ad)
	}
	return a.printAdapters(&api.AdapterStatuses{Adapters: []api.AdapterStatus{*ad}})
}

// adapterBody is an upload's body: the file as it is, or the two files of a PEFT folder as a tar archive.
func adapterBody(path string, folder bool) (io.ReadCloser, int64, error) {
	if !folder {
		f, err := os.Open(path)
		if err != nil {
			return nil, 0, err
		}
		st, err := f.Stat()
		if err != nil {
			f.Close()
			return nil, 0, err
		}
		return f, st.Size(), nil
	}
	size := int64(1024) // the end of an archive is two blocks
	for _, name := range adapterFiles {
		st, err := os.Stat(filepath.Join(path, name))
		if err != nil {
			return nil, 0, fmt.Errorf("%s is no adapter as PEFT saves it: %w", path, err)
		}
		size += 512 + (st.Size()+511)/512*512
	}
	out, in := io.Pipe()
	go func() { in.CloseWithError(writeAdapter(in, path)) }() // ends when all is read, or the reader is closed
	return out, size, nil
}

func writeAdapter(w io.Writer, folder string) error {
	archive := tar.NewWriter(w)
	for _, name := range adapterFiles {
		if err := addFile(archive, filepath.Join(folder, name), name); err != nil {
			return err
		}
	}
	return archive.Close()
}

func addFile(archive *tar.Writer, path, name string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	st, err := f.Stat()
	if err != nil {
		return err
	}
	if err := archive.WriteHeader(&tar.Header{Name: name, Mode: 0o644, Size: st.Size(), Typeflag: tar.TypeReg}); err != nil {
		return err
	}
	_, err = io.Copy(archive, f)
	return err
}

// findAdapter returns what the daemon knows of a name, the zero value where it knows nothing.
func findAdapter(ctx context.Context, c *api.Client, name string) (api.AdapterStatus, error) {
	list, err := c.Adapters(ctx)
	if err != nil {
		return api.AdapterStatus{}, err
	}
	for _, ad := range list.Adapters {
		if ad.Name == name && ad.State != api.StateRetiring {
			return ad, nil
		}
	}
	return api.AdapterStatus{}, nil
}

// settledAdapter waits until what was stored is a new generation that fits a model, or has been refused.
func settledAdapter(ctx context.Context, c *api.Client, name string, before api.AdapterStatus) (*api.AdapterStatus, error) {
	var ad api.AdapterStatus
	err := awaitStored(ctx, name, "published", "weft adapters show "+name, func(ctx context.Context) (l look, err error) {
		if ad, err = findAdapter(ctx, c, name); err != nil {
			return l, err
		}
		l.done = (ad.State == api.StatePublished || ad.State == api.StateChecked || ad.State == api.StateParsed) && ad.Generation != before.Generation
		l.refused = ad.State == api.StateRefused || ad.Next == api.StateRefused
		l.fresh = l.refused && !sameTime(ad.Seen, before.Seen)
		l.reason = ad.Reason
		return l, nil
	})
	if err != nil {
		return nil, err
	}
	return &ad, nil
}
