package config

import (
	"fmt"
	"io"
)

// Print writes the configuration as TOML, each line with where its value came from. What it writes can be read again.
func (l *Loaded) Print(w io.Writer) error {
	if _, err := fmt.Fprintln(w, "version = 1"); err != nil {
		return err
	}
	for i, s := range l.Config.settings() {
		if _, err := fmt.Fprintf(w, "%s = %s # %s\n", s.key, s.format(), l.Sources[i].From); err != nil {
			return err
		}
	}
	return nil
}
