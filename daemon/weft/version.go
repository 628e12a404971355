package main

import (
	"fmt"
	"runtime"

	"github.com/spf13/cobra"

	"github.com/weft-run/weft/daemon/api"
)

func (a *app) versionCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "print the version of weft",
		Args:  arguments(0, 0, "no arguments"),
		RunE: func(*cobra.Command, []string) error {
			v := struct {
				Version  string `json:"version"`
				Go       string `json:"go"`
				Platform string `json:"platform"`
			}{api.Release(), runtime.Version(), runtime.GOOS + "/" + runtime.GOARCH}
			if a.json {
				return a.printJSON(v)
			}
			_, err := fmt.Fprintln(a.out, "weft", v.Version, v.Go, v.Platform)
			return err
		},
	}
}
