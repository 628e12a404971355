package main

import (
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/weft-run/weft/daemon/api"
)

func (a *app) statusCommand() *cobra.Command {
	var quiet bool
	cmd := &cobra.Command{
		Use:   "status",
		Short: "say how the daemon is",
		Long:  "status says how the daemon is. With --quiet it prints nothing: exit code 0 means that it answers requests, 1 that it does not.",
		Args:  arguments(0, 0, "no arguments"),
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := a.client()
			if err != nil {
				return err
			}
			if quiet {
				if c.Ready(cmd.Context()) != nil {
					return errQuiet
				}
				return nil
			}
			st, err := c.Status(cmd.Context())
			if err != nil {
				return err
			}
			if a.json {
				return a.printJSON(st)
			}
			return a.printStatus(c.Host(), st)
		},
	}
	cmd.Flags().BoolVarP(&quiet, "quiet", "q", false, "print nothing; the exit code says whether the daemon is ready")
	return cmd
}

func (a *app) printStatus(host api.Host, st *api.Status) error {
	state := green
	if st.State != "ready" {
		state = yellow
	}
	caller := st.Caller.Network
	if st.Caller.UID != nil {
		caller += fmt.Sprintf(", uid %d", *st.Caller.UID)
	}
	if st.Caller.Admin {
		caller += ", may load and remove models"
	}
	listeners := strings.Join(st.Listeners, ", ")
	if listeners == "" {
		listeners = host.String()
	}
	uptime := time.Duration(st.Uptime * float64(time.Millisecond)).Round(time.Second)
	if err := a.table(nil, [][]cell{
		{styled("daemon", bold), word("weftd " + st.Version + ", pid " + fmt.Sprint(st.PID) + ", up " + uptime.String())},
		{styled("state", bold), styled(st.State, state)},
		{styled("listens", bold), word(listeners)},
		{styled("data", bold), word(orDash(st.DataDir))},
		{styled("computes", bold), word(fmt.Sprintf("level %s, %d threads, %s", st.CPU.Level, st.CPU.Threads, numerics(st.Numerics)))},
		{styled("memory", bold), word(memoryText(st.Memory))},
		{styled("requests", bold), word(fmt.Sprintf("%d running, %d queued", st.Requests.Running, st.Requests.Queued))},
		{styled("you", bold), word(caller)},
	}); err != nil {
		return err
	}
	if len(st.Models) == 0 {
		return nil
	}
	fmt.Fprintln(a.out)
	var rows [][]cell
	for _, m := range st.Models {
		arrival := "-"
		if m.SeenToReady > 0 {
			arrival = millisText(m.SeenToReady)
		}
		rows = append(rows, []cell{
			word(m.Name), styled(m.State, stateStyle(m.State)), number(arrival), count(m.Running), count(m.Queued), styled(strings.ReplaceAll(m.Reason, "\n", "; "), yellow),
		})
	}
	return a.table([]string{"MODEL", "STATE", "SEEN TO FIRST TOKEN", "RUNNING", "QUEUED", ""}, rows)
}

func numerics(s string) string {
	if strings.HasPrefix(s, "numerics") {
		return s
	}
	return "numerics " + orDash(s)
}

func memoryText(m api.Memory) string {
	if m.Budget <= 0 {
		return bytesText(m.Resident) + " held by models"
	}
	return fmt.Sprintf("%s of %s held by models", bytesText(m.Resident), bytesText(m.Budget))
}
