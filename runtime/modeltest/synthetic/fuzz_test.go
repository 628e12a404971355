package synthetic

import "testing"

// FuzzParse: a text that is taken for a model names one whose tensors can be listed.
func FuzzParse(f *testing.F) {
	for _, text := range []string{"1.1b:q4_k_m", "tiny,layers=1,vocab=512:f16", "260k", "8b,width=-1:q8_0", "7b,=:q4_0", "tiny,heads=0:f32", "tiny,kv=3:f32", "tiny,width=131072,heads=1:q6_k"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		m, err := Parse(text)
		if err != nil {
			return
		}
		if tensors, err := m.Tensors(); err != nil || len(tensors) == 0 {
			t.Fatalf("%q is %+v: %d tensors, %v", text, m, len(tensors), err)
		}
	})
}
