package main

import (
	"fmt"

	"github.com/spf13/cobra"
)

func (a *app) sessionsCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "sessions",
		Short: "list the conversations whose cache is kept on disk",
		Long: "sessions lists what the daemon keeps on disk of your sessions: of requests that named one (\"session\"). An administrator\n" +
			"sees everybody's.",
		Args: arguments(0, 0, "no arguments"),
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := a.client()
			if err != nil {
				return err
			}
			list, err := c.Sessions(cmd.Context())
			if err != nil {
				return err
			}
			if a.json {
				return a.printJSON(list)
			}
			if len(list.Sessions) == 0 {
				_, err := fmt.Fprintln(a.out, "no sessions; a request names one by \"session\", weft run by --session")
				return err
			}
			var rows [][]cell
			for _, s := range list.Sessions {
				rows = append(rows, []cell{
					word(s.Session), word(s.Caller), word(s.Model), number(fmt.Sprint(s.Tokens)), number(bytesText(s.Bytes)), word(agoText(&s.Used)),
				})
			}
			return a.table([]string{"SESSION", "CALLER", "MODEL", "TOKENS", "SIZE", "USED"}, rows)
		},
	}
	cmd.AddCommand(a.forgetCommand())
	return cmd
}

func (a *app) forgetCommand() *cobra.Command {
	var caller string
	cmd := &cobra.Command{
		Use:   "forget SESSION...",
		Short: "remove what is kept of sessions",
		Args:  arguments(1, 1<<10, "the names of sessions"),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := a.client()
			if err != nil {
				return err
			}
			for _, name := range args {
				if err := c.DeleteSession(cmd.Context(), name, caller); err != nil {
					return fmt.Errorf("forget %s: %w", name, err)
				}
				if !a.json {
					fmt.Fprintln(a.out, "forgot", printable(name))
				}
			}
			if a.json {
				return a.printJSON(map[string]any{"forgotten": args})
			}
			return nil
		},
	}
	cmd.Flags().StringVar(&caller, "caller", "", "whose sessions, such as uid=1000; an administrator may say")
	return cmd
}
