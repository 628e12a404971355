package main

import (
	"fmt"
	"slices"

	"github.com/spf13/cobra"

	"github.com/weft-run/weft/daemon/api"
)

func (a *app) psCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "ps",
		Short: "show the loaded models and what they are doing",
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
			loaded := api.ModelStatuses{Models: []api.ModelStatus{}}
			for _, m := range list.Models {
				if m.State == api.StateServing || m.State == api.StateRetiring {
					loaded.Models = append(loaded.Models, m)
				}
			}
			if a.json {
				return a.printJSON(loaded)
			}
			return a.printLoaded(loaded.Models)
		},
	}
}

func (a *app) printLoaded(models []api.ModelStatus) error {
	if len(models) == 0 {
		_, err := fmt.Fprintln(a.out, "no model is loaded; `weft ls` says which are there and why they are not")
		return err
	}
	var rows [][]cell
	head := []string{"NAME", "STATE", "GENERATION", "RUNNING", "QUEUED", "CACHE PAGES", "GUESSES RIGHT", "CONTEXT", "MEMORY", "SERVED"}
	drafts := slices.ContainsFunc(models, func(m api.ModelStatus) bool { return m.Draft != "" })
	if drafts {
		head = append(head, "DRAFT")
	}
	for _, m := range models {
		cache := "-"
		if m.PagesTotal > 0 {
			cache = fmt.Sprintf("%s %d/%d (%d %%)", m.KVType, m.PagesUsed, m.PagesTotal, 100*m.PagesUsed/m.PagesTotal)
		}
		guessed := "-"
		if m.Drafted > 0 {
			guessed = fmt.Sprintf("%d/%d (%d %%)", m.Accepted, m.Drafted, 100*m.Accepted/m.Drafted)
		}
		rows = append(rows, []cell{
			word(m.Name), styled(modelState(&m), stateStyle(m.State)), count(m.Generation), count(m.Running), count(m.Queued),
			number(cache), number(guessed), number(fmt.Sprint(m.Context)), number(bytesText(m.Resident)), word(agoText(m.Served)),
		})
		if drafts {
			rows[len(rows)-1] = append(rows[len(rows)-1], word(draftText(m)))
		}
	}
	return a.table(head, rows)
}

// draftText says which model guesses for another and how often it was right, or why it does not.
func draftText(m api.ModelStatus) string {
	switch {
	case m.Draft == "":
		return "-"
	case m.DraftNote != "":
		return m.Draft + ": " + m.DraftNote
	}
	return fmt.Sprintf("%s %d/%d", m.Draft, m.AcceptedByModel, m.DraftedByModel)
}
