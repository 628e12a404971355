package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/weft-run/weft/daemon/api"
)

func (a *app) cacheCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "cache",
		Short: "show what the models' caches hold, and for whom",
		Long: "cache shows the pages of each model's key/value cache: how many requests hold, how many are kept for requests that begin\n" +
			"alike, and what that saved. An administrator sees all users, others see themselves.",
		Args: arguments(0, 0, "no arguments"),
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := a.client()
			if err != nil {
				return err
			}
			list, err := c.Cache(cmd.Context())
			if err != nil {
				return err
			}
			if a.json {
				return a.printJSON(list)
			}
			return a.printCaches(list.Models)
		},
	}
	cmd.AddCommand(a.dropCommand())
	return cmd
}

func (a *app) printCaches(models []api.ModelCache) error {
	if len(models) == 0 {
		_, err := fmt.Fprintln(a.out, "no model is loaded; `weft ls` says which are there and why they are not served")
		return err
	}
	var rows, domains [][]cell
	for _, m := range models {
		rows = append(rows, []cell{
			word(m.Model), word(m.KVType), number(fmt.Sprintf("%d tokens, %s", m.PageTokens, bytesText(int64(m.PageBytes)))),
			count(m.Total), count(m.Used), count(m.Kept), count(m.Free), count(m.Shared), number(foundText(m.CacheSharing)), count(m.ReusedTokens),
		})
		for _, d := range m.Domains {
			domains = append(domains, []cell{
				word(m.Model), word(d.Domain), count(d.Used), count(d.Kept), count(d.Shared), count(d.Tokens), number(foundText(d.CacheSharing)),
				count(d.ReusedTokens), word(agoText(&d.LastUse)),
			})
		}
	}
	if err := a.table([]string{"MODEL", "TYPE", "PAGE", "PAGES", "USED", "KEPT", "FREE", "SHARED", "FOUND", "REUSED TOKENS"}, rows); err != nil || len(domains) == 0 {
		return err
	}
	fmt.Fprintln(a.out)
	return a.table([]string{"MODEL", "DOMAIN", "USED", "KEPT", "SHARED", "TOKENS", "FOUND", "REUSED TOKENS", "LAST USE"}, domains)
}

// foundText says how many of the prompts that could be found were.
func foundText(s api.CacheSharing) string {
	if s.Hits+s.Misses == 0 {
		return "-"
	}
	return fmt.Sprintf("%d/%d", s.Hits, s.Hits+s.Misses)
}

func (a *app) dropCommand() *cobra.Command {
	var domain string
	cmd := &cobra.Command{
		Use:   "drop [MODEL]",
		Short: "free the cached pages that no request holds",
		Long: "drop frees the pages of one model's cache, or of all, that no request holds; an administrator may. Answers stay the same: what was\n" +
			"cached is computed again. Sessions on disk stay: `weft sessions forget` removes those.",
		Args: arguments(0, 1, "the name of one model, or nothing"),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := a.client()
			if err != nil {
				return err
			}
			model := ""
			if len(args) > 0 {
				model = args[0]
			}
			dropped, err := c.DropCache(cmd.Context(), model, domain)
			if err != nil {
				return fmt.Errorf("drop: %w", err)
			}
			if a.json {
				return a.printJSON(dropped)
			}
			for _, m := range dropped.Models {
				fmt.Fprintf(a.out, "%s: %d pages freed\n", printable(m.Model), m.Pages)
			}
			return nil
		},
	}
	cmd.Flags().StringVar(&domain, "domain", "", "only the pages of this domain, as `weft cache` names it")
	return cmd
}
