package backtest

import (
	"math"
	"slices"
	"time"

	"github.com/penumbra-iac/penumbra"
)

// predictor is one of those whose answers are scored.
type predictor struct {
	name    string
	entrant int  // index of the model that it is or belongs to, -1 if it is naive
	expert  bool // of that model
	// ranks marks one that only says which is likelier, the same at each horizon.
	ranks bool
}

// The naive predictors.
const (
	sinceChange = iota
	ownFrequency
	ownDecayed
	rateSoFar
	naive
)

var naivePredictors = [naive]predictor{
	sinceChange:  {name: "days since the last change", entrant: -1, ranks: true},
	ownFrequency: {name: "own frequency", entrant: -1, ranks: true},
	ownDecayed:   {name: "own count, decayed (90 d)", entrant: -1, ranks: true},
	rateSoFar:    {name: "rate of the estate so far", entrant: -1},
}

// cut is what was asked at one time, a row for each setting.
type cut struct {
	at      int64
	setting []int32
	left    []int32 // index of the first change within the longest horizon, -1 if none
	// answers are levels, by predictor and horizon; one that only ranks has its
	// answers at each horizon in one place.
	answers [][][]uint16
}

// predictors returns all of them: the naive ones, then each model with its
// experts before it.
func predictors(entrants []Entrant) []predictor {
	out := slices.Clone(naivePredictors[:])
	for i, e := range entrants {
		if x, ok := e.Model.(ensemble); ok {
			for _, name := range x.Experts() {
				out = append(out, predictor{name: e.Name + ": " + name, entrant: i, expert: true})
			}
		}
		out = append(out, predictor{name: e.Name, entrant: i})
	}
	return out
}

// asker fills cuts in. Its memory is reused.
type asker struct {
	options    *Options
	entrants   []Entrant
	predictors []predictor
	setting    []int32
	answers    [][][]uint16
}

func newAsker(o *Options, entrants []Entrant) *asker {
	a := &asker{options: o, entrants: entrants, predictors: predictors(entrants)}
	a.answers = make([][][]uint16, len(a.predictors))
	for i := range a.answers {
		a.answers[i] = make([][]uint16, len(o.Horizons))
	}
	return a
}

// cut asks everything that is asked at one time.
func (a *asker) cut(w *world, at time.Time) cut {
	a.setting = a.setting[:0]
	for _, x := range a.answers {
		for h := range x {
			x[h] = x[h][:0]
		}
	}
	w.advance(at.Unix())
	var rate []uint16
	for _, h := range a.options.Horizons {
		days := penumbra.Horizons[h].Hours() / 24
		rate = append(rate, levelOfProbability(-math.Expm1(-w.rate()*days)))
	}
	for _, r := range w.order {
		if r.scored && !r.over && len(r.settings) > 0 {
			a.ask(r, at, rate)
		}
	}
	c := cut{at: at.Unix(), setting: slices.Clone(a.setting), left: make([]int32, len(a.setting))}
	c.answers = make([][][]uint16, len(a.predictors))
	for i, p := range a.predictors {
		c.answers[i] = make([][]uint16, len(a.options.Horizons))
		for h := range c.answers[i] {
			if p.ranks && h > 0 {
				c.answers[i][h] = c.answers[i][0]
			} else {
				c.answers[i][h] = slices.Clone(a.answers[i][h])
			}
		}
	}
	return c
}

// ask asks every predictor about one resource.
func (a *asker) ask(r *resource, at time.Time, rate []uint16) {
	t := at.Unix()
	for i := range r.settings {
		s := &r.settings[i]
		if !r.asked(s) {
			continue
		}
		a.setting = append(a.setting, s.number)
		since, age := float64(t-s.last)/86400, float64(t-s.born)/86400
		decayed := s.decayed * halved(t-s.last)
		for p, z := range [...]float64{
			sinceChange:  -math.Log(since + 1e-3),
			ownFrequency: math.Log(s.changes / (age + 30)),
			ownDecayed:   math.Log(decayed),
		} {
			a.answers[p][0] = append(a.answers[p][0], levelOf(z))
		}
		for h := range rate {
			a.answers[rateSoFar][h] = append(a.answers[rateSoFar][h], rate[h])
		}
	}
	next := naive
	for i := range a.entrants {
		next = a.askModel(a.entrants[i].Model, r, at, next)
	}
}

// askModel asks one model, whose experts' columns begin at next.
func (a *asker) askModel(m Model, r *resource, at time.Time, next int) int {
	k := 0 // walks the asked settings beside the answers, both by path
	asked := func(path string) bool {
		for k < len(r.settings) && r.settings[k].path < path {
			k++
		}
		return k < len(r.settings) && r.settings[k].path == path && r.asked(&r.settings[k])
	}
	put := func(column int, leave *[len(penumbra.Horizons)]float64) {
		for h, horizon := range a.options.Horizons {
			a.answers[column][h] = append(a.answers[column][h], levelOfProbability(leave[horizon]))
		}
	}
	if e, ok := m.(ensemble); ok {
		n := len(e.Experts())
		e.Each(&r.noun, at, func(path string, leave [][len(penumbra.Horizons)]float64) {
			if asked(path) {
				for i := range n {
					put(next+i, &leave[i])
				}
			}
		})
		next += n
		k = 0
	}
	for _, f := range m.Forecast(&r.noun, at) {
		if asked(f.Path) {
			put(next, &f.Leave)
		}
	}
	return next + 1
}

// label looks up which settings left, after the replay: for each row the first
// change after the cut within the longest horizon.
func label(cuts []cut, w *world, longest time.Duration) {
	start := make([]int32, len(w.class)+1) // of each setting's changes in order
	for _, c := range w.changes {
		start[c.setting+1]++
	}
	for i := range w.class {
		start[i+1] += start[i]
	}
	sorted := make([]int32, len(w.changes))
	place := slices.Clone(start)
	for i, c := range w.changes { // they are in the order of time
		sorted[place[c.setting]] = int32(i)
		place[c.setting]++
	}
	next := slices.Clone(start)
	for i := range cuts {
		c := &cuts[i]
		end := c.at + int64(longest/time.Second)
		for k, s := range c.setting {
			for next[s] < start[s+1] && w.when(sorted[next[s]]) < c.at { // a cut comes before what has its time
				next[s]++
			}
			c.left[k] = -1
			if next[s] < start[s+1] && w.when(sorted[next[s]]) <= end {
				c.left[k] = sorted[next[s]]
			}
		}
	}
}

// when returns the time of a change.
func (w *world) when(change int32) int64 { return w.commits[w.changes[change].commit] }
