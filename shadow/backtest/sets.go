package backtest

import (
	"slices"
	"time"

	"github.com/penumbra-iac/penumbra"
)

// Confidences are those at which prediction sets are scored.
var Confidences = [...]float64{0.90, 0.95, 0.99}

// Coverage is how often prediction sets of one confidence held the value.
type Coverage struct {
	Confidence float64 `json:"confidence"`
	Sets       int     `json:"sets"`
	Covered    float64 `json:"covered"` // share
	// Smoothed counts the value that takes the set's mass over the confidence
	// with the share of it that is needed, as a smoothed conformal predictor does
	// (Vovk, Gammerman, Shafer, "Algorithmic Learning in a Random World", 2005,
	// section 2.2). Where nearly all settings stay as they are, any set that holds
	// the present value covers more than it says; the smoothed share shows whether
	// the probabilities behind the sets are right.
	Smoothed float64 `json:"smoothed"`
	Size     float64 `json:"size"`  // mean number of values
	Novel    float64 `json:"novel"` // share with room for something new
	// Worst is the quarter of a year, of those with a tenth of the mean number of
	// sets or more, with the least coverage.
	Worst Quarter `json:"worst"`
}

// Quarter is a quarter of a year.
type Quarter struct {
	Name    string  `json:"name"` // "2026-Q3"
	Sets    int     `json:"sets"`
	Covered float64 `json:"covered"`
}

// tally counts sets of one confidence.
type tally struct {
	N, Covered, Novel, Size int
	Smoothed                float64
	Quarters                map[int]*[2]int // sets, covered
}

func (x *tally) add(e *penumbra.Expectation, v penumbra.Value, at time.Time) {
	x.N++
	x.Size += len(e.Values)
	x.Smoothed += smoothed(e, v)
	if x.Quarters == nil {
		x.Quarters = map[int]*[2]int{}
	}
	q := x.Quarters[quarter(at)]
	if q == nil {
		q = new([2]int)
		x.Quarters[quarter(at)] = q
	}
	q[0]++
	if e.Contains(v) {
		x.Covered++
		q[1]++
	}
	if e.Novel {
		x.Novel++
	}
}

// smoothed returns the share with which v is in the set if the value at its
// edge is let in only as far as the confidence needs it.
func smoothed(e *penumbra.Expectation, v penumbra.Value) float64 {
	before := 0.0 // mass of the likelier ones
	for _, c := range e.Values {
		if c.Value.Agrees(v) {
			return portion(e.Confidence-before, c.Probability)
		}
		before += c.Probability
	}
	if !e.Contains(v) {
		return 0
	}
	if e.Novel {
		return portion(e.Confidence-before, e.NovelProbability)
	}
	return 1 // within the range of a number
}

func portion(wanted, mass float64) float64 {
	switch {
	case wanted <= 0:
		return 0
	case wanted >= mass:
		return 1
	default:
		return wanted / mass
	}
}

// join adds what was counted of another part of the estate.
func (x *tally) join(y *tally) {
	x.N += y.N
	x.Covered += y.Covered
	x.Novel += y.Novel
	x.Size += y.Size
	x.Smoothed += y.Smoothed
	for q, n := range y.Quarters {
		if x.Quarters == nil {
			x.Quarters = map[int]*[2]int{}
		}
		if x.Quarters[q] == nil {
			x.Quarters[q] = new([2]int)
		}
		x.Quarters[q][0] += n[0]
		x.Quarters[q][1] += n[1]
	}
}

func (x *tally) coverage(confidence float64) Coverage {
	n := max(1, float64(x.N))
	c := Coverage{
		Confidence: confidence, Sets: x.N, Covered: float64(x.Covered) / n, Smoothed: x.Smoothed / n,
		Size: float64(x.Size) / n, Novel: float64(x.Novel) / n,
	}
	least := float64(x.N) / max(1, float64(len(x.Quarters))) / 10
	for _, q := range sortedKeys(x.Quarters) {
		y := x.Quarters[q]
		if share := float64(y[1]) / float64(y[0]); float64(y[0]) >= least && (c.Worst.Sets == 0 || share < c.Worst.Covered) {
			c.Worst = Quarter{Name: quarterName(q), Sets: y[0], Covered: share}
		}
	}
	return c
}

// tallies are those of all confidences.
type tallies [len(Confidences)]tally

func (x *tallies) join(y *tallies) {
	for i := range x {
		x[i].join(&y[i])
	}
}

func (x *tallies) coverage() []Coverage {
	out := make([]Coverage, len(x))
	for i := range x {
		out[i] = x[i].coverage(Confidences[i])
	}
	return out
}

// setKeeper holds prediction sets until their time has come. They are asked for
// at cuts that are a longest horizon apart or more.
type setKeeper struct {
	options      *Options
	entrants     []Entrant
	next, until  time.Time
	pending      []*resource
	all, changed []tallies // by entrant
}

// pendingSets are the sets of one setting, by entrant.
type pendingSets struct {
	before penumbra.Value
	sets   [][len(Confidences)]penumbra.Expectation
}

func newSetKeeper(o *Options, entrants []Entrant) *setKeeper {
	return &setKeeper{options: o, entrants: entrants, all: make([]tallies, len(entrants)), changed: make([]tallies, len(entrants))}
}

// cut asks for the sets of a horizon later, unless earlier ones still wait.
func (k *setKeeper) cut(w *world, at time.Time) {
	until := at.Add(k.options.longest())
	if k.options.NoValues || len(k.pending) > 0 || at.Before(k.next) || until.After(k.options.To) {
		return
	}
	k.next, k.until = until, until
	for _, r := range w.order {
		if r.over || !r.scored || len(r.settings) == 0 {
			continue
		}
		for i := range r.settings {
			s := &r.settings[i]
			s.sets = &pendingSets{before: s.value, sets: make([][len(Confidences)]penumbra.Expectation, len(k.entrants))}
		}
		for e := range k.entrants {
			k.expect(r, e)
		}
		k.pending = append(k.pending, r)
	}
}

func (k *setKeeper) expect(r *resource, entrant int) {
	if k.entrants[entrant].Baseline {
		return
	}
	for i, confidence := range Confidences {
		j := 0
		for _, x := range k.entrants[entrant].Model.Expect(&r.noun, k.until, confidence) {
			for j < len(r.settings) && r.settings[j].path < x.Path {
				j++
			}
			if j < len(r.settings) && r.settings[j].path == x.Path {
				r.settings[j].sets.sets[entrant][i] = x
			}
		}
	}
}

// due scores the sets if their time is before at: what happens at that time
// comes after it.
func (k *setKeeper) due(at time.Time) {
	if len(k.pending) == 0 || !k.until.Before(at) && !k.until.Equal(at) {
		return
	}
	for _, r := range k.pending {
		if r.over {
			continue
		}
		for i := range r.settings {
			s := &r.settings[i]
			if s.sets == nil {
				continue
			}
			for e := range k.entrants {
				for c := range Confidences {
					x := &s.sets.sets[e][c]
					k.all[e][c].add(x, s.value, k.until)
					if s.value != s.sets.before {
						k.changed[e][c].add(x, s.value, k.until)
					}
				}
			}
			s.sets = nil
		}
	}
	k.pending = k.pending[:0]
}

func sortedKeys[V any](m map[int]V) []int {
	out := make([]int, 0, len(m))
	for k := range m {
		out = append(out, k)
	}
	slices.Sort(out)
	return out
}
