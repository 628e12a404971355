package main

import (
	"context"
	"time"

	"github.com/spf13/cobra"

	"github.com/weft-run/weft/daemon/api"
)

// completeModels offers the names of served models to the shell.
func (a *app) completeModels(cmd *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
	if len(args) > 0 && cmd.Name() == "run" {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	return a.offer(func(ctx context.Context, c *api.Client) (names []string, err error) {
		list, err := c.Models(ctx)
		if err != nil {
			return nil, err
		}
		for _, m := range list.Data {
			names = append(names, m.ID)
		}
		return names, nil
	})
}

// offer asks the daemon for names. One that does not answer at once offers nothing.
func (a *app) offer(names func(context.Context, *api.Client) ([]string, error)) ([]string, cobra.ShellCompDirective) {
	c, err := a.client()
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	list, err := names(ctx, c)
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	return list, cobra.ShellCompDirectiveNoFileComp
}
