package rnn

// blockRows is how many questions go through the query network at once.
const blockRows = 256

// block is some questions of a chunk on their way through the query network.
type block struct {
	rows   []blockRow
	input  []float32 // [state, embedding, dense]
	hidden []float32
	out    []float32
	by     struct{ hidden, out, input []float32 }

	alternatives, layer, scores []float32
	byLayer, byAlternative      []float32
	choices                     [heads][]float32
}

type blockRow struct {
	tape   *Tape
	number uint32
	state  int // row of the chunk's states, -1 for the lane's first state
	lane   int
}

// questions answers those of the run, in blocks.
func (c *chunk) questions() {
	b := &c.block
	b.rows = b.rows[:0]
	for i := range c.lanes {
		l := &c.lanes[i]
		for ; l.asked < len(l.seq.questions); l.asked++ {
			number := l.seq.questions[l.asked]
			a := &l.tape.asked[number]
			if int(a.after) > l.steps+l.now {
				break
			}
			if c.see == nil && !a.answered() {
				continue
			}
			state := -1
			if at := int(a.after) - l.steps; at > 0 {
				state = c.row(i, at-1)
			}
			b.rows = append(b.rows, blockRow{tape: l.tape, number: number, state: state, lane: i})
			if len(b.rows) == blockRows {
				c.answer()
			}
		}
	}
	if len(b.rows) > 0 {
		c.answer()
	}
}

// answer takes one block forwards and, if wanted, backwards.
func (c *chunk) answer() {
	n, b := c.net, &c.block
	h, e := n.config.Hidden, n.config.Embed
	width, cols := h+e+n.config.Query, n.config.Width+outputs
	m := len(b.rows)
	b.input = resized(b.input, m*width)
	for i := range b.rows {
		q := &b.rows[i]
		dst := b.input[i*width:][:width]
		if q.state >= 0 {
			copy(dst[:h], c.state[q.state*h:])
		} else {
			copy(dst[:h], c.start[q.lane*h:])
		}
		c.gather(dst[h:], &q.tape.questions, q.number)
	}
	b.hidden, b.out = resized(b.hidden, m*cols), resized(b.out, m*outputs)
	setRows(m, n.at.queryBias.of(n.params), b.hidden)
	mul(m, cols, width, b.input, width, n.at.query.of(n.params), cols, 1, b.hidden, cols)
	n.activate(m, b.hidden, b.out)
	if c.grad != nil {
		b.by.hidden, b.by.out = resized(b.by.hidden, m*cols), resized(b.by.out, m*outputs)
		clear(b.by.hidden)
		clear(b.by.out)
	}
	for i := range b.rows {
		c.judge(i)
	}
	if c.grad != nil {
		c.answerBack()
	}
	b.rows = b.rows[:0]
}

// judge adds the loss of one question and sets the derivatives by its outputs.
func (c *chunk) judge(i int) {
	b := &c.block
	q := &b.rows[i]
	a := &q.tape.asked[q.number]
	raw := b.out[i*outputs:][:outputs]
	var d [outputs]float32
	if a.timed() {
		var logits [Horizons]float32
		for k, o := range a.offset {
			logits[k] = o + raw[k]
		}
		c.loss.Hazard.add(a.weight, a.hazard(&logits, d[:Horizons]))
	}
	if a.sized() {
		c.loss.Ratio.add(a.weight, a.pinball(raw[Horizons:], d[Horizons:]))
	}
	if c.grad != nil {
		by := b.by.out[i*outputs:][:outputs]
		for k, x := range d {
			by[k] = c.scale * x
		}
	}
	var chosen [heads][]float32
	for head := range Head(heads) {
		if k := a.choice[head]; k > 0 {
			chosen[head] = c.choose(i, head, &q.tape.choices[k-1])
		}
	}
	if c.see != nil {
		c.see(answered{tape: q.tape, number: q.number, raw: raw, choice: chosen})
	}
}

