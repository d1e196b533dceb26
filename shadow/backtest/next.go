package backtest

import (
	"cmp"
	"math"
	"slices"
	"time"

	"github.com/penumbra-iac/penumbra"
	"github.com/penumbra-iac/penumbra/shadow"
)

// hits are how many guesses may be made.
var hits = [...]int{1, 5, 9}

// asked is how many guesses a model is asked for.
const asked = 32

// Next is how well is said which settings of a resource change next. A commit
// asks once of each resource in which settings take another value, and nothing
// of it is known then. Settings that it adds or takes away are not counted.
type Next struct {
	Name  string `json:"name"`
	Asked int    `json:"asked"`
	// Hit1, Hit5 and Hit9 are the shares in which one of so many guesses, paths
	// with list indices masked, was among those that changed.
	Hit1 float64 `json:"hit_1"`
	Hit5 float64 `json:"hit_5"`
	Hit9 float64 `json:"hit_9"`
	// Settings is how many changed, a path with list indices masked once for a
	// resource; Each1 and so on are the shares of them that were among the guesses.
	Settings int     `json:"settings"`
	Each1    float64 `json:"each_1"`
	Each5    float64 `json:"each_5"`
	Each9    float64 `json:"each_9"`
	// LogLoss is the mean of that of each that changed; nil of a naive predictor.
	LogLoss *float64 `json:"log_loss,omitempty"`
}

// followed scores what is said to come next.
type followed struct {
	name      string
	successor shadow.Successor
	guess     func(r *resource) []shadow.Ranked // a naive one's
	naive     naiveRule
	counts    map[penumbra.Address]map[string]float64 // a naive one's, of the resource
	types     map[string]map[string]float64           // and of its type
	news      []touched

	learnt int // commits
	guesses
}

// guesses counts which of them were right.
type guesses struct {
	Asked, Settings int
	Hit, Each       [len(hits)]int
	Loss            float64
}

// join adds what was counted of another part of the estate.
func (g *guesses) join(y *guesses) {
	g.Asked += y.Asked
	g.Settings += y.Settings
	for k := range hits {
		g.Hit[k] += y.Hit[k]
		g.Each[k] += y.Each[k]
	}
	g.Loss += y.Loss
}

type touched struct {
	resource penumbra.Address
	kind     string
	class    string
}

// naiveRule is how a naive predictor ranks.
type naiveRule uint8

const (
	byLast         naiveRule = iota // what changed last, first
	byCount                         // what changed most often
	byInterpolated                  // the same, with the counts of the type
)

var naiveNames = [...]string{byLast: "the last again", byCount: "own counts", byInterpolated: "interpolated counts"}

func newFollowed(entrants []Entrant) []*followed {
	var out []*followed
	for rule := range naiveNames {
		out = append(out, newNaiveFollowed(naiveRule(rule)))
	}
	for _, e := range entrants {
		if s, ok := e.Model.(shadow.Successor); ok && !e.Baseline {
			out = append(out, &followed{name: e.Name, successor: s})
		}
	}
	return out
}

func newNaiveFollowed(rule naiveRule) *followed {
	f := &followed{name: naiveNames[rule], naive: rule, counts: map[penumbra.Address]map[string]float64{}}
	f.guess = func(r *resource) []shadow.Ranked { return rankedBy(f.counts[r.noun.Address]) }
	if rule == byInterpolated {
		f.types = map[string]map[string]float64{}
		f.guess = func(r *resource) []shadow.Ranked {
			return rankedBy(interpolate(f.counts[r.noun.Address], f.types[r.noun.Type]))
		}
	}
	return f
}

func rankedBy(counts map[string]float64) []shadow.Ranked {
	out := make([]shadow.Ranked, 0, len(counts))
	for class, n := range counts {
		out = append(out, shadow.Ranked{Class: class, Probability: n})
	}
	slices.SortFunc(out, func(a, b shadow.Ranked) int {
		return cmp.Or(cmp.Compare(b.Probability, a.Probability), cmp.Compare(a.Class, b.Class))
	})
	return out[:min(len(out), asked)]
}

// interpolate mixes a resource's counts with those of its type, which count as
// one change of the resource (Witten and Bell's estimate with one type of
// event; Jelinek and Mercer 1980).
func interpolate(own, kind map[string]float64) map[string]float64 {
	out := make(map[string]float64, len(kind))
	all, of := 0.0, 0.0
	for _, n := range kind {
		all += n
	}
	for _, n := range own {
		of += n
	}
	for class, n := range kind { // has all that own has
		out[class] = (own[class] + n/all) / (of + 1)
	}
	return out
}

func (f *followed) ask(r *resource, moves []move, at time.Time) {
	if !slices.ContainsFunc(moves, func(m move) bool { return m.left }) {
		return
	}
	var ranked []shadow.Ranked
	if f.successor != nil {
		ranked = f.successor.Next(&r.noun, at, asked)
	} else {
		ranked = f.guess(r)
	}
	var any [len(hits)]bool
	done := map[string]bool{}
	f.Asked++
	for _, m := range moves {
		class := shadow.Mask(m.path)
		if !m.left || done[class] {
			continue
		}
		done[class] = true
		f.Settings++
		i := slices.IndexFunc(ranked, func(x shadow.Ranked) bool { return x.Class == class })
		p := 0.0
		if i >= 0 {
			p = ranked[i].Probability
		}
		f.Loss += logLoss(p)
		for k, n := range hits {
			if i >= 0 && i < n {
				any[k] = true
				f.Each[k]++
			}
		}
	}
	for k, hit := range any {
		if hit {
			f.Hit[k]++
		}
	}
}

// note keeps what a naive predictor is to learn when the commit is over.
func (f *followed) note(r *resource, moves []move) {
	if f.counts == nil {
		return
	}
	for _, m := range moves {
		if m.left {
			f.news = append(f.news, touched{r.noun.Address, r.noun.Type, shadow.Mask(m.path)})
		}
	}
}

// learn takes in what the commit brought.
func (f *followed) learn() {
	f.learnt++
	for _, n := range f.news {
		c := f.counts[n.resource]
		if c == nil {
			c = map[string]float64{}
			f.counts[n.resource] = c
		}
		if f.types != nil {
			if f.types[n.kind] == nil {
				f.types[n.kind] = map[string]float64{}
			}
			f.types[n.kind][n.class]++
		}
		if f.naive == byLast { // what changed now comes before all that changed earlier
			c[n.class] = float64(f.learnt)
		} else {
			c[n.class]++
		}
	}
	f.news = f.news[:0]
}

func (f *followed) report() Next {
	asked, settings := max(1, float64(f.Asked)), max(1, float64(f.Settings))
	out := Next{
		Name: f.name, Asked: f.Asked, Settings: f.Settings,
		Hit1: float64(f.Hit[0]) / asked, Hit5: float64(f.Hit[1]) / asked, Hit9: float64(f.Hit[2]) / asked,
		Each1: float64(f.Each[0]) / settings, Each5: float64(f.Each[1]) / settings, Each9: float64(f.Each[2]) / settings,
	}
	if f.successor != nil {
		loss := f.Loss / settings
		out.LogLoss = &loss
	}
	return out
}

// least is what a probability counts as at least: nobody is punished without
// end for a surprise.
const least = 1e-6

func logLoss(p float64) float64 { return -math.Log(min(1, max(least, p))) }
