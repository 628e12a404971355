package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/weft-run/weft/daemon/api"
)

func (a *app) lsCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "ls",
		Short: "list every model the daemon knows, served or not, and why not",
		Args:  arguments(0, 0, "no arguments"),
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := a.client()
			if err != nil {
				return err
			}
			list, err := c.ModelStatuses(cmd.Context())
			if err != nil {
				return err
			}
			if a.json {
				return a.printJSON(list)
			}
			return a.printModels(list.Models)
		},
	}
}

func (a *app) printModels(models []api.ModelStatus) error {
	if len(models) == 0 {
		_, err := fmt.Fprintln(a.out, "no models; copy a GGUF file into the daemon's models folder, or `weft load FILE`")
		return err
	}
	var rows [][]cell
	for _, m := range models {
		arrived := agoText(m.Seen)
		if m.BuiltIn {
			arrived = "built in"
		}
		context := "-"
		if m.Context > 0 {
			context = fmt.Sprint(m.Context)
		}
		size := "-"
		if m.Bytes > 0 {
			size = bytesText(m.Bytes)
		}
		rows = append(rows, []cell{
			word(m.Name), styled(m.State, stateStyle(m.State)), number(size), number(countText(m.Parameters)),
			word(orDash(m.Quantization)), number(context), word(arrived), styled(note(m), yellow),
		})
	}
	return a.table([]string{"NAME", "STATE", "SIZE", "PARAMETERS", "TYPE", "CONTEXT", "ARRIVED", ""}, rows)
}

// note is what a user should know of a model: why it is not served, or that its chats are not rendered by a template of its own.
func note(m api.ModelStatus) string {
	if m.Reason != "" || m.Template == "" || m.Template == "file" || m.Template == "settings" {
		return m.Reason
	}
	return "chats: " + m.Template
}

func stateStyle(state string) style {
	switch state {
	case api.StateServing:
		return green
	case api.StateRefused, api.StateQuarantined:
		return red
	default:
		return yellow
	}
}