// choose adds the loss of one choice, and its derivatives by the hidden layer
// of the question and by the parameters. It returns the log probabilities.
func (c *chunk) choose(i int, head Head, k *choice) []float32 {
	n, b := c.net, &c.block
	q := &b.rows[i]
	a := &q.tape.asked[q.number]
	w, e := n.config.choiceWidth(), n.config.Embed
	width, cols := e+n.config.Alternative, n.config.Width+outputs
	m := int(k.n)
	b.alternatives = resized(b.alternatives, m*width)
	b.layer = resized(b.layer, m*(w+1))
	b.choices[head] = append(b.choices[head][:0], q.tape.scores[k.first:k.first+k.n]...)
	p := b.choices[head]
	for j := range m {
		c.gather(b.alternatives[j*width:][:width], &q.tape.alternatives, k.first+uint32(j))
	}
	hidden := b.hidden[i*cols:][:n.config.Width]
	n.score(head, hidden, m, b.alternatives, b.layer, p)
	logSoftmax(p)
	c.loss.Choice[head].add(a.weight, -float64(p[k.chosen]))
	if c.grad == nil {
		return p
	}

	at, grad := &n.at.choice[head], c.grad.values
	v, byV := at.score.of(n.params), at.score.of(grad)
	b.byLayer = resized(b.byLayer, m*(w+1))
	weight := a.weight * c.scale
	for j := range m {
		d := weight * exp(p[j])
		if j == int(k.chosen) {
			d -= weight
		}
		row, by := b.layer[j*(w+1):][:w+1], b.byLayer[j*(w+1):][:w+1]
		for x, t := range row[:w] {
			byV[x] += d * t
			by[x] = d * v[x] * (1 - t*t)
		}
		by[w] = d
	}
	addTransposedMul(width, w+1, m, b.alternatives, width, b.byLayer, w+1, at.alternative.of(grad), w+1)
	b.byAlternative = resized(b.byAlternative, m*e)
	mulByTransposed(m, e, w+1, b.byLayer, w+1, at.alternative.of(n.params), w+1, 0, b.byAlternative, e)
	for j := range m {
		c.grad.embed(n, q.tape.alternatives.tokensOf(k.first+uint32(j)), b.byAlternative[j*e:][:e])
	}
	// The question's part is the same for each alternative.
	b.scores = resized(b.scores, w)
	clear(b.scores)
	addRows(b.scores, m, b.byLayer, w+1)
	addRows(at.bias.of(grad), 1, b.scores, w)
	addTransposedMul(n.config.Width, w, 1, hidden, cols, b.scores, w, at.question.of(grad), w)
	mulByTransposed(1, n.config.Width, w, b.scores, w, at.question.of(n.params), w, 1, b.by.hidden[i*cols:], cols)
	return p
}

// answerBack takes the derivatives of a block back to the states, the tokens
// and the parameters.
func (c *chunk) answerBack() {
	n, b := c.net, &c.block
	at, grad := &n.at, c.grad.values
	h, e := n.config.Hidden, n.config.Embed
	width, cols := h+e+n.config.Query, n.config.Width+outputs
	m := len(b.rows)
	mulByTransposed(m, n.config.Width, outputs, b.by.out, outputs, at.output.of(n.params), outputs, 1, b.by.hidden, cols)
	addTransposedMul(n.config.Width, outputs, m, b.hidden, cols, b.by.out, outputs, at.output.of(grad), outputs)
	for i := range m {
		by, t := b.by.hidden[i*cols:][:cols], b.hidden[i*cols:][:n.config.Width]
		for j, x := range t {
			by[j] *= 1 - x*x
		}
		copy(by[n.config.Width:], b.by.out[i*outputs:][:outputs])
	}
	addRows(at.queryBias.of(grad), m, b.by.hidden, cols)
	addTransposedMul(width, cols, m, b.input, width, b.by.hidden, cols, at.query.of(grad), cols)
	b.by.input = resized(b.by.input, m*(h+e))
	mulByTransposed(m, h+e, cols, b.by.hidden, cols, at.query.of(n.params), cols, 0, b.by.input, h+e)
	for i := range b.rows {
		q := &b.rows[i]
		by := b.by.input[i*(h+e):][:h+e]
		if q.state >= 0 {
			dst := c.by.state[q.state*h:][:h]
			for j, x := range by[:h] {
				dst[j] += x
			}
		}
		c.grad.embed(n, q.tape.questions.tokensOf(q.number), by[h:])
	}
}
