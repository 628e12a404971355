package main

import (
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"

	"github.com/weft-run/weft/daemon/api"
)

// maxReceiptBytes bounds a file of receipts: the daemon takes no larger body.
const maxReceiptBytes = 64 << 20

func (a *app) verifyCommand() *cobra.Command {
	var model string
	cmd := &cobra.Command{
		Use:   "verify RECEIPT.json",
		Short: "compute an answer again from its receipt, and compare",
		Long: "verify reads a receipt, or a whole answer that carries receipts (requests with \"receipt\": true), and has the daemon compute it again with\n" +
			"the files whose digests it names, whatever they are called there. It says that the answer is equal, or names the first token that differs and\n" +
			"what may be the cause. - reads stdin. The exit code is 0 when every receipt is equal and 1 when one is not.",
		Example: "  weft run SmolLM2 --receipt answer.json \"What is the capital of France?\"\n  weft verify answer.json",
		Args:    arguments(1, 1, "one file with a receipt, or -"),
		RunE: func(cmd *cobra.Command, args []string) error {
			receipts, err := a.receipts(args[0])
			if err != nil {
				return err
			}
			c, err := a.client()
			if err != nil {
				return err
			}
			results := []*api.Verification{}
			parted := false
			for i := range receipts {
				v, err := c.Verify(cmd.Context(), api.VerifyRequest{Receipt: receipts[i], Model: model})
				if err != nil {
					return fmt.Errorf("verify %s: %w", args[0], err)
				}
				results = append(results, v)
				parted = parted || !v.Equal
				if !a.json {
					a.printVerification(&receipts[i], v)
				}
			}
			if a.json {
				if err := a.printJSON(map[string]any{"verifications": results}); err != nil {
					return err
				}
			}
			if parted {
				return errQuiet
			}
			return nil
		},
	}
	cmd.Flags().StringVar(&model, "model", "", "compute with this model, whatever its digest")
	return cmd
}

// receipts reads the receipts of a file or of stdin.
func (a *app) receipts(path string) ([]api.Receipt, error) {
	in := a.in
	if path != "-" {
		f, err := os.Open(path)
		if err != nil {
			return nil, err
		}
		defer f.Close()
		in = f
	}
	text, err := io.ReadAll(io.LimitReader(in, maxReceiptBytes+1))
	if err != nil {
		return nil, err
	}
	if len(text) > maxReceiptBytes {
		return nil, fmt.Errorf("%s is larger than %s, which no receipt is", path, bytesText(maxReceiptBytes))
	}
	receipts, err := api.DefaultLimits().ParseReceipts(text)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return receipts, nil
}

func (a *app) printVerification(r *api.Receipt, v *api.Verification) {
	what := printable(r.Base.Name)
	for _, ad := range r.Adapters {
		what += fmt.Sprintf("+%s@%g", printable(ad.Name), ad.Scale)
	}
	if v.Equal {
		fmt.Fprintf(a.out, "%s: %s, %d tokens, to the bit\n", what, a.paint("equal", green), v.Tokens)
	} else {
		fmt.Fprintf(a.out, "%s: %s at token %d of %d: the receipt has %s, computed here is %s\n", what, a.paint("different", red),
			v.Difference.Index, len(r.Output), outcomeText(v.Difference.Receipt), outcomeText(v.Difference.Computed))
		if len(v.Notes) == 0 {
			fmt.Fprintln(a.out, "  files, cache type and numerics are the same: the receipt was changed, or one of the two machines computed wrongly")
		}
	}
	for _, note := range v.Notes {
		fmt.Fprintln(a.out, "  "+printable(note))
	}
}

func outcomeText(o api.Outcome) string {
	if o.ID == nil {
		return fmt.Sprintf("the end (%s)", printable(o.FinishReason))
	}
	return fmt.Sprintf("%d %q", *o.ID, o.Text)
}

// isDir says whether a path leads to a folder.
func isDir(path string) (bool, error) {
	st, err := os.Stat(path)
	if err != nil {
		return false, err
	}
	if !st.IsDir() && !st.Mode().IsRegular() {
		return false, errors.New(path + " is neither a regular file nor a folder")
	}
	return st.IsDir(), nil
}
