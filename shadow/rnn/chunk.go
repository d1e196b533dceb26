package rnn

// lane is one sequence on its way through the chunks.
type lane struct {
	tape   *Tape
	seq    *sequence
	length int // steps up to the last question
	steps  int // done before the run
	now    int // in the run
	asked  int // questions done
}

func newLane(t *Tape, s *sequence) lane {
	l := lane{tape: t, seq: s}
	if n := len(s.questions); n > 0 {
		l.length = int(t.asked[s.questions[n-1]].after)
	}
	return l
}

// runs is how many runs of so many steps it takes.
func (l *lane) runs(length int) int { return max(1, (l.length+length-1)/length) }

func longestFirst(a, b lane) int { return b.length - a.length }

// chunk runs some sequences side by side over a run of steps: forwards, and
// backwards through the steps of the run only (truncated back-propagation
// through time, Williams and Peng 1990: the state is carried over, its
// derivative is not). Lanes lie in falling order of their steps in the run, so
// that those still going are always the first rows.
type chunk struct {
	net   *Network
	grad  *gradient // nil: forwards only
	scale float32   // of the derivatives
	loss  Loss
	see   func(q answered)

	lanes []lane
	first []int     // row of lane 0 at each step, and the end
	start []float32 // states before the run, a row for each lane
	input []float32 // [embedding, dense] of each row
	gates []float32
	inner []float32
	state []float32 // after each row
	by    struct{ gates, inner, state, input []float32 }
	block block
}

// answered is a question with the answer as it comes out of a chunk.
type answered struct {
	tape   *Tape
	number uint32
	raw    []float32        // outputs of the query network
	choice [heads][]float32 // log probabilities, nil if none was asked
}

// begin sets the lanes and their first states.
func (c *chunk) begin(net *Network, lanes []lane) {
	c.net, c.lanes = net, lanes
	h := net.config.Hidden
	c.start = resized(c.start, len(lanes)*h)
	clear(c.start)
	for i := range lanes {
		copy(c.start[i*h:][:h], lanes[i].seq.start)
	}
}

// advance takes up to length steps of each lane, answers the questions within,
// adds their loss to c.loss and their derivatives to c.grad, and carries the
// state. It reports whether anything is left to do.
func (c *chunk) advance(length int) bool {
	for i := range c.lanes {
		l := &c.lanes[i]
		l.now = min(length, l.length-l.steps)
	}
	c.forward(length)
	if c.grad != nil {
		c.by.state = resized(c.by.state, len(c.state))
		clear(c.by.state)
	}
	c.questions()
	if c.grad != nil {
		c.backward()
	}
	return c.carry()
}

// carry moves the lanes on and drops those that are done.
func (c *chunk) carry() bool {
	h := c.net.config.Hidden
	left := 0
	for i := range c.lanes {
		l := &c.lanes[i]
		if l.now > 0 {
			copy(c.start[i*h:][:h], c.state[c.row(i, l.now-1)*h:])
		}
		l.steps += l.now
		if l.steps < l.length {
			left = i + 1
		}
	}
	c.lanes = c.lanes[:left]
	return left > 0
}

// row returns the row of a lane's step of the run.
func (c *chunk) row(lane, step int) int { return c.first[step] + lane }

// active returns how many lanes take a step.
func (c *chunk) active(step int) int { return c.first[step+1] - c.first[step] }

// before returns the states before a step, a row for each active lane.
func (c *chunk) before(step int) []float32 {
	if step == 0 {
		return c.start
	}
	return c.state[c.first[step-1]*c.net.config.Hidden:]
}

