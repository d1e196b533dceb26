package rnn

import "math"

// reference is the network once more, in double precision, one number at a
// time and without any of the batching: what the gradients and the fast paths
// are held against.
type reference struct {
	config Config
	at     layout
	p      []float64
}

func newReference(n *Network) *reference {
	r := &reference{config: n.config, at: n.at, p: make([]float64, len(n.params))}
	for i, x := range n.params {
		r.p[i] = float64(x)
	}
	return r
}

func (r *reference) get(s span, row, col int) float64 { return r.p[s.first+row*s.cols+col] }

// times returns x times the matrix.
func (r *reference) times(x []float64, s span) []float64 {
	if len(x) != s.rows {
		panic("shapes differ")
	}
	out := make([]float64, s.cols)
	for j := range out {
		for i := range x {
			out[j] += x[i] * r.get(s, i, j)
		}
	}
	return out
}

func (r *reference) features(dense []float32, tokens []uint32) []float64 {
	out := make([]float64, r.config.Embed)
	for _, t := range tokens {
		sign := 1.0
		if t >= 1<<31 {
			sign = -1
		}
		for i := range out {
			out[i] += sign * r.get(r.at.embedding, int(t%uint32(r.config.Rows)), i) / math.Sqrt(float64(len(tokens)))
		}
	}
	for _, x := range dense {
		out = append(out, float64(x))
	}
	return out
}

func (r *reference) step(h []float64, t *table, row uint32) []float64 {
	n := r.config.Hidden
	x := r.times(r.features(t.row(row), t.tokensOf(row)), r.at.input)
	u := r.times(h, r.at.recurrent)
	out := make([]float64, n)
	for i := range out {
		reset := logistic(x[i] + r.get(r.at.inputBias, 0, i) + u[i])
		update := logistic(x[n+i] + r.get(r.at.inputBias, 0, n+i) + u[n+i])
		candidate := math.Tanh(x[2*n+i] + r.get(r.at.inputBias, 0, 2*n+i) + reset*(u[2*n+i]+r.get(r.at.innerBias, 0, i)))
		out[i] = (1-update)*candidate + update*h[i]
	}
	return out
}

// ask returns the hidden layer and the outputs.
func (r *reference) ask(h []float64, t *table, row uint32) (hidden, out []float64) {
	all := r.times(append(append([]float64(nil), h...), r.features(t.row(row), t.tokensOf(row))...), r.at.query)
	for j := range all {
		all[j] += r.get(r.at.queryBias, 0, j)
	}
	w := r.config.Width
	for _, x := range all[:w] {
		hidden = append(hidden, math.Tanh(x))
	}
	out = r.times(hidden, r.at.output)
	for j := range out {
		out[j] += all[w+j]
	}
	return hidden, out
}

func (r *reference) quantiles(raw []float64) []float64 {
	q := make([]float64, quantiles)
	q[median] = raw[median]
	for i := median + 1; i < quantiles; i++ {
		q[i] = q[i-1] + math.Log1p(math.Exp(raw[i]))
	}
	for i := median - 1; i >= 0; i-- {
		q[i] = q[i+1] - math.Log1p(math.Exp(raw[i]))
	}
	return q
}

// choose returns the log probabilities.
func (r *reference) choose(hidden []float64, head Head, t *Tape, k choice) []float64 {
	at := r.at.choice[head]
	w := r.config.choiceWidth()
	question := r.times(hidden, at.question)
	var out []float64
	sum := 0.0
	for j := range k.n {
		row := k.first + j
		layer := r.times(r.features(t.alternatives.row(row), t.alternatives.tokensOf(row)), at.alternative)
		score := float64(t.scores[row]) + layer[w]
		for i := range w {
			score += math.Tanh(layer[i]+question[i]+r.get(at.bias, 0, i)) * r.get(at.score, 0, i)
		}
		out = append(out, score)
		sum += math.Exp(score)
	}
	for j := range out {
		out[j] -= math.Log(sum)
	}
	return out
}

// loss returns the sum over all questions of a tape.
func (r *reference) loss(t *Tape) float64 {
	total := 0.0
	for i := range t.sequences {
		s := &t.sequences[i]
		h := make([]float64, r.config.Hidden)
		for j, x := range s.start {
			h[j] = float64(x)
		}
		states := [][]float64{h}
		for _, step := range s.steps {
			h = r.step(h, &t.steps, step)
			states = append(states, h)
		}
		for _, q := range s.questions {
			total += r.questionLoss(states[t.asked[q].after], t, q)
		}
	}
	return total
}

func (r *reference) questionLoss(h []float64, t *Tape, q uint32) float64 {
	a := t.asked[q]
	hidden, raw := r.ask(h, &t.questions, q)
	loss := 0.0
	for k := range Horizons {
		p := logistic(float64(a.offset[k]) + raw[k])
		switch {
		case k < int(a.survived):
			loss -= math.Log(1 - p)
		case k == int(a.survived) && a.happened:
			loss -= math.Log(p)
		}
	}
	if a.sized() {
		for i, v := range r.quantiles(raw[Horizons:]) {
			over := float64(a.ratio) - v
			loss += max(Levels[i]*over, (Levels[i]-1)*over) / float64(quantiles)
		}
	}
	for head := range Head(heads) {
		if k := a.choice[head]; k > 0 {
			c := t.choices[k-1]
			loss -= r.choose(hidden, head, t, c)[c.chosen]
		}
	}
	return float64(a.weight) * loss
}
