package models

import (
	"math"

	"github.com/weft-run/weft/kernels/exact"
)

// Scaling says how the angles of RoPE are stretched so that a model sees further than it was first trained for.
type Scaling string

// The scalings.
const (
	ScalingNone   Scaling = "none"
	ScalingLinear Scaling = "linear" // position interpolation (Chen et al., 2023)
	ScalingYarn   Scaling = "yarn"   // Peng et al., 2023
	ScalingLlama3 Scaling = "llama3" // by wavelength, as Llama 3.1 was made; most files carry it as the tensor rope_freqs.weight
)

// Rope is the rotary position embedding (Su et al., 2021) of a model.
type Rope struct {
	Dims            int // elements of a head that are rotated, from its start; even
	Base            float64
	Scaling         Scaling
	Factor          float64 // of the stretching; 1 changes nothing
	OriginalContext int     // context length before the stretching
	// AttnFactor multiplies cos and sin, and so the scores of attention by its square (yarn).
	AttnFactor float64
	// BetaFast and BetaSlow are how many turns over OriginalContext a pair must make to be kept and to be fully stretched,
	// Extrapolation how much of the kept part is taken and LogMultiplier mscale_all_dim (yarn).
	BetaFast, BetaSlow, Extrapolation, LogMultiplier float64
	// LowFactor and HighFactor bound the wavelengths between stretched and kept: OriginalContext over each (llama3).
	LowFactor, HighFactor float64

	// factors divides each frequency: the tensor rope_freqs.weight, or nil.
	factors []float32
}

// readRope reads the keys of RoPE. A config that failed before is not read on.
func (r *metaReader) readRope(c Config) Rope {
	if r.failed() {
		return Rope{}
	}
	rope := Rope{Dims: r.number("rope.dimension_count", c.HeadDim, 1, maxWidth)}
	if rope.Dims%2 != 0 || rope.Dims > c.HeadDim {
		r.fail(invalid("%s.rope.dimension_count is %d, want an even number up to the head dimension %d", r.arch, rope.Dims, c.HeadDim))
	}
	rope.Base = float64(r.float("rope.freq_base", 10000, 1.0001, 1e15))
	// Old writers used scale_linear for what is now scaling.factor; 0 says that nothing is scaled.
	factor := r.float("rope.scaling.factor", r.float("rope.scale_linear", 1, 0, 1<<16), 0, 1<<16)
	if factor == 0 {
		factor = 1
	}
	rope.Factor = float64(factor)
	rope.OriginalContext = r.number("rope.scaling.original_context_length", c.ContextLen, 1, maxContext)
	rope.AttnFactor = float64(r.float("rope.scaling.attn_factor", 1, 1e-3, 1e3))
	rope.BetaFast = float64(r.float("rope.scaling.yarn_beta_fast", 32, 1e-3, 1e6))
	rope.BetaSlow = float64(r.float("rope.scaling.yarn_beta_slow", 1, 1e-3, 1e6))
	rope.LogMultiplier = float64(r.float("rope.scaling.yarn_log_multiplier", 0, 0, 1e3))
	if rope.Extrapolation = float64(r.float("rope.scaling.yarn_ext_factor", 1, -1, 1)); rope.Extrapolation < 0 {
		rope.Extrapolation = 1 // negative says: not set
	}
	rope.Scaling = Scaling(r.str("rope.scaling.type", string(ScalingLinear)))
	switch rope.Scaling {
	case ScalingNone:
		rope.Factor = 1
	case ScalingLinear, ScalingYarn:
	case ScalingLlama3:
		rope.LowFactor = float64(r.float("rope.scaling.low_freq_factor", 1, 1e-3, 1e3))
		rope.HighFactor = float64(r.float("rope.scaling.high_freq_factor", 4, 1e-3, 1e3))
		if rope.HighFactor <= rope.LowFactor {
			r.fail(invalid("%s.rope.scaling: high_freq_factor %v is not above low_freq_factor %v", r.arch, rope.HighFactor, rope.LowFactor))
		}
	default:
		r.fail(unsupported("%s.rope.scaling.type %q; supported are none, linear, yarn, llama3", r.arch, rope.Scaling))
	}
	return rope
}

// Frequencies returns the angle per position of each rotated pair, and the factor on cos and sin. All of it is float64 made
// of kernels/exact and single rounded operations, so that every platform computes the same bits.
func (r Rope) Frequencies() (freqs []float64, scale float32) {
	freqs = make([]float64, r.Dims/2)
	for k := range freqs {
		freqs[k] = exact.Pow(r.Base, float64(-2*k)/float64(r.Dims))
		if r.factors != nil {
			freqs[k] /= float64(r.factors[k])
		}
	}
	scale = float32(r.AttnFactor)
	switch r.Scaling {
	case ScalingLinear:
		for k := range freqs {
			freqs[k] /= r.Factor
		}
	case ScalingYarn:
		r.yarn(freqs)
		scale = float32(r.AttnFactor * r.yarnMagnitude())
	case ScalingLlama3:
		if r.factors == nil { // the tensor is the same stretching, made when the file was written
			r.llama3(freqs)
		}
	}
	return freqs, scale
}

// yarn keeps the pairs that turn often within the original context, stretches those that hardly turn, and blends between.
func (r Rope) yarn(freqs []float64) {
	low := max(0, math.Floor(r.correctionDim(r.BetaFast)))
	high := min(float64(r.Dims-1), math.Ceil(r.correctionDim(r.BetaSlow)))
	for k, kept := range freqs {
		ramp := (float64(k) - low) / max(0.001, high-low)
		keep := float64((1 - min(1, max(0, ramp))) * r.Extrapolation)
		stretched := kept / r.Factor
		freqs[k] = float64(stretched*(1-keep)) + float64(kept*keep)
	}
}

// correctionDim is the pair, as a real number, that makes the given number of turns over the original context.
func (r Rope) correctionDim(turns float64) float64 {
	return float64(r.Dims) * exact.Log(float64(r.OriginalContext)/float64(turns*2*math.Pi)) / float64(2*exact.Log(r.Base))
}

// yarnMagnitude is YaRN's correction of the attention's temperature, on cos and sin.
func (r Rope) yarnMagnitude() float64 {
	if r.Factor <= 1 || r.Extrapolation == 0 {
		return 1
	}
	log := float64(0.1 * exact.Log(r.Factor))
	return (log + 1) / (float64(log*r.LogMultiplier) + 1)
}

// llama3 keeps short wavelengths, stretches long ones, and blends between, as Llama 3.1 defines it.
func (r Rope) llama3(freqs []float64) {
	original := float64(r.OriginalContext)
	for k, freq := range freqs {
		turns := float64(original*freq) / (2 * math.Pi) // original context over wavelength
		switch {
		case turns > r.HighFactor:
		case turns < r.LowFactor:
			freqs[k] = freq / r.Factor
		default:
			keep := (turns - r.LowFactor) / (r.HighFactor - r.LowFactor)
			freqs[k] = float64((1-keep)*(freq/r.Factor)) + float64(keep*freq)
		}
	}
}
