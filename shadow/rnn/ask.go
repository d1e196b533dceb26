package rnn

import "math"

// Answer is what the network says to a question.
type Answer struct {
	// Hazard is the log odds that it happens in an interval, given that it did
	// not before.
	Hazard [Horizons]float32
	raw    [quantiles]float32
}

// Quantiles returns those of the log of new over old at [Levels], rising.
func (a *Answer) Quantiles() [len(Levels)]float32 {
	var out [quantiles]float32
	rising(&out, a.raw[:])
	return out
}

// Within returns the probability that it happens within each horizon.
func (a *Answer) Within() [Horizons]float64 {
	var out [Horizons]float64
	stays := 0.0 // log of the probability that it has not happened
	for i, x := range a.Hazard {
		stays -= softplus(float64(x))
		out[i] = -math.Expm1(stays)
	}
	return out
}

// Ask answers one question. state has Config.Hidden numbers and is not changed.
// It does not allocate once the scratch has grown.
func (n *Network) Ask(state []float32, q *Question, out *Answer, x *Scratch) {
	c := &n.config
	x.features = resized(x.features, c.Embed+c.Query)
	n.embed(x.features[:c.Embed], q.Tokens)
	copy(x.features[c.Embed:], q.Dense[:c.Query])
	n.ask(state, 1, x)
	out.set(x.out, &q.Offset)
}

// AskAll answers many questions of one state; it is cheaper than Ask for each.
func (n *Network) AskAll(state []float32, questions []Question, out []Answer, x *Scratch) {
	c := &n.config
	width := c.Embed + c.Query
	for first := 0; first < len(questions); first += tile {
		some := questions[first:min(first+tile, len(questions))]
		x.features = resized(x.features, tile*width)
		for i := range some {
			f := x.features[i*width:][:width]
			n.embed(f[:c.Embed], some[i].Tokens)
			copy(f[c.Embed:], some[i].Dense[:c.Query])
		}
		n.ask(state, len(some), x)
		for i := range some {
			out[first+i].set(x.out[i*outputs:], &some[i].Offset)
		}
	}
}

// ask sets x.hidden and x.out from m rows of x.features.
func (n *Network) ask(state []float32, m int, x *Scratch) {
	c := &n.config
	cols, width := c.Width+outputs, c.Embed+c.Query
	weights := n.at.query.of(n.params)
	x.hidden = resized(x.hidden, m*cols)
	x.out = resized(x.out, m*outputs)
	// The state's part is the same in each row.
	x.question = resized(x.question, cols)
	copy(x.question, n.at.queryBias.of(n.params))
	mul(1, cols, c.Hidden, state, c.Hidden, weights, cols, 1, x.question, cols)
	setRows(m, x.question, x.hidden)
	mul(m, cols, width, x.features, width, weights[c.Hidden*cols:], cols, 1, x.hidden, cols)
	n.activate(m, x.hidden, x.out)
}

// activate turns m rows of pre-activations of the query network into its hidden
// layer, in place, and sets out to its outputs.
func (n *Network) activate(m int, hidden, out []float32) {
	c := &n.config
	cols := c.Width + outputs
	for i := range m {
		row := hidden[i*cols:][:cols]
		for j, v := range row[:c.Width] {
			row[j] = tanh(v)
		}
		copy(out[i*outputs:], row[c.Width:])
	}
	mul(m, outputs, c.Width, hidden, cols, n.at.output.of(n.params), outputs, 1, out, outputs)
}

// set fills the answer from one row of outputs.
func (a *Answer) set(raw []float32, offset *[Horizons]float32) {
	for i, o := range offset {
		a.Hazard[i] = o + raw[i]
	}
	copy(a.raw[:], raw[Horizons:])
}

// rising turns raw outputs into quantiles that cannot cross: the median, and
// positive steps away from it.
func rising(out *[quantiles]float32, raw []float32) {
	out[median] = raw[median]
	for i := median + 1; i < quantiles; i++ {
		out[i] = out[i-1] + float32(softplus(float64(raw[i])))
	}
	for i := median - 1; i >= 0; i-- {
		out[i] = out[i+1] - float32(softplus(float64(raw[i])))
	}
}

// Choose sets out[i] to the log probability of alternative i, a conditional
// logit (McFadden 1974). q's Offset plays no part. It does not allocate once
// the scratch has grown.
func (n *Network) Choose(state []float32, q *Question, head Head, alternatives []Alternative, out []float32, x *Scratch) {
	c := &n.config
	x.features = resized(x.features, c.Embed+c.Query)
	n.embed(x.features[:c.Embed], q.Tokens)
	copy(x.features[c.Embed:], q.Dense[:c.Query])
	n.ask(state, 1, x)

	width := c.Embed + c.Alternative
	x.features = resized(x.features, len(alternatives)*width)
	x.scores = resized(x.scores, len(alternatives)*(c.choiceWidth()+1))
	for i := range alternatives {
		f := x.features[i*width:][:width]
		n.embed(f[:c.Embed], alternatives[i].Tokens)
		copy(f[c.Embed:], alternatives[i].Dense[:c.Alternative])
		out[i] = alternatives[i].Offset
	}
	n.score(head, x.hidden, len(alternatives), x.features, x.scores, out)
	logSoftmax(out[:len(alternatives)])
}

// score adds the residual of each of m alternatives to out. hidden is the
// question's hidden layer, features m rows; layer is set to the hidden layer of
// the head, with the linear path in its last column.
func (n *Network) score(head Head, hidden []float32, m int, features, layer, out []float32) {
	if m == 0 {
		return
	}
	c := &n.config
	w, width := c.choiceWidth(), c.Embed+c.Alternative
	at := &n.at.choice[head]
	first := layer[:w+1]
	copy(first, at.bias.of(n.params))
	first[w] = 0
	mul(1, w, c.Width, hidden, c.Width, at.question.of(n.params), w, 1, first, w)
	for i := 1; i < m; i++ {
		copy(layer[i*(w+1):], first)
	}
	mul(m, w+1, width, features, width, at.alternative.of(n.params), w+1, 1, layer, w+1)
	v := at.score.of(n.params)
	for i := range m {
		row := layer[i*(w+1):][:w+1]
		sum := row[w]
		for j, p := range row[:w] {
			row[j] = tanh(p)
			sum += v[j] * row[j]
		}
		out[i] += sum
	}
}

func logSoftmax(x []float32) {
	most := float32(math.Inf(-1))
	for _, v := range x {
		most = max(most, v)
	}
	sum := 0.0
	for _, v := range x {
		sum += math.Exp(float64(v - most))
	}
	all := float32(math.Log(sum))
	for i := range x {
		x[i] = x[i] - most - all
	}
}
