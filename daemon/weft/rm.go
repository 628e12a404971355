package main

import (
	"fmt"

	"github.com/spf13/cobra"
)

func (a *app) rmCommand() *cobra.Command {
	return &cobra.Command{
		Use:               "rm MODEL...",
		Short:             "remove models from the daemon's folder",
		Long:              "rm deletes the files of models from the daemon's models folder. Requests that are running end on the old file. It needs an administrator.",
		Args:              arguments(1, 1<<10, "the names of models"),
		ValidArgsFunction: a.completeModels,
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := a.client()
			if err != nil {
				return err
			}
			return a.remove(args, func(name string) error { return c.Delete(cmd.Context(), name) })
		},
	}
}

// remove removes what has these names, one after the other.
func (a *app) remove(names []string, one func(name string) error) error {
	for _, name := range names {
		if err := one(name); err != nil {
			return fmt.Errorf("rm %s: %w", name, err)
		}
		if !a.json {
			fmt.Fprintln(a.out, "removed", printable(name))
		}
	}
	if a.json {
		return a.printJSON(map[string]any{"removed": names})
	}
	return nil
}
