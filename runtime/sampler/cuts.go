package sampler

import (
	"cmp"
	"math"
	"slices"

	"github.com/weft-run/weft/kernels/exact"
)

// distribution is what the cuts work on: first the whole vocabulary, of which only the logits exist, then the tokens that were
// kept. A token's weight is exp(depth), its depth (logit - best logit) / temperature; probabilities are weights over their total.
type distribution struct {
	logits  []float32
	best    float32
	inverse float64 // of the temperature
	total   float64 // of the weights, added in index order; valid when summed or cut
	summed  bool
	cut     bool        // whether kept stands for the distribution
	kept    []candidate // by id

	// Scratch, kept from token to token.
	sums  []float64         // see sumExp
	bins  [binCount]float64 // weights by depth, see survey
	edges []ranked          // what mass sorts
}

// candidate is a token that may be drawn.
type candidate struct {
	id     int32
	depth  float64
	weight float64
}

// ranked is a candidate at its distance from the middle of a cut.
type ranked struct {
	id     int32
	rank   float64
	weight float64
}

// byRank puts the nearest first, of equals the lower id.
func byRank(a, b ranked) int {
	if c := cmp.Compare(a.rank, b.rank); c != 0 {
		return c
	}
	return cmp.Compare(a.id, b.id)
}

func byID(a, b candidate) int { return cmp.Compare(a.id, b.id) }

// reset makes the whole vocabulary the distribution.
func (d *distribution) reset(logits []float32, best float32, inverse float64) {
	d.logits, d.best, d.inverse = logits, best, inverse
	d.total, d.summed, d.cut, d.kept = 0, false, false, d.kept[:0]
}

// candidate returns a token of the vocabulary without its weight, which costs an exponential.
func (d *distribution) candidate(id int32) candidate {
	return candidate{id: id, depth: float64((float64(d.logits[id]) - float64(d.best)) * d.inverse)}
}

// sum makes total valid.
func (d *distribution) sum() {
	if !d.cut && !d.summed {
		d.total, d.summed = sumExp(d.logits, d.best, d.inverse, d.sums), true
	}
}

// settle makes what is in kept the distribution.
func (d *distribution) settle() {
	d.cut, d.total = true, 0
	for i := range d.kept {
		d.total += d.kept[i].weight
	}
}

// topK keeps the k largest logits, of the whole vocabulary: it is the first cut.
func (d *distribution) topK(k int) {
	// A heap whose root is the worst of the k best so far; a later token of the same logit is worse.
	heap := d.kept[:0]
	for id := range d.logits {
		if len(heap) == k && !(d.logits[id] > d.logits[heap[0].id]) {
			continue
		}
		if len(heap) < k {
			heap = append(heap, candidate{id: int32(id)})
			d.siftUp(heap)
			continue
		}
		heap[0] = candidate{id: int32(id)}
		d.siftDown(heap)
	}
	for i := range heap {
		heap[i] = d.candidate(heap[i].id)
		heap[i].weight = exact.Exp(heap[i].depth)
	}
	d.kept = heap
	slices.SortFunc(d.kept, byID)
	d.settle()
}

// worse orders the heap of topK: a is nearer to being thrown out.
func (d *distribution) worse(a, b candidate) bool {
	x, y := d.logits[a.id], d.logits[b.id]
	return x < y || x == y && a.id > b.id
}

func (d *distribution) siftUp(heap []candidate) {
	i := len(heap) - 1
	for i > 0 && d.worse(heap[i], heap[(i-1)/2]) {
		heap[i], heap[(i-1)/2] = heap[(i-1)/2], heap[i]
		i = (i - 1) / 2
	}
}

func (d *distribution) siftDown(heap []candidate) {
	i := 0
	for {
		child := 2*i + 1
		if child >= len(heap) {
			return
		}
		if child+1 < len(heap) && d.worse(heap[child+1], heap[child]) {
			child++
		}
		if !d.worse(heap[child], heap[i]) {
			return
		}
		heap[i], heap[child] = heap[child], heap[i]
		i = child
	}
}

// topP keeps the smallest set of most probable tokens with at least the mass p.
func (d *distribution) topP(p float64) {
	if !d.cut {
		d.survey()
	}
	d.mass(p, 0)
}

// typical keeps the smallest set with at least the mass p of the tokens whose information is nearest to the entropy. With
// -log(p_i) = log(total) - depth_i, the distance of both is |mean depth - depth_i|: no logarithm is needed.
func (d *distribution) typical(p float64) {
	var weighted float64
	if d.cut {
		for _, c := range d.kept {
			weighted += float64(c.weight * c.depth)
		}
	} else {
		weighted = d.survey()
	}
	d.mass(p, weighted/d.total)
}

// Bins of depth: bin i is [i, i+1) / binsPerUnit below the best token, the last one everything deeper.
const (
	binCount    = 512
	binsPerUnit = 8
)

