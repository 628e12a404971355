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

func (a *app) adaptersCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "adapters",
		Short: "list adapters; load, unload, pin and test them",
		Long: "adapters lists each adapter of the daemon's folder, for which models it is, and why it is not published where it is not. An adapter goes\n" +
			"through the states seen (files are missing), settling (still being written), parsed (no model in service fits it), checked (it fits, and\n" +
			"is tested in idle time or at its first use), published or refused, and retiring (replaced or removed, while requests hold it).",
		Args: arguments(0, 0, "no arguments, or one of the verbs below"),
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := a.client()
			if err != nil {
				return err
			}
			list, err := c.Adapters(cmd.Context())
			if err != nil {
				return err
			}
			if a.json {
				return a.printJSON(list)
			}
			return a.printAdapters(list)
		},
	}
	cmd.AddCommand(a.adapterShowCommand(), a.adapterLoadCommand(), a.adapterRemoveCommand(),
		a.adapterActionCommand(api.ActionUnload, "drop adapters from memory where no request holds them; they come back when one wants them"),
		a.adapterActionCommand(api.ActionPin, "keep adapters in memory whatever the budget says"),
		a.adapterActionCommand(api.ActionUnpin, "let adapters be dropped from memory again"),
		a.adapterActionCommand(api.ActionTest, "prove adapters now, on every model in service that they are for"),
	)
	return cmd
}

func (a *app) printAdapters(list *api.AdapterStatuses) error {
	if len(list.Adapters) == 0 {
		_, err := fmt.Fprintln(a.out, "no adapters; copy a PEFT folder or a GGUF adapter into the daemon's adapters folder, or `weft adapters load FILE`")
		return err
	}
	var rows [][]cell
	for _, ad := range list.Adapters {
		memory := "-"
		if ad.Resident > 0 {
			memory = bytesText(ad.Resident)
		}
		rows = append(rows, []cell{
			word(ad.Name), styled(adapterState(&ad), stateStyle(ad.State)), count(ad.Generation), word(orDash(ad.Format)), count(ad.Rank),
			number(bytesText(ad.Bytes)), number(memory), count(ad.Leases), word(orDash(baseNames(&ad))), word(ad.Reason),
		})
	}
	return a.table([]string{"NAME", "STATE", "GENERATION", "FORMAT", "RANK", "SIZE", "MEMORY", "IN USE", "FOR", ""}, rows)
}

func adapterState(ad *api.AdapterStatus) string {
	state := ad.State
	if ad.Next != "" {
		state += " (newer " + ad.Next + ")"
	}
	if ad.Pinned {
		state += ", pinned"
	}
	return state
}

func baseNames(ad *api.AdapterStatus) string {
	names := make([]string, len(ad.Bases))
	for i, b := range ad.Bases {
		names[i] = b.Name
	}
	if len(names) == 0 {
		return ad.For
	}
	return strings.Join(names, ", ")
}

func (a *app) adapterShowCommand() *cobra.Command {
	return &cobra.Command{
		Use:               "show ADAPTER",
		Short:             "tell all that is known of an adapter",
		Args:              arguments(1, 1, "the name of an adapter"),
		ValidArgsFunction: a.completeAdapters,
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := a.client()
			if err != nil {
				return err
			}
			ad, err := c.Adapter(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			if a.json {
				return a.printJSON(ad)
			}
			return a.printAdapter(ad)
		},
	}
}

func (a *app) printAdapter(ad *api.AdapterStatus) error {
	rows := [][]cell{
		{word("name"), word(ad.Name)}, {word("state"), styled(adapterState(ad), stateStyle(ad.State))},
	}
	add := func(name, text string) {
		if text != "" {
			rows = append(rows, []cell{word(name), word(text)})
		}
	}
	add("reason", ad.Reason)
	if ad.Generation > 0 {
		add("generation", fmt.Sprintf("%d, held by %d requests", ad.Generation, ad.Leases))
	}
	kind := ad.Format
	if ad.DoRA {
		kind += ", DoRA"
	}
	if ad.Activated {
		kind += ", aLoRA"
	}
	add("format", kind)
	if ad.Targets > 0 {
		add("rank", fmt.Sprintf("%d on %d weights", ad.Rank, ad.Targets))
	}
	add("size", bytesText(ad.Bytes))
	add("digest", ad.Digest)
	add("aliases", strings.Join(ad.Aliases, ", "))
	add("made for", ad.For)
	for _, b := range ad.Bases {
		tested := "not tested yet"
		if b.Difference > 0 {
			tested = fmt.Sprintf("changes the probe's logits by %.3g of their length", b.Difference)
		}
		add("on "+b.Name, fmt.Sprintf("%s; %s in memory", tested, bytesText(b.Resident)))
	}
	for _, f := range ad.Files {
		add("file", f)
	}
	return a.table(nil, rows)
}

// adapterActionCommand is a verb that the daemon does by itself.
func (a *app) adapterActionCommand(action, short string) *cobra.Command {
	return &cobra.Command{
		Use:               action + " ADAPTER...",
		Short:             short,
		Long:              action + ": " + short + ". It needs an administrator.",
		Args:              arguments(1, 1<<10, "the names of adapters"),
		ValidArgsFunction: a.completeAdapters,
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := a.client()
			if err != nil {
				return err
			}
			all := &api.AdapterStatuses{}
			for _, name := range args {
				ad, err := c.ActOnAdapter(cmd.Context(), name, action)
				if err != nil {
					return fmt.Errorf("%s %s: %w", action, name, err)
				}
				all.Adapters = append(all.Adapters, *ad)
			}
			if a.json {
				return a.printJSON(map[string]any{"adapters": all.Adapters})
			}
			return a.printAdapters(all)
		},
	}
}

func (a *app) adapterRemoveCommand() *cobra.Command {
	return &cobra.Command{
		Use:               "rm ADAPTER...",
		Short:             "remove adapters from the daemon's folder",
		Long:              "rm deletes the files of adapters from the daemon's adapters folder. Requests that are running end on what they hold. It needs an administrator.",
		Args:              arguments(1, 1<<10, "the names of adapters"),
		ValidArgsFunction: a.completeAdapters,
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := a.client()
			if err != nil {
				return err
			}
			return a.remove(args, func(name string) error { return c.DeleteAdapter(cmd.Context(), name) })
		},
	}
}

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
	bar := a.progress(size, "sending "+printable(name))
	stored, err := c.UploadAdapter(ctx, name, io.TeeReader(body, bar), size, expect)
	_ = bar.Clear()
	if err != nil {
		return fmt.Errorf("load %s as %s: %w", path, name, err)
	}
	if !wait {
		if a.json {
			return a.printJSON(stored)
		}
		_, err := fmt.Fprintf(a.out, "stored %s, %s\n", printable(name), bytesText(stored.Bytes))
		return err
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

// completeAdapters offers the names of adapters to the shell.
func (a *app) completeAdapters(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
	return a.offer(func(ctx context.Context, c *api.Client) (names []string, err error) {
		list, err := c.Adapters(ctx)
		if err != nil {
			return nil, err
		}
		for _, ad := range list.Adapters {
			names = append(names, ad.Name)
		}
		return names, nil
	})
}
