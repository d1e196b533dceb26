package mixture

import (
	"cmp"
	"math"
	"slices"
	"time"

	"github.com/penumbra-iac/penumbra"
	"github.com/penumbra-iac/penumbra/shadow"
	"github.com/penumbra-iac/penumbra/shadow/choice"
	"github.com/penumbra-iac/penumbra/shadow/departure"
	"github.com/penumbra-iac/penumbra/shadow/duration"
	"github.com/penumbra-iac/penumbra/shadow/succession"
)

var (
	_ shadow.Chooser   = (*Model)(nil)
	_ shadow.Successor = (*Model)(nil)
)

// companions are the models beside the experts, each with a question of its own.
// All learn from the changes that the counts tell.
type companions struct {
	values     *choice.Model     // which value a setting would take
	next       *succession.Model // which setting of a resource changes next
	stays      *duration.Model   // how long temporary values last
	departures *departure.Model  // which declared settings leave their template
	now        time.Time         // of the last observation
	waiting    []waiting         // what was said of values to come, the oldest first
}

func newCompanions(counts *shadow.Pooled, seed uint64) companions {
	return companions{
		values:     choice.New(counts, choice.Options{}),
		next:       succession.New(succession.Options{Known: counts.Known}),
		stays:      duration.New(duration.Options{}),
		departures: departure.New(counts, departure.Options{Seed: seed}),
	}
}

// tell lets all learn from a change, before the counts know of it.
func (c *companions) tell(x *shadow.Change) {
	c.departures.Learn(x)
	c.values.Learn(x)
	c.next.Learn(x)
	c.stays.Learn(x)
}

// moved is told of each step of a value that is no change to learn from. A value
// that comes and goes ends all the same.
func (m *Model) moved(c shadow.Change) { m.stays.Learn(&c) }

// observed is told of each observation after the counts have it.
func (c *companions) observed(o *penumbra.Observation) {
	c.now = o.Time
	if o.Kind == penumbra.EventKind && o.Action == penumbra.ActionDelete {
		c.next.End(o.Resource)
		c.stays.End(o.Resource, o.Time)
	}
}

// Choose implements [shadow.Chooser].
func (m *Model) Choose(r *penumbra.Resource, path string, at time.Time) []penumbra.Candidate {
	return m.values.Choose(r, path, at)
}

// ChooseSet implements [shadow.Chooser].
func (m *Model) ChooseSet(r *penumbra.Resource, path string, at time.Time, confidence float64) penumbra.Expectation {
	return m.values.ChooseSet(r, path, at, confidence)
}

// Next implements [shadow.Successor].
func (m *Model) Next(r *penumbra.Resource, at time.Time, n int) []shadow.Ranked {
	return m.next.Next(r, at, n)
}

// Expect returns the prediction sets: of a declared setting what is legitimate,
// by the counts; of an undeclared one its present value, as likely as the experts
// say that it stays, and the values that it would change to. An excursion that is
// open never enters a set, see [shadow.Pooled.ExpectBy].
func (m *Model) Expect(r *penumbra.Resource, at time.Time, confidence float64) []penumbra.Expectation {
	looked := false
	return m.values.Expect(r, at, confidence, func(path string) (float64, bool) {
		if !looked {
			m.lookBack(r.Address)
			looked = true
		}
		i, found := slices.BinarySearchFunc(m.view.looks, path, func(l shadow.Look, path string) int { return cmp.Compare(l.Path, path) })
		if !found || !m.view.looks[i].Changes || m.view.looks[i].Seen == 0 {
			return 0, false
		}
		return within(&m.view.answers[i].pool, at.Sub(time.Unix(m.view.looks[i].Seen, 0))), true
	})
}

// lookBack looks at a resource as it was known at the last observation: unlike
// [shadow.Pooled.Visit] it reads no value that was not observed.
func (m *Model) lookBack(address penumbra.Address) {
	m.view.looks = m.view.looks[:0]
	if number := m.counts.Number(address); number != 0 && !m.now.IsZero() {
		m.counts.SurveyNumber(number, m.now, func(l *shadow.Look) { m.view.looks = append(m.view.looks, *l) })
	}
	m.view.ask(m)
}

