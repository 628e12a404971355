package config

import "fmt"

// A migration moves the keys of a file from one version of the configuration to the next, in place.
type migration func(keys map[string]any) error

// migrations[v-1] moves version v to v+1. A file of the newest version needs none.
func migrations() []migration { return nil }

// migrate takes the version out of the keys of a file and moves them to the newest one. A file that says nothing is of version 1.
func migrate(keys map[string]any, steps []migration) error {
	newest := int64(len(steps) + 1)
	version := int64(1)
	if v, ok := keys["version"]; ok {
		if version, ok = v.(int64); !ok {
			return fmt.Errorf("version: %w", wrongType("a whole number", v))
		}
	}
	if version < 1 || version > newest {
		return fmt.Errorf("%w: the file says version %d and this program knows 1 to %d", ErrVersion, version, newest)
	}
	delete(keys, "version")
	for v := version; v < newest; v++ {
		if err := steps[v-1](keys); err != nil {
			return fmt.Errorf("moving from version %d to %d: %w", v, v+1, err)
		}
	}
	return nil
}
