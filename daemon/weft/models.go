package main

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/weft-run/weft/daemon/api"
)

// modelActionCommand is a verb that the daemon does to models by itself.
func (a *app) modelActionCommand(action, short, long string) *cobra.Command {
	return &cobra.Command{
		Use:               action + " MODEL...",
		Short:             short,
		Long:              long + " It needs an administrator.",
		Args:              arguments(1, 1<<10, "the names of models"),
		ValidArgsFunction: a.completeModels,
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := a.client()
			if err != nil {
				return err
			}
			return a.actOnModels(cmd.Context(), c, action, args)
		},
	}
}

// modelActionCommands are all of them but load, which sends files too.
func (a *app) modelActionCommands() []*cobra.Command {
	return []*cobra.Command{
		a.modelActionCommand(api.ActionUnload, "have models give their memory back until a request wants them",
			"unload takes models out of service. Their memory is given back when the requests that run have ended; what sessions keep is on disk then.\n"+
				"A model stays listed, and the next request that names it has it loaded again."),
		a.modelActionCommand(api.ActionReload, "load models anew, file and settings",
			"reload loads what lies under the names of models anew, as another generation, and waits until it serves. Where that fails, what served serves on.\n"+
				"Files that change are loaded anew by themselves; this is for trying again what was refused."),
		a.modelActionCommand(api.ActionPin, "keep models loaded whatever others want their memory for",
			"pin keeps models loaded, once they are, until unpin or the end of the daemon: they are unloaded neither for other models, nor under memory\n"+
				"pressure, nor because nobody wants them. `pinned = true` in a model's settings lasts."),
		a.modelActionCommand(api.ActionUnpin, "let models be unloaded again", "unpin lets models be unloaded again."),
	}
}

// actOnModels does an action to models, one after the other, and prints how they are then.
func (a *app) actOnModels(ctx context.Context, c *api.Client, action string, names []string) error {
	all := api.ModelStatuses{Models: []api.ModelStatus{}}
	for _, name := range names {
		m, err := c.ActOnModel(ctx, name, action)
		if err != nil {
			return fmt.Errorf("%s %s: %w", action, name, err)
		}
		all.Models = append(all.Models, *m)
	}
	if a.json {
		return a.printJSON(all)
	}
	return a.printModels(all.Models, false)
}
