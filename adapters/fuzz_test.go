package adapters

import (
	"bytes"
	"errors"
	"testing"

	"github.com/weft-run/weft/runtime/gguf"
	"github.com/weft-run/weft/runtime/gguf/safetensors"
)

// classed fails where an error of reading is of no class.
func classed(t *testing.T, err error) {
	t.Helper()
	for _, class := range []error{ErrTruncated, ErrFormat, ErrUnsupported, ErrUnfit} {
		if errors.Is(err, class) {
			return
		}
	}
	t.Fatalf("a refusal of no class: %v", err)
}

// judge holds a source whose header was read, in memory: it fits the tiny base and every factor has a rank and a scale, or it is refused by a
// class.
func judge(t *testing.T, s *Source, err error) {
	t.Helper()
	var pieces []piece
	if err == nil {
		s.summarize()
		pieces, err = s.match("llama", tinyTargets())
	}
	if err != nil {
		classed(t, err)
		return
	}
	for _, p := range pieces {
		if p.rank < 0 || p.rank > DefaultLimits().Rank || p.rank > 0 && !(p.scale > 0) {
			t.Fatalf("%s has rank %d and scale %v", p.target.Name, p.rank, p.scale)
		}
	}
}

// healthyWeights is the file of weights of the healthy folder.
func healthyWeights(t testing.TB) []byte {
	t.Helper()
	var out bytes.Buffer
	must(t, safetensors.Write(&out, nil, healthy().tensors))
	return out.Bytes()
}

// FuzzConfig: whatever an adapter_config.json says beside healthy weights.
func FuzzConfig(f *testing.F) {
	weights := healthyWeights(f)
	h, err := safetensors.ParseHeader(bytes.NewReader(weights), int64(len(weights)), safetensors.DefaultLimits())
	must(f, err)
	f.Fuzz(func(t *testing.T, text []byte) {
		s := &Source{Format: PEFT}
		c, err := parseConfig(text, DefaultLimits())
		if err == nil {
			s.Invocation = c.invocation
			err = s.collect(h, c, DefaultLimits())
		} else {
			err = witnessed(err, h)
		}
		judge(t, s, err)
	})
}

// FuzzWeights: whatever lies in adapter_model.safetensors beside a configuration that aims at everything.
func FuzzWeights(f *testing.F) {
	c, err := parseConfig([]byte(`{"peft_type":"LORA","r":2,"target_modules":".*","bias":"all"}`), DefaultLimits())
	must(f, err)
	f.Add(healthyWeights(f))
	f.Add(integers())
	f.Fuzz(func(t *testing.T, weights []byte) {
		s := &Source{Format: PEFT}
		h, err := safetensors.ParseHeader(bytes.NewReader(weights), int64(len(weights)), safetensors.DefaultLimits())
		if err == nil {
			err = s.collect(h, c, DefaultLimits())
		} else {
			err = reclass(err, WeightsFile)
		}
		judge(t, s, err)
	})
}

// FuzzGGUFAdapter: whatever lies in a GGUF adapter.
func FuzzGGUFAdapter(f *testing.F) {
	f.Add(healthyGGUF().bytes(f))
	activated := healthyGGUF()
	activated.meta[keyInvocation] = []uint32{3, 1}
	f.Add(activated.bytes(f))
	f.Fuzz(func(t *testing.T, b []byte) {
		s := &Source{Format: GGUF}
		h, err := gguf.ParseHeader(bytes.NewReader(b), int64(len(b)), DefaultLimits().GGUF)
		if err == nil {
			err = s.readHeader(h, DefaultLimits())
		}
		judge(t, s, reclass(err, "a.gguf"))
	})
}