// within returns the probability of a change within a span, from the log odds of
// one within each horizon. Between two horizons, and beyond the last, the rate is
// taken to be constant.
func within(z *[horizons]float64, span time.Duration) float64 {
	if span <= 0 {
		return 0
	}
	const least = 1e-12
	before, begin := 1.0, time.Duration(0)
	for k, end := range penumbra.Horizons {
		stays := min(before, max(least, 1-probability(z[k])))
		if span <= end || k == last {
			return 1 - before*math.Pow(stays/before, float64(span-begin)/float64(end-begin))
		}
		before, begin = stays, end
	}
	return 0
}

// The least probability of leaving for which it is said what for, and the least
// of a value that is said, as the pooled model has them.
const (
	leastLeave = 0.01
	leastNext  = 0.05
)

// complete lets the other models say what they know better than the counts: how
// likely declared settings depart, for which value each leaves, and what is
// stuck. The view is still of the forecasts.
func (m *Model) complete(out []penumbra.Forecast, r *penumbra.Resource, at time.Time) {
	m.depart(out, r.Address, at)
	for i := range m.view.looks {
		f := &out[i]
		if !m.view.looks[i].Changes || f.Habit {
			continue
		}
		f.Next = penumbra.Null()
		if f.Leave[last] >= leastLeave {
			f.Next = likeliest(m.values.Choose(r, f.Path, at))
		}
	}
	// The open states are counted anew for each time that is asked about, so that
	// all times within an hour are asked about as one.
	for _, s := range m.stays.StuckOf(r.Address, at.Truncate(time.Hour)) {
		if f := forecastOf(out, s.Path); f != nil {
			if f.Reason != "" {
				f.Reason += "; "
			}
			f.Reason += s.Reason()
		}
	}
}

// depart sets what is said of declared settings whose like have departed before.
func (m *Model) depart(out []penumbra.Forecast, address penumbra.Address, at time.Time) {
	said := map[string]bool{}
	m.departures.Stays(address, at, func(path string, stays [horizons]float64) {
		f := forecastOf(out, path)
		if f == nil {
			return
		}
		said[path] = true
		f.Leave = leaving(&stays)
		f.TimeToDrift = half(&f.Leave)
	})
	if len(said) == 0 {
		return
	}
	m.counts.Departing(address, at, func(x *shadow.AtRisk) {
		f := forecastOf(out, x.Path)
		if !said[x.Path] || f.Habit || f.Leave[last] < leastLeave {
			return
		}
		if v := likeliest(m.departures.Next(x, at)); !v.IsNull() {
			f.Next = v
		}
	})
}

// leaving turns probabilities of staying into rising ones of leaving.
func leaving(stays *[horizons]float64) (leave [horizons]float64) {
	for k, s := range stays {
		leave[k] = min(1, max(0, 1-s))
		if k > 0 {
			leave[k] = max(leave[k], leave[k-1])
		}
	}
	return leave
}

// likeliest returns the first of the candidates, null if it is none to say.
func likeliest(candidates []penumbra.Candidate) penumbra.Value {
	if len(candidates) == 0 || candidates[0].Probability < leastNext {
		return penumbra.Null()
	}
	return candidates[0].Value
}

// forecastOf returns that of a path, nil if there is none.
func forecastOf(out []penumbra.Forecast, path string) *penumbra.Forecast {
	i, found := slices.BinarySearchFunc(out, path, func(f penumbra.Forecast, path string) int { return cmp.Compare(f.Path, path) })
	if !found {
		return nil
	}
	return &out[i]
}

// departWithout returns the probability of departing as it would have been: the
// cumulative hazard that is said falls or rises by the factor by which the
// counts' own does. ok is false where the counts alone speak.
func (m *Model) departWithout(r *penumbra.Resource, path string, at time.Time, causes []shadow.Cause) (out [horizons]float64, ok bool) {
	var stays [horizons]float64
	m.departures.Stays(r.Address, at, func(p string, s [horizons]float64) {
		if p == path {
			stays, ok = s, true
		}
	})
	if !ok {
		return out, false
	}
	with, without := m.counts.ForecastWithout(r, path, at), m.counts.ForecastWithout(r, path, at, causes...)
	for k := range stays {
		if h := -math.Log1p(-min(with[k], 1-1e-12)); h > 0 {
			stays[k] = math.Pow(stays[k], -math.Log1p(-min(without[k], 1-1e-12))/h)
		}
	}
	return leaving(&stays), true
}