// survey adds up the weights of the vocabulary, all together and by depth, and returns the sum of weight times depth.
func (d *distribution) survey() (weighted float64) {
	clear(d.bins[:])
	d.total = 0
	for id := range d.logits {
		c := d.candidate(int32(id))
		w := exact.Exp(c.depth)
		d.total += w
		bin := binCount - 1
		if x := -c.depth * binsPerUnit; x < binCount-1 {
			bin = int(x)
		}
		d.bins[bin] += w
		if w > 0 { // the depth of a weight of 0 may be infinite
			weighted += float64(w * c.depth)
		}
	}
	return weighted
}

// radius returns a distance from center within which the vocabulary has the mass by its bins, and one within which it has not.
func (d *distribution) radius(center, enough float64) (outer, inner float64) {
	middle := 0
	if x := -center * binsPerUnit; x > 0 && x < binCount-1 {
		middle = int(x)
	}
	sum := d.bins[middle]
	reach := 0 // the bins from middle-reach to middle+reach are in sum
	for ; !(sum >= enough); reach++ {
		if middle+reach+1 >= binCount-1 {
			return math.Inf(1), -1
		}
		sum += d.bins[middle+reach+1]
		if middle > reach {
			sum += d.bins[middle-reach-1]
		}
	}
	return float64(reach+1) / binsPerUnit, float64(reach-1) / binsPerUnit
}

// mass keeps the smallest set of tokens with at least the mass p, those first whose depth is nearest to center. Of the whole
// vocabulary, which survey has seen, only tokens near the border of the set are sorted.
func (d *distribution) mass(p, center float64) {
	enough := float64(p * d.total)
	if d.cut {
		last, _ := d.border(center, -1, enough)
		d.within(center, last)
		return
	}
	outer, inner := d.radius(center, enough)
	d.collect(center, outer)
	last, found := d.border(center, inner, enough)
	if !found { // the mass by bins and the mass by rank were rounded differently
		d.collect(center, math.Inf(1))
		last, _ = d.border(center, -1, enough)
	}
	d.within(center, last)
}

// border returns the last of the nearest kept candidates that together have the mass, or the last of all where they have not.
// Those nearer than inner are known to be among them.
func (d *distribution) border(center, inner, enough float64) (last ranked, found bool) {
	d.edges = d.edges[:0]
	sum := 0.0
	for _, c := range d.kept {
		if rank := math.Abs(c.depth - center); rank < inner {
			sum += c.weight
		} else {
			d.edges = append(d.edges, ranked{c.id, rank, c.weight})
		}
	}
	slices.SortFunc(d.edges, byRank)
	for _, last = range d.edges {
		if sum += last.weight; sum >= enough {
			return last, true
		}
	}
	return last, false
}

// within keeps the candidates up to and including last.
func (d *distribution) within(center float64, last ranked) {
	n := 0
	for _, c := range d.kept {
		if byRank(ranked{id: c.id, rank: math.Abs(c.depth - center)}, last) <= 0 {
			d.kept[n] = c
			n++
		}
	}
	d.kept = d.kept[:n]
	d.settle()
}

// collect fills kept with the tokens of the vocabulary whose depth is within radius of center.
func (d *distribution) collect(center, radius float64) {
	d.kept = d.kept[:0]
	// A first look in float32, a little wider than the radius, spares most tokens the exact one.
	low := math.Nextafter32(float32(float64(d.best)+(center-1.01*radius)/d.inverse), float32(math.Inf(-1)))
	for id, x := range d.logits {
		if x < low {
			continue
		}
		c := d.candidate(int32(id))
		if math.Abs(c.depth-center) <= radius {
			c.weight = exact.Exp(c.depth)
			d.kept = append(d.kept, c)
		}
	}
}

// minP keeps the tokens whose weight is at least p of the largest.
func (d *distribution) minP(p float64) {
	if !d.cut {
		// The largest weight of a whole vocabulary is exp(0). Depths far below log(p) need no exponential.
		d.collect(0, 1e-6-exact.Log(p))
	}
	largest := 0.0
	for _, c := range d.kept {
		largest = max(largest, c.weight)
	}
	n, least := 0, float64(p*largest)
	for _, c := range d.kept {
		if c.weight >= least {
			d.kept[n] = c
			n++
		}
	}
	d.kept = d.kept[:n]
	d.settle()
}

// at returns the token at which the running sum of the weights, in index order, passes u of their total, -1 if none does.
func (d *distribution) at(u float64) int32 {
	d.sum()
	target := float64(u * d.total)
	if d.cut {
		sum, last := 0.0, int32(-1)
		for _, c := range d.kept {
			if c.weight > 0 {
				last = c.id
			}
			if sum += c.weight; sum > target {
				return c.id
			}
		}
		return last
	}
	// Find the stride in which the target is passed, then add that one up again, exactly as it was added before.
	stride, _ := slices.BinarySearchFunc(d.sums, target, func(sum, target float64) int {
		if sum > target {
			return 1
		}
		return -1
	})
	if stride == 0 {
		return -1 // only a NaN gets here: the first running sum is 0
	}
	stride--
	sum, last := d.sums[stride], int32(-1)
	for id := stride * sumStride; id < len(d.logits); id++ {
		w := exact.Exp(d.candidate(int32(id)).depth)
		if w > 0 {
			last = int32(id)
		}
		if sum += w; sum > target {
			return int32(id)
		}
	}
	return last
}
