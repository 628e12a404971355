package cpu

// mostSums bounds a call of mulFloats64, in multiply-adds, as maxCall does for products.
const mostSums = 1 << 20

// MulFloats64 sets dst[t*stride+r] to the product in float64 of row t of x and row r of w, of cols columns each (ref.MulFloats64). It is no
// operation of a step: it runs at once, on the goroutine that calls it, beside whatever the workers do.
func (d *Device) MulFloats64(dst []float64, stride int, w, x []float32, cols int) {
	const most = 4 // rows of x in a call, as many as share what is loaded of w
	step := max(2, mostSums/(most*cols)&^1)
	rows, count := len(w)/cols, len(x)/cols
	for t := 0; t < count; t += most {
		some := x[t*cols : min(t+most, count)*cols]
		for r := 0; r < rows; r += step {
			d.table.mulFloats64(dst[t*stride+r:], stride, w[r*cols:min(r+step, rows)*cols], some, cols)
		}
	}
}
