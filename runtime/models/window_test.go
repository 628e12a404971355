package models

import (
	"fmt"
	"hash/crc32"
	"math"
	"strings"
	"testing"

	"github.com/weft-run/weft/kernels"
	"github.com/weft-run/weft/runtime/modeltest"
)

// checkpointNames are the parts of a layer as Hugging Face's Mistral names them.
var checkpointNames = map[string]string{
	"attn_q": "self_attn.q_proj", "attn_k": "self_attn.k_proj", "attn_v": "self_attn.v_proj", "attn_output": "self_attn.o_proj",
	"ffn_gate": "mlp.gate_proj", "ffn_up": "mlp.up_proj", "ffn_down": "mlp.down_proj",
	"attn_norm": "input_layernorm", "ffn_norm": "post_attention_layernorm",
	"token_embd": "model.embed_tokens", "output": "lm_head", "output_norm": "model.norm",
}

// mistral is the model of testdata/window.py as its converter would write it, with a window or, where that is 0, without.
func mistral(window int) *tiny {
	m := tiny{Spec: modeltest.Spec{Width: 64, Layers: 3, Heads: 4, KVHeads: 2, FFN: 96, VocabSize: smallVocab, Untied: true}}.build(0)
	if window > 0 {
		m.set("llama.attention.sliding_window", uint32(window))
	}
	for i, t := range m.tensors {
		part, layer := strings.TrimSuffix(t.Name, ".weight"), 0
		name := checkpointNames[part] + ".weight"
		if n, _ := fmt.Sscanf(t.Name, "blk.%d.%s", &layer, &part); n == 2 {
			part = strings.TrimSuffix(part, ".weight")
			name = fmt.Sprintf("model.layers.%d.%s.weight", layer, checkpointNames[part])
		}
		x := make([]float32, len(t.Data)/4)
		for k := range x {
			x[k] = checkpointWeight(name, k)
		}
		if part == "attn_q" || part == "attn_k" {
			x = adjacentPairs(x, m.HeadDim, m.Width)
		}
		m.tensors[i].Data = floats(x...)
	}
	return m
}

// checkpointWeight is one number of a tensor of the checkpoint, as window.py makes it of the tensor's name and the place.
func checkpointWeight(name string, place int) float32 {
	h := crc32.ChecksumIEEE([]byte(name)) + uint32(place)*2654435761
	h = (h ^ h>>16) * 0x85ebca6b
	h = (h ^ h>>13) * 0xc2b2ae35
	x := (float32(h>>24)/256 - 0.5) / 4
	switch {
	case strings.Contains(name, "norm"):
		return 1 + x
	case strings.Contains(name, "embed_tokens"):
		return 8 * x
	case strings.Contains(name, "self_attn"), strings.Contains(name, "lm_head"):
		return 4 * x
	}
	return 2 * x
}

// adjacentPairs orders rows of queries or keys as GGUF has them for this architecture: the checkpoint rotates rows k and k+dim/2 of a head together.
func adjacentPairs(x []float32, dim, cols int) []float32 {
	out := make([]float32, 0, len(x))
	for head := 0; head < len(x); head += dim * cols {
		for k := range dim / 2 {
			for _, row := range []int{k, k + dim/2} {
				out = append(out, x[head+row*cols:head+(row+1)*cols]...)
			}
		}
	}
	return out
}

// TestWindowGolden holds the window against what PyTorch computes with Hugging Face's Mistral (testdata/window.py): the ten best logprobs behind
// prompts shorter and longer than it, and the greedy tokens that follow. One position more or less shows, and so does none.
func TestWindowGolden(t *testing.T) {
	const window, tolerance, visible = 24, 1e-4, 1e-2
	list := readGolden(t, "mistral-window.golden.jsonl")
	offs := func(window, chunk int, seen func(g golden, step int, logits []float32)) map[int]float64 {
		f := mistral(window).open(t)
		r := newRunner(t, f, runnerOptions{cpu: levelFromEnv(), cache: kernels.CacheF32, pages: 100, rows: 256, logitRows: 16})
		offs := map[int]float64{}
		play(t, r, list, chunk, func(prompt, step int, logits []float32) {
			g := list[prompt]
			if step == 0 {
				offs[len(g.IDs)] = worstLogprob(g, logits)
			}
			seen(g, step, logits)
		})
		return offs
	}
	for _, chunk := range []int{1, 7, 256} {
		worst := 0.0
		for n, off := range offs(window, chunk, func(g golden, step int, logits []float32) { checkGreedy(t, g, step, logits) }) {
			worst = max(worst, off)
			if off > tolerance {
				t.Errorf("chunks of %d: a logprob behind %d tokens is off by %g", chunk, n, off)
			}
		}
		t.Logf("chunks of %d: %d prompts, logprobs within %.2g of PyTorch", chunk, len(list), worst)
	}
	for _, other := range []int{0, window - 1, window + 1} {
		least := math.Inf(1)
		for n, off := range offs(other, 256, func(golden, int, []float32) {}) {
			switch fits := n <= window && (other == 0 || n <= other); {
			case fits && off > tolerance:
				t.Errorf("window %d: a logprob behind %d tokens, which fit, is off by %g", other, n, off)
			case !fits && n > window:
				least = min(least, off)
			}
		}
		if t.Logf("window %d: the logprobs of each longer prompt differ by at least %.2g", other, least); least < visible {
			t.Errorf("a window of %d gives the same as one of %d behind some prompt", other, window)
		}
	}
}