func (c *chunk) forward(length int) {
	n := c.net
	h, width := n.config.Hidden, n.config.Embed+n.config.Dense
	c.first = append(c.first[:0], 0)
	for active := len(c.lanes); len(c.first) <= length; {
		for active > 0 && c.lanes[active-1].now < len(c.first) {
			active--
		}
		if active == 0 {
			break
		}
		c.first = append(c.first, c.first[len(c.first)-1]+active)
	}
	rows := c.first[len(c.first)-1]
	c.input = resized(c.input, rows*width)
	for i := range c.lanes {
		l := &c.lanes[i]
		for s := range l.now {
			c.gather(c.input[c.row(i, s)*width:][:width], &l.tape.steps, l.seq.steps[l.steps+s])
		}
	}
	c.gates = resized(c.gates, rows*3*h)
	setRows(rows, n.at.inputBias.of(n.params), c.gates)
	mul(rows, 3*h, width, c.input, width, n.at.input.of(n.params), 3*h, 1, c.gates, 3*h)
	c.inner = resized(c.inner, rows*3*h)
	c.state = resized(c.state, rows*h)
	bias := n.at.innerBias.of(n.params)
	for s := range len(c.first) - 1 {
		lo, m := c.first[s], c.active(s)
		before := c.before(s)
		mul(m, 3*h, h, before, h, n.at.recurrent.of(n.params), 3*h, 0, c.inner[lo*3*h:], 3*h)
		for i := range m {
			inner := c.inner[(lo+i)*3*h:][:3*h]
			for j, b := range bias {
				inner[2*h+j] += b
			}
			gate(h, c.gates[(lo+i)*3*h:], inner, before[i*h:], c.state[(lo+i)*h:])
		}
	}
}

// gather sets dst to [embedding, dense] of a row.
func (c *chunk) gather(dst []float32, t *table, row uint32) {
	e := c.net.config.Embed
	c.net.embed(dst[:e], t.tokensOf(row))
	copy(dst[e:], t.row(row))
}

// backward takes the derivatives by the states back through the run.
func (c *chunk) backward() {
	n, at := c.net, &c.net.at
	h := n.config.Hidden
	rows := c.first[len(c.first)-1]
	if rows == 0 {
		return
	}
	c.by.gates = resized(c.by.gates, rows*3*h)
	c.by.inner = resized(c.by.inner, rows*3*h)
	for s := len(c.first) - 2; s >= 0; s-- {
		lo, m := c.first[s], c.active(s)
		before := c.before(s)
		for i := range m {
			c.gateBack(lo+i, before[i*h:])
		}
		if s > 0 {
			by := c.by.state[c.first[s-1]*h:]
			for i := range m {
				c.through(lo+i, by[i*h:])
			}
			mulByTransposed(m, h, 3*h, c.by.inner[lo*3*h:], 3*h, at.recurrent.of(n.params), 3*h, 1, by, h)
		}
		addTransposedMul(h, 3*h, m, before, h, c.by.inner[lo*3*h:], 3*h, at.recurrent.of(c.grad.values), 3*h)
	}
	addRows(at.innerBias.of(c.grad.values), rows, c.by.inner[2*h:], 3*h)
	addRows(at.inputBias.of(c.grad.values), rows, c.by.gates, 3*h)
	e, width := n.config.Embed, n.config.Embed+n.config.Dense
	addTransposedMul(width, 3*h, rows, c.input, width, c.by.gates, 3*h, at.input.of(c.grad.values), 3*h)
	c.by.input = resized(c.by.input, rows*e)
	mulByTransposed(rows, e, 3*h, c.by.gates, 3*h, at.input.of(n.params), 3*h, 0, c.by.input, e)
	for i := range c.lanes {
		l := &c.lanes[i]
		for s := range l.now {
			row := c.row(i, s)
			c.grad.embed(n, l.tape.steps.tokensOf(l.seq.steps[l.steps+s]), c.by.input[row*e:][:e])
		}
	}
}

// gateBack sets the derivatives by the pre-activations of a row from the one by
// its state.
func (c *chunk) gateBack(row int, before []float32) {
	h := c.net.config.Hidden
	gates, inner := c.gates[row*3*h:][:3*h], c.inner[row*3*h:][:3*h]
	byGates, byInner := c.by.gates[row*3*h:][:3*h], c.by.inner[row*3*h:][:3*h]
	by := c.by.state[row*h:][:h]
	before = before[:h]
	for i, d := range by {
		r, z, n := gates[i], gates[h+i], gates[2*h+i]
		m := inner[2*h+i]
		byN := d * (1 - z) * (1 - n*n)
		byZ := d * (before[i] - n) * z * (1 - z)
		byR := byN * m * r * (1 - r)
		byGates[i], byGates[h+i], byGates[2*h+i] = byR, byZ, byN
		byInner[i], byInner[h+i], byInner[2*h+i] = byR, byZ, byN*r
	}
}

// through adds what a row hands through its update gate to the derivative by
// the state before it.
func (c *chunk) through(row int, before []float32) {
	h := c.net.config.Hidden
	update := c.gates[row*3*h+h:][:h]
	for i, d := range c.by.state[row*h:][:h] {
		before[i] += d * update[i]
	}
}
