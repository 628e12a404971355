package cpu

import "github.com/weft-run/weft/kernels"

func (b *backend) CopyPage(kv kernels.Cache, from, to int32) {
	c := kv.(*cache)
	if kernels.Invariants {
		kernels.CheckCopyPage(c.layout, from, to)
	}
	b.begin()
	l := &c.layout
	size := len(c.memory) / (l.Layers * l.Pages)
	for layer := range l.Layers {
		first := layer * l.Pages
		copy(c.memory[(first+int(to))*size:][:size], c.memory[(first+int(from))*size:][:size])
	}
}
