package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/weft-run/weft/daemon/api"
)

func (a *app) lsCommand() *cobra.Command {
	var all bool
	cmd := &cobra.Command{
		Use:   "ls",
		Short: "list every model the daemon knows, served or not, and why not",
		Long: "ls lists each model of the daemon's folder, and why it is not served where it is not. A model goes through the states\n" +
			"seen (files are missing), settling (still being written), checking (being loaded), serving or refused, and retiring\n" +
			"(replaced or removed, while requests that began on it still run). One that is unloaded gave its memory back, or found none; the next\n" +
			"request that names it has it loaded.",
		Args: arguments(0, 0, "no arguments"),
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := a.client()
			if err != nil {
				return err
			}
			list, err := c.ModelStatuses(cmd.Context())
			if err != nil {
				return err
			}
			if !all {
				list.Models = slices.DeleteFunc(list.Models, func(m api.ModelStatus) bool { return m.State == api.StateRetiring })
			}
			if a.json {
				return a.printJSON(list)
			}
			return a.printModels(list.Models, all)
		},
	}
	cmd.Flags().BoolVarP(&all, "all", "a", false, "list every generation, those that are retiring too")
	return cmd
}

// printModels prints a table with one row for each model, or with all for each generation, which it numbers.
func (a *app) printModels(models []api.ModelStatus, all bool) error {
	if len(models) == 0 {
		_, err := fmt.Fprintln(a.out, "no models; copy a GGUF file into the daemon's models folder, or `weft load FILE`")
		return err
	}
	head := []string{"NAME", "STATE", "SIZE", "PARAMETERS", "TYPE", "CONTEXT", "ARRIVED", ""}
	if all {
		head = slices.Insert(head, 2, "GENERATION")
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
		reason := note(m)
		if m.Next != "" {
			reason = "newer content is " + m.Next + ": " + reason
		}
		row := []cell{
			word(m.Name), styled(modelState(&m), stateStyle(m.State)), number(size), number(countText(m.Parameters)),
			word(orDash(m.Quantization)), number(context), word(arrived), styled(reason, yellow),
		}
		if all {
			generation := "-"
			if m.Generation > 0 {
				generation = fmt.Sprint(m.Generation)
			}
			row = slices.Insert(row, 2, number(generation))
		}
		rows = append(rows, row)
	}
	return a.table(head, rows)
}

// note is what a user should know of a model: why it is not served, or that its chats are not rendered by a template of its own.
func note(m api.ModelStatus) string {
	if m.Reason != "" || m.Template == "" || m.Template == "file" || m.Template == "settings" {
		return strings.ReplaceAll(m.Reason, "\n", "; ")
	}
	return "chats: " + m.Template
}

func modelState(m *api.ModelStatus) string {
	if m.Pinned {
		return m.State + ", pinned"
	}
	return m.State
}

func stateStyle(state string) style {
	switch state {
	case api.StateServing, api.StatePublished:
		return green
	case api.StateRefused:
		return red
	default:
		return yellow
	}
}
