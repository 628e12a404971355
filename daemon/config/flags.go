package config

import (
	"flag"
	"fmt"
	"io"
	"strings"
)

// Flags is a parsed command line of the daemon. Its values are checked by Load, not before.
type Flags struct {
	Config  string // --config
	NoFiles bool   // --config "": read no file at all
	Version bool   // --version
	Check   bool   // --check
	Help    bool   // --help

	values []flagValue
}

type flagValue struct {
	key   string
	value any // string, or []string for a flag that may be repeated
}

// ParseFlags reads the arguments behind the program's name. An error is a mistake in usage and names the nearest flag.
func ParseFlags(args []string) (Flags, error) {
	var f Flags
	set := flag.NewFlagSet("weftd", flag.ContinueOnError)
	set.SetOutput(io.Discard)
	set.Func("config", "", func(path string) error {
		f.Config, f.NoFiles = path, path == ""
		return nil
	})
	set.BoolVar(&f.Version, "version", false, "")
	set.BoolVar(&f.Check, "check", false, "")
	set.BoolVar(&f.Help, "help", false, "")
	set.BoolVar(&f.Help, "h", false, "")
	known := []string{"--config", "--version", "--check", "--help"}
	var empty Config
	for _, s := range empty.settings() {
		known = append(known, "--"+flagName(s.key))
		store := func(text string) error {
			f.add(s, text)
			return nil
		}
		if _, ok := s.to.(*bool); ok {
			set.BoolFunc(flagName(s.key), "", store)
		} else {
			set.Func(flagName(s.key), "", store)
		}
	}
	if err := set.Parse(args); err != nil {
		// The flag package has no error value for this; the words are as old as the package.
		if name, ok := strings.CutPrefix(err.Error(), "flag provided but not defined: -"); ok {
			return Flags{}, unknown("flag", "--"+name, known)
		}
		return Flags{}, err
	}
	if set.NArg() > 0 {
		return Flags{}, fmt.Errorf("%w argument %q; weftd takes flags only, or the word bench first", ErrUnknown, set.Arg(0))
	}
	return f, nil
}

// add notes one flag. Occurrences of a list are gathered; of anything else the last one counts.
func (f *Flags) add(s setting, text string) {
	_, addresses := s.to.(*[]Address)
	_, texts := s.to.(*[]string)
	if !addresses && !texts {
		f.values = append(f.values, flagValue{s.key, text})
		return
	}
	for i := range f.values {
		if f.values[i].key == s.key {
			f.values[i].value = append(f.values[i].value.([]string), text)
			return
		}
	}
	f.values = append(f.values, flagValue{s.key, []string{text}})
}

// Usage writes what the daemon's flags are.
func Usage(w io.Writer) {
	fmt.Fprint(w, `weftd serves the models in a folder on a Unix socket.

Usage: weftd [flags]
       weftd bench FILE [flags]    measure the engine on a model, without a server

Each setting is also a key of weftd.toml (data_dir) and an environment variable (WEFT_DATA_DIR).

  --config FILE
        Configuration file; conf.d/*.toml beside it are read after it. An empty name reads no file.
  --check
        Validate the configuration, print it, and exit.
  --version
        Print the version and exit.
`)
	c := Default()
	for _, s := range c.settings() {
		value := " VALUE"
		if _, ok := s.to.(*bool); ok {
			value = "[=false]" // the word behind a switch is not its value
		}
		fmt.Fprintf(w, "  --%s%s\n        %s", flagName(s.key), value, strings.ReplaceAll(s.help, "`", ""))
		if d := s.format(); d != `""` && d != "[]" {
			fmt.Fprintf(w, " Default: %s.", d)
		}
		fmt.Fprintln(w)
	}
}
