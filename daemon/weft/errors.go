package main

import (
	"errors"
	"fmt"
	"strings"

	"github.com/agext/levenshtein"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// errUsage marks mistakes in usage that only the running verb can see.
var errUsage = errors.New("usage")

// errQuiet ends the program with exit code 1 and no message: the answer was the exit code.
var errQuiet = errors.New("no")

// usageError is a mistake in usage; its message stands alone.
type usageError string

func (e usageError) Error() string        { return string(e) }
func (e usageError) Is(target error) bool { return target == errUsage }

func usagef(format string, args ...any) error { return usageError(fmt.Sprintf(format, args...)) }

// flagError adds the nearest known flag to the complaint about an unknown one.
func flagError(cmd *cobra.Command, err error) error {
	var unknown *pflag.NotExistError
	if errors.As(err, &unknown) {
		name := unknown.GetSpecifiedName()
		best, distance := "", 4
		cmd.Flags().VisitAll(func(f *pflag.Flag) {
			if d := levenshtein.Distance(name, f.Name, nil); d < distance || strings.HasPrefix(f.Name, name) && len(name) > 2 && best == "" {
				best, distance = f.Name, d
			}
		})
		if best != "" {
			return fmt.Errorf("%s: there is no flag --%s; did you mean --%s?", cmd.CommandPath(), name, best)
		}
	}
	var invalid *pflag.InvalidValueError
	if errors.As(err, &invalid) {
		kind := strings.TrimRight(invalid.GetFlag().Value.Type(), "0123456789")
		if want, ok := map[string]string{"int": "a whole number", "uint": "a whole number from 0", "float": "a number", "bool": "true or false"}[kind]; ok {
			return fmt.Errorf("%s: --%s wants %s, got %q", cmd.CommandPath(), invalid.GetFlag().Name, want, invalid.GetValue())
		}
	}
	return fmt.Errorf("%s: %w; `%s --help` lists the flags", cmd.CommandPath(), err, cmd.CommandPath())
}

// arguments checks how many arguments a verb gets and says in words what it wants.
func arguments(low, high int, want string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) < low || len(args) > high {
			return usagef("%s wants %s, got %d arguments; `%s --help` shows how", cmd.CommandPath(), want, len(args), cmd.CommandPath())
		}
		return nil
	}
}
