package rnn

// Scratch is the memory that a network needs to answer. One goroutine uses it
// at a time; it grows to what is asked and is then reused.
type Scratch struct {
	input    []float32
	gates    []float32
	inner    []float32
	features []float32
	hidden   []float32
	out      []float32
	question []float32
	scores   []float32
}

// Step folds one observation into the state of a resource, in place: a gated
// recurrent unit (Cho et al. 2014, arXiv:1406.1078, with the reset gate applied
// after the product, as in its first version). A new resource's state is zero.
// state has Config.Hidden numbers. It does not allocate.
func (n *Network) Step(state []float32, s *Step, x *Scratch) {
	c := &n.config
	width := c.Embed + c.Dense
	x.input = resized(x.input, width)
	x.gates = resized(x.gates, 3*c.Hidden)
	x.inner = resized(x.inner, 3*c.Hidden)
	n.embed(x.input[:c.Embed], s.Tokens)
	copy(x.input[c.Embed:], s.Dense[:c.Dense])
	copy(x.gates, n.at.inputBias.of(n.params))
	mul(1, 3*c.Hidden, width, x.input, width, n.at.input.of(n.params), 3*c.Hidden, 1, x.gates, 3*c.Hidden)
	clear(x.inner[:2*c.Hidden])
	copy(x.inner[2*c.Hidden:], n.at.innerBias.of(n.params))
	mul(1, 3*c.Hidden, c.Hidden, state, c.Hidden, n.at.recurrent.of(n.params), 3*c.Hidden, 1, x.inner, 3*c.Hidden)
	gate(c.Hidden, x.gates, x.inner, state, state)
}

// gate turns the pre-activations of reset, update and candidate into the gates,
// in place, and sets next to the state after state; both may be the same.
func gate(h int, gates, inner, state, next []float32) {
	reset, update, candidate := gates[:h], gates[h:2*h], gates[2*h:3*h]
	fromReset, fromUpdate, fromCandidate := inner[:h], inner[h:2*h], inner[2*h:3*h]
	state, next = state[:h], next[:h]
	for i := range reset {
		r := sigmoid(reset[i] + fromReset[i])
		z := sigmoid(update[i] + fromUpdate[i])
		c := tanh(candidate[i] + r*fromCandidate[i])
		reset[i], update[i], candidate[i] = r, z, c
		next[i] = c + z*(state[i]-c)
	}
}
