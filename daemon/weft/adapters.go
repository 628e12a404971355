package main

import (
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/weft-run/weft/daemon/api"
)

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
