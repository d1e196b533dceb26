package rnn

// gradient is the derivative of a loss by each parameter. Of the embedding
// table only the touched rows are ever other than zero.
type gradient struct {
	values  []float32
	touched []int // rows, in the order of the first touch
	marked  []bool
}

func newGradient(n *Network) *gradient {
	return &gradient{values: make([]float32, len(n.params)), marked: make([]bool, n.config.Rows)}
}

// reset sets it to zero.
func (g *gradient) reset(n *Network) {
	at := &n.at.embedding
	clear(g.values[:at.first])
	for _, r := range g.touched {
		clear(g.values[at.first+r*at.cols:][:at.cols])
		g.marked[r] = false
	}
	g.touched = g.touched[:0]
}

// add adds o to it.
func (g *gradient) add(n *Network, o *gradient) {
	at := &n.at.embedding
	for i, x := range o.values[:at.first] {
		g.values[i] += x
	}
	for _, r := range o.touched {
		g.touch(r)
		row := g.values[at.first+r*at.cols:][:at.cols]
		for i, x := range o.values[at.first+r*at.cols:][:at.cols] {
			row[i] += x
		}
	}
}

func (g *gradient) touch(row int) {
	if !g.marked[row] {
		g.marked[row] = true
		g.touched = append(g.touched, row)
	}
}

// embed hands the derivative by a sum of embeddings on to their rows.
func (g *gradient) embed(n *Network, tokens []uint32, d []float32) {
	if len(tokens) == 0 {
		return
	}
	at := &n.at.embedding
	scale := tokenScale(len(tokens))
	for _, t := range tokens {
		r, sign := n.row(t)
		g.touch(r)
		w := sign * scale
		row := g.values[at.first+r*at.cols:][:len(d)]
		for i, x := range d {
			row[i] += w * x
		}
	}
}

// squares returns the sum of squares.
func (g *gradient) squares(n *Network) float64 {
	at := &n.at.embedding
	sum := squares(g.values[:at.first])
	for _, r := range g.touched {
		sum += squares(g.values[at.first+r*at.cols:][:at.cols])
	}
	return sum
}

// squares adds up in blocks, so that single precision is enough within one.
func squares(x []float32) float64 {
	const block = 256
	sum := 0.0
	for len(x) > 0 {
		some := x[:min(block, len(x))]
		var s float32
		for _, v := range some {
			s += v * v
		}
		sum += float64(s)
		x = x[len(some):]
	}
	return sum
}
