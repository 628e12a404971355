package adapters

import (
	"fmt"
	"slices"
	"strings"
	"unicode"
)

// matching says which bases in service an adapter is for, or why for none. refused tells what cannot be from what only waits.
type matching struct {
	bases   []BaseInfo
	problem string
	refused bool
}

// match finds the bases that a generation is for: the one that its settings name; else those that answer to the name in its own files and that it fits
// (one model in several quantizations is several bases); else the only one that it fits. Where one was found that way, another model that
// comes later and fits too changes nothing. The caller holds mu, unless the generation is not published yet.
func (r *Registry) match(g *generation, serving []BaseInfo) matching {
	if len(serving) == 0 {
		return matching{problem: "it waits for a base: no model is in service"}
	}
	if want := g.origin.Base; want != "" {
		called := called(serving, func(b BaseInfo) bool { return b.Name == want || slices.Contains(b.Answers, want) })
		if len(called) == 0 {
			return matching{problem: fmt.Sprintf("it waits for its base: its settings name %q, which is not in service", want)}
		}
		return g.among(called, fmt.Sprintf("its settings name the base %q", want))
	}
	if want := g.about.BaseName; want != "" {
		plain := plainName(want)
		called := called(serving, func(b BaseInfo) bool {
			return plainName(b.Name) == plain || slices.ContainsFunc(b.Answers, func(a string) bool { return plainName(a) == plain })
		})
		if len(called) > 0 {
			return g.among(called, fmt.Sprintf("its files name the base %q", want))
		}
	}
	m := g.among(serving, "its files and settings name no base in service")
	for _, known := range []func(BaseInfo) bool{
		func(b BaseInfo) bool { return b.Name == g.home },
		func(b BaseInfo) bool { return r.proven(g, b) },
	} {
		if one := called(m.bases, known); len(m.bases) > 1 && len(one) == 1 {
			m.bases = one
		}
	}
	if len(m.bases) > 1 {
		return matching{refused: true, problem: fmt.Sprintf("it fits %d models in service alike (%s); say which is meant by `base = \"NAME\"` in its settings",
			len(m.bases), namesOf(m.bases))}
	}
	return m
}

func called(serving []BaseInfo, is func(BaseInfo) bool) []BaseInfo {
	return slices.DeleteFunc(slices.Clone(serving), func(b BaseInfo) bool { return !is(b) })
}

// among keeps the bases that the generation fits.
func (g *generation) among(bases []BaseInfo, why string) matching {
	fit := called(bases, func(b BaseInfo) bool { return g.fits[b.Digest] == "" })
	if len(fit) > 0 {
		return matching{bases: fit}
	}
	var reasons []string
	for _, b := range bases[:min(len(bases), maxListed)] {
		reasons = append(reasons, b.Name+": "+g.fits[b.Digest])
	}
	return matching{refused: true, problem: why + ", and it fits none: " + strings.Join(reasons, "; ")}
}

// maxListed is how many bases a reason lists.
const maxListed = 3

func namesOf(bases []BaseInfo) string {
	var list []string
	for _, b := range bases[:min(len(bases), maxListed)] {
		list = append(list, b.Name)
	}
	if len(bases) > maxListed {
		list = append(list, "...")
	}
	return strings.Join(list, ", ")
}

// plainName is a model's name without the owner or folder before it, the file's ending and quantization behind it, case, and all that is
// neither letter nor digit: "HuggingFaceTB/SmolLM2-135M" and "SmolLM2 135M" and "smollm2-135m.Q4_K_M.gguf" are one.
func plainName(name string) string {
	name = strings.TrimSuffix(strings.TrimRight(name, "/"), ".gguf")
	name = name[strings.LastIndexByte(name, '/')+1:]
	if at := strings.LastIndexAny(name, ".-"); at > 0 && isQuantization(name[at+1:]) {
		name = name[:at]
	}
	return strings.Map(func(c rune) rune {
		if unicode.IsLetter(c) || unicode.IsDigit(c) {
			return unicode.ToLower(c)
		}
		return -1
	}, name)
}

// isQuantization says whether a part of a file's name is one of the customary words for how its weights are kept.
func isQuantization(s string) bool {
	s = strings.ToUpper(s)
	if slices.Contains([]string{"F32", "F16", "BF16", "FP16", "FP32"}, s) {
		return true
	}
	digits := strings.TrimPrefix(strings.TrimPrefix(s, "I"), "Q")
	return digits != s && digits != "" && digits[0] >= '1' && digits[0] <= '9' && (len(digits) == 1 || digits[1] == '_')
}

// mayServe says why a generation must not be used on a base that a request names, if so.
func (r *Registry) mayServe(g *generation, base BaseInfo) error {
	serving := r.o.Bases.Serving()
	at := slices.IndexFunc(serving, func(b BaseInfo) bool { return b.Name == base.Name })
	if at < 0 {
		serving = append(serving, base)
	} else {
		serving[at] = base // the request's own, should it be replaced just now
	}
	m, err := r.matchNow(g, serving)
	if err != nil {
		return err
	}
	if slices.ContainsFunc(m.bases, func(b BaseInfo) bool { return b.Name == base.Name }) {
		return nil
	}
	if m.problem == "" {
		m.problem = "it is for " + namesOf(m.bases)
		r.mu.Lock()
		fits := g.fits[base.Digest] == ""
		r.mu.Unlock()
		if fits {
			m.problem += fmt.Sprintf("; to have it for this one, which it fits too, set `base = %q` in its settings", base.Name)
		}
	}
	return &UnfitError{Adapter: g.name, Base: base.Name, Reason: m.problem}
}

// matchNow matches a published generation, looking into its files again for bases that came after it.
func (r *Registry) matchNow(g *generation, serving []BaseInfo) (matching, error) {
	r.mu.Lock()
	missing := called(serving, func(b BaseInfo) bool { _, known := g.fits[b.Digest]; return !known })
	r.mu.Unlock()
	if len(missing) > 0 {
		c, err := r.open(&g.origin)
		if err != nil {
			return matching{}, &changedError{name: g.name}
		}
		defer c.close()
		for _, b := range missing {
			v := verdict(c.fits(b))
			r.mu.Lock()
			g.fits[b.Digest] = v
			r.mu.Unlock()
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.match(g, serving), nil
}

// verdict is an error's text, or "".
func verdict(err error) string {
	if err == nil {
		return ""
	}
	return reasonOf(err)
}
