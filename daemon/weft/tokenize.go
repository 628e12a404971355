package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/weft-run/weft/runtime/gguf"
	"github.com/weft-run/weft/runtime/tokenizer"
)

func (a *app) tokenizeCommand() *cobra.Command {
	var o tokenizer.EncodeOptions
	var back bool
	cmd := &cobra.Command{
		Use:   "tokenize FILE",
		Short: "turn text on stdin into token ids, by the vocabulary of a GGUF file",
		Long: "tokenize reads the vocabulary of FILE, which may be a model or a vocabulary alone, and turns the text on stdin, every byte of it, into\n" +
			"a JSON array of token ids; with --ids, such an array into text. It works without a daemon.",
		Example: "  printf 'Hello world' | weft tokenize model.gguf\n  echo '[19556, 905]' | weft tokenize --ids model.gguf",
		Args:    arguments(1, 1, "one GGUF file"),
		RunE: func(_ *cobra.Command, args []string) error {
			if back && (o.ParseSpecial || o.AddBOS) {
				return usagef("tokenize: --special and --bos say how text becomes ids; they do not go with --ids")
			}
			t, err := openVocabulary(args[0])
			if err != nil {
				return err
			}
			input, err := io.ReadAll(a.in)
			if err != nil {
				return fmt.Errorf("reading stdin: %w", err)
			}
			if back {
				return a.detokenize(t, input)
			}
			ids := t.Encode(string(input), o)
			if ids == nil {
				ids = []int32{}
			}
			return json.NewEncoder(a.out).Encode(ids)
		},
	}
	cmd.Flags().BoolVar(&o.ParseSpecial, "special", false, "text such as <|im_end|> becomes its special token")
	cmd.Flags().BoolVar(&o.AddBOS, "bos", false, "begin with the token that begins a sequence")
	cmd.Flags().BoolVar(&back, "ids", false, "turn a JSON array of ids on stdin into text")
	return cmd
}

// openVocabulary reads the header of a file and makes the tokenizer of it.
func openVocabulary(path string) (*tokenizer.Tokenizer, error) {
	h, err := readHeader(path)
	if err != nil {
		return nil, err
	}
	t, err := tokenizer.New(h.Meta)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return t, nil
}

// readHeader reads the header of one file, without mapping it. Of a file that is whole but for the end of its tensors it returns
// both the header and the error.
func readHeader(path string) (*gguf.Header, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK|syscall.O_NOCTTY, 0) // a FIFO has nothing to wait for
	if err != nil {
		return nil, err
	}
	defer f.Close()
	st, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if !st.Mode().IsRegular() {
		return nil, fmt.Errorf("%s is not a regular file", path)
	}
	h, err := gguf.ParseHeader(f, st.Size(), gguf.DefaultLimits())
	switch {
	case errors.Is(err, gguf.ErrTruncated):
		return h, fmt.Errorf("%s: %w", path, err)
	case err != nil:
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return h, nil
}

// detokenize writes the text of the ids that input lists.
func (a *app) detokenize(t *tokenizer.Tokenizer, input []byte) error {
	var ids []int32
	if err := json.Unmarshal(input, &ids); err != nil {
		return fmt.Errorf("stdin is not a JSON array of token ids: %w", err)
	}
	if ids == nil {
		return errors.New("stdin is not a JSON array of token ids, but null")
	}
	for i, id := range ids {
		if id < 0 || int(id) >= t.Size() {
			return fmt.Errorf("id %d, number %d of the array, is outside the vocabulary of %d tokens", id, i, t.Size())
		}
	}
	_, err := a.out.Write(t.Decode(ids))
	return err
}
