package daemon

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"time"

	"github.com/weft-run/weft/kernels/cpu"
	"github.com/weft-run/weft/runtime/gguf"
	"github.com/weft-run/weft/runtime/models"
	"github.com/weft-run/weft/runtime/tokenizer"
)

// perplexityPlan is what --perplexity and its company ask for.
type perplexityPlan struct {
	text         string // file; "": not asked for
	chunk        int
	out, against string // files of logits; "": none
}

func (p *perplexityPlan) flags(set *flag.FlagSet) {
	set.StringVar(&p.text, "perplexity", "", "")
	set.IntVar(&p.chunk, "chunk", 512, "")
	set.StringVar(&p.out, "logits-out", "", "")
	set.StringVar(&p.against, "against", "", "")
}

func (p *perplexityPlan) check() error {
	switch {
	case p.text == "" && (p.out != "" || p.against != "" || p.chunk != 512):
		return errors.New("--chunk, --logits-out and --against want --perplexity TEXT")
	case p.chunk < 4 || p.chunk > 1<<16:
		return fmt.Errorf("--chunk %d: a chunk has 4 to 65536 tokens", p.chunk)
	}
	return nil
}

// benchPerplexity is the result of --perplexity. Errors are the standard errors of the mean.
type benchPerplexity struct {
	Chunks     int     `json:"chunks"`
	Chunk      int     `json:"chunk_tokens"`
	Scored     int     `json:"scored_tokens"`
	Perplexity float64 `json:"perplexity"`
	Error      float64 `json:"perplexity_error"`
	// Divergence is there with --against.
	Divergence *benchDivergence `json:"divergence,omitempty"`
}

// benchDivergence compares distributions with those of an oracle.
type benchDivergence struct {
	Mean     float64 `json:"mean_kl"` // in nats
	Error    float64 `json:"mean_kl_error"`
	Most     float64 `json:"max_kl"`
	SameBest float64 `json:"same_best"` // fraction of positions
}

// textChunks reads a text and cuts it into chunks of tokens; what is left at the end is not used. Where the model's rule adds BOS, each
// chunk starts with it in place of its first token, which nothing scores.
func textChunks(f *gguf.File, p perplexityPlan) ([][]int32, error) {
	text, err := os.ReadFile(p.text)
	if err != nil {
		return nil, err
	}
	tok, err := tokenizer.New(f.Meta())
	if err != nil {
		return nil, err
	}
	ids := tok.Encode(string(text), tokenizer.EncodeOptions{AddSpecial: true})
	plain := tok.Encode("", tokenizer.EncodeOptions{AddSpecial: true})
	var chunks [][]int32
	for ; len(ids) >= p.chunk; ids = ids[p.chunk:] {
		if bos, ok := tok.BOS(); ok && len(plain) > 0 && plain[0] == bos {
			ids[0] = bos
		}
		chunks = append(chunks, ids[:p.chunk])
	}
	if chunks == nil {
		return nil, fmt.Errorf("%s has %d tokens, and a chunk %d: give a longer text, or --chunk", p.text, len(ids), p.chunk)
	}
	return chunks, nil
}

// measurePerplexity runs all chunks, each on an empty cache, and scores the tokens of its second half: the logits of position i are
// about token i+1, so a chunk of n tokens has n-1-n/2 of them.
func measurePerplexity(ctx context.Context, device *cpu.Device, model models.Model, plan benchPlan, chunks [][]int32) (*benchPerplexity, float64, error) {
	p := plan.perplexity
	vocab := model.Config().Vocab
	if limit := model.Config().ContextLen; p.chunk > limit {
		return nil, 0, fmt.Errorf("chunks of %d tokens, and the model was made for %d", p.chunk, limit)
	}
	backend := device.Open()
	defer backend.Close()
	first := p.chunk / 2
	b, err := newBench(backend, model, plan, 1, p.chunk, min(plan.stepTokens, p.chunk-1-first))
	if err != nil {
		return nil, 0, err
	}
	defer b.pages.Free()
	files, err := openLogits(p, vocab, chunks)
	if err != nil {
		return nil, 0, err
	}
	defer files.close()
	var sum scores
	var spent time.Duration
	logits := make([]float32, (p.chunk-1-first)*vocab)
	for _, ids := range chunks {
		started := time.Now()
		if err := b.score(ctx, ids, first, logits); err != nil {
			return nil, 0, err
		}
		spent += time.Since(started)
		oracle, err := files.turn(logits)
		if err != nil {
			return nil, 0, err
		}
		sum.add(logits, oracle, ids[first+1:], vocab)
	}
	result := &benchPerplexity{Chunks: len(chunks), Chunk: p.chunk, Scored: len(sum.surprise), Divergence: sum.divergence()}
	result.Perplexity, result.Error = sum.perplexity()
	return result, float64(len(chunks)*p.chunk) / spent.Seconds(), files.finish()
}

// score computes a chunk and reads the logits of the positions from first on to the last but one.
func (b *bench) score(ctx context.Context, ids []int32, first int, logits []float32) error {
	for done := 0; done < len(ids); {
		n := min(b.step, len(ids)-done)
		b.reset()
		b.add(0, done, n)
		copy(b.batch.Tokens, ids[done:])
		for i := range n {
			if pos := done + i; pos >= first && pos < len(ids)-1 {
				b.batch.LogitRows = append(b.batch.LogitRows, int32(i))
			}
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		out := b.model.Forward(b.backend, b.ws, &b.batch, b.pages)
		if err := b.backend.Sync(); err != nil {
			return err
		}
		if size := out.Rows * out.Cols; size > 0 {
			b.backend.Read(logits[:size], out)
			logits = logits[size:]
		}
		done += n
	}
	return nil
}
