package backtest

import (
	"time"

	"github.com/penumbra-iac/penumbra"
	"github.com/penumbra-iac/penumbra/shadow"
)

// chosen scores the values that a model chooses for the settings that change.
type chosen struct {
	name    string
	chooser shadow.Chooser // nil of a naive predictor
	guess   func(r *resource, s *setting) penumbra.Value
	latest  map[int32]penumbra.Value // by class: the last value set, for the naive one
	news    []latestValue

	all, resolved choice
}

type latestValue struct {
	class int32
	value penumbra.Value
}

// choice counts what was chosen.
type choice struct {
	N, First, Known int
	Loss            float64
	Sets            tallies
}

// join adds what was counted of another part of the estate.
func (c *choice) join(y *choice) {
	c.N += y.N
	c.First += y.First
	c.Known += y.Known
	c.Loss += y.Loss
	c.Sets.join(&y.Sets)
}

// newChosen returns the naive predictors of values, then the models that
// choose.
func newChosen(entrants []Entrant) []*chosen {
	fleet := &chosen{name: "the last value set in the fleet", latest: map[int32]penumbra.Value{}}
	fleet.guess = func(_ *resource, s *setting) penumbra.Value { return fleet.latest[s.class] }
	out := []*chosen{fleet, {name: "its value before", guess: func(_ *resource, s *setting) penumbra.Value { return s.earlier }}}
	for _, e := range entrants {
		if c, ok := e.Model.(shadow.Chooser); ok && !e.Baseline {
			out = append(out, &chosen{name: e.Name, chooser: c})
		}
	}
	return out
}

func (x *chosen) ask(r *resource, moves []move, at time.Time) {
	for _, m := range moves {
		if !m.left {
			continue
		}
		s := r.find(m.path)
		counts := []*choice{&x.all}
		if !isReference(m) {
			counts = append(counts, &x.resolved)
		}
		if x.chooser == nil {
			for _, c := range counts {
				c.guessed(x.guess(r, s), m.to)
			}
			continue
		}
		candidates := x.chooser.Choose(&r.noun, m.path, at)
		var sets [len(Confidences)]penumbra.Expectation
		for i, confidence := range Confidences {
			sets[i] = x.chooser.ChooseSet(&r.noun, m.path, at, confidence)
		}
		for _, c := range counts {
			c.candidates(candidates, m.to)
			for i := range sets {
				c.Sets[i].add(&sets[i], m.to, at)
			}
		}
	}
}

// note keeps what a naive predictor is to learn when the commit is over.
func (x *chosen) note(r *resource, moves []move) {
	if x.latest == nil {
		return
	}
	for _, m := range moves {
		if m.left {
			x.news = append(x.news, latestValue{r.find(m.path).class, m.to})
		}
	}
}

// learn takes in what the commit brought.
func (x *chosen) learn() {
	for _, n := range x.news {
		x.latest[n.class] = n.value
	}
	x.news = x.news[:0]
}

// isReference reports whether either value is an unresolved expression or the
// place that a module is taken from: what it stands for is not known.
func isReference(m move) bool {
	path := m.path[max(0, lastDot(m.path)+1):]
	return path == "source_ref" || path == "source" || shadow.IsReference(m.from.Text()) || shadow.IsReference(m.to.Text())
}

func lastDot(path string) int {
	for i := len(path) - 1; i >= 0; i-- {
		if path[i] == '.' {
			return i
		}
	}
	return -1
}

func (c *choice) guessed(guess, v penumbra.Value) {
	c.N++
	if !guess.IsNull() && guess == v {
		c.First++
		c.Known++
	}
}

func (c *choice) candidates(candidates []penumbra.Candidate, v penumbra.Value) {
	c.N++
	rest := 1.0
	p := -1.0
	for i, x := range candidates {
		rest -= x.Probability
		if x.Value == v {
			p = x.Probability
			c.Known++
			if i == 0 {
				c.First++
			}
		}
	}
	if p < 0 {
		p = rest
	}
	c.Loss += logLoss(p)
}

// Choices is how well the value was chosen for settings that changed.
type Choices struct {
	Name    string `json:"name"`
	Changes int    `json:"changes"`
	// First is the share in which the likeliest candidate was the value, Known
	// that in which any of them was.
	First float64 `json:"first"`
	Known float64 `json:"known"`
	// LogLoss is the mean of that of the value; of one that was no candidate, of
	// the probability that was left for them all. Nil of a naive predictor.
	LogLoss *float64   `json:"log_loss,omitempty"`
	Sets    []Coverage `json:"sets,omitempty"`
}

func (c *choice) report(name string, naive bool) Choices {
	n := max(1, float64(c.N))
	out := Choices{Name: name, Changes: c.N, First: float64(c.First) / n, Known: float64(c.Known) / n}
	if !naive {
		loss := c.Loss / n
		out.LogLoss, out.Sets = &loss, c.Sets.coverage()
	}
	return out
}
