package near

import (
	"slices"
	"strings"
	"testing"
)

func TestNames(t *testing.T) {
	known := []string{"llama-3", "Llama-2", "qwen", "gemma", "tiny"}
	for name, want := range map[string][]string{
		"llama":                   {"Llama-2", "llama-3"},
		"qwenn":                   {"qwen"},
		"EMMA":                    {"gemma"},
		"zzzzzzz":                 {"qwen", "tiny", "gemma"}, // nothing looks like it: what there is
		strings.Repeat("x", 1000): {"qwen", "tiny", "gemma"}, // nor is a monster compared
		"":                        {"qwen", "tiny", "gemma"},
	} {
		if got := Names(name, known); !slices.Equal(got, want) {
			t.Errorf("%.10q: %v, want %v", name, got, want)
		}
	}
	if got := Names("a", nil); len(got) != 0 {
		t.Errorf("of nothing: %v", got)
	}
}
