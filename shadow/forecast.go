package shadow

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"time"
	"unicode/utf8"

	"github.com/penumbra-iac/penumbra"
)

// Forecast returns the probability of leaving of the settings that Expect
// answers for, in the same order. Of a declared setting it is that of leaving
// the template; of an undeclared one, and where only changes of the code are
// known, that of changing.
func (p *Pooled) Forecast(r *penumbra.Resource, at time.Time) []penumbra.Forecast {
	t := at.Unix()
	known := p.resources[r.Address]
	out := make([]penumbra.Forecast, 0, count(r))
	q := question{p: p, r: known, at: t}
	if known == nil {
		q.r = &resource{kind: r.Type}
	}
	walk(r, known, func(path string, template penumbra.Value, s *setting) {
		var c *class
		if s != nil {
			c = s.class
		} else {
			c = q.class(p.classes[classKey{r.Type, mask(path)}], path)
		}
		out = append(out, q.forecast(path, template, c, s))
	})
	return out
}

// outlook is all that a forecast is computed from.
type outlook struct {
	change  hazard
	leave   hazard
	changes bool // whether a normal change counts as leaving
	leaves  bool // whether there is anything to depart from
	clock   *clock
	at      int64
	last    int64 // the last departure
	nights  float64
}

// leaving returns the probability of leaving within the span.
func (o *outlook) leaving(span time.Duration) float64 {
	return o.leavingBy(span, o.ebb(span.Hours()/24))
}

// ebb is what of the waves is over after the days; they end alike.
func (o *outlook) ebb(days float64) float64 {
	if o.leave.wave <= 0 && o.change.wave <= 0 {
		return 0
	}
	return ebbed(days)
}

// horizonEbb is what of a wave is over by each horizon.
var horizonEbb = func() (out [len(penumbra.Horizons)]float64) {
	for i, span := range penumbra.Horizons {
		out[i] = ebbed(span.Hours() / 24)
	}
	return out
}()

// leavingBy is leaving with what of the waves is over by then.
func (o *outlook) leavingBy(span time.Duration, ebb float64) float64 {
	d := span.Hours() / 24
	stays := 1.0
	if o.leaves && d > 0 {
		stays = math.Exp(o.leave.logSurvival(d, ebb))
	}
	if o.changes && d > 0 {
		stays *= math.Exp(o.change.logSurvival(d, ebb))
	}
	if o.clock != nil {
		habit, _ := o.clock.survival(o.at, o.last, span.Seconds(), o.nights)
		stays *= habit
	}
	return min(1, max(0, 1-stays))
}

// stays returns the probability of neither departing nor following a habit
// within each horizon.
func (o *outlook) stays() [len(penumbra.Horizons)]float64 {
	var out [len(penumbra.Horizons)]float64
	other := *o
	other.changes = false
	for i, span := range penumbra.Horizons {
		out[i] = 1 - other.leavingBy(span, horizonEbb[i])
	}
	return out
}

func (q *question) outlook(c *class, s *setting, declared bool) outlook {
	code := q.r.code
	o := outlook{at: q.at, changes: !declared || code, leaves: !code}
	var explained float64
	if s != nil && s.history != nil && s.history.clock != nil && len(s.history.left) >= minExcursions {
		h := s.history
		clock := *h.clock // asking changes nothing
		clock.advance(q.at)
		o.nights = decayedDays(days(max(0, q.at-s.since.unix())), habitLife)
		o.last = h.left[len(h.left)-1]
		if _, explained = clock.survival(q.at, o.last, secondsPerDay, o.nights); explained > 0 {
			o.clock = &clock
			explained = s.sums(q.at).leaves * min(1, explained/clock.total())
		}
	}
	if o.leaves {
		o.leave = q.p.leaveHazard(c, s, q.at, explained)
	}
	if o.changes {
		o.change = q.p.changeHazard(c, q.r, s, q.at)
	}
	return o
}

// forecast answers for one setting, which may be nil.
func (q *question) forecast(path string, template penumbra.Value, c *class, s *setting) penumbra.Forecast {
	declared := !template.IsNull() && template.Kind() != penumbra.UnknownKind
	o := q.outlook(c, s, declared)
	f := penumbra.Forecast{Path: path, Support: support(c, q.at)}
	for i, span := range penumbra.Horizons {
		f.Leave[i] = o.leavingBy(span, horizonEbb[i])
		if i > 0 {
			f.Leave[i] = max(f.Leave[i], f.Leave[i-1])
		}
	}
	last := len(f.Leave) - 1
	if f.Leave[last] < 0.01 {
		return f
	}
	if f.Leave[last] >= 0.5 {
		f.TimeToDrift = o.median(&f.Leave)
	}
	f.Next = q.nextValue(template, declared, c, s, o.clock != nil)
	f.Reason = q.reason(c, s, &o)
	f.Habit = declared && o.habitual(s, &f)
	return f
}

// habitual reports whether a habit of automation accounts for most of a
// forecast: most of the setting's own departures are the habit's, and the wave
// that passes through its peers makes less than half of the probability. When
// the habit comes round, its value is tolerated.
func (o *outlook) habitual(s *setting, f *penumbra.Forecast) bool {
	if s == nil || s.history == nil || !s.history.habit.established() {
		return false
	}
	if 2*int(s.history.habit.completed) < len(s.history.left) {
		return false
	}
	wave := hazard{days: o.leave.days, wave: o.leave.wave}
	for i, span := range penumbra.Horizons {
		if 1-wave.survival(span.Hours()/24) > f.Leave[i]/2 {
			return false
		}
	}
	return true
}

// median returns the time by which the setting has left with probability 1/2,
// to a minute. leave is what it has left with by each of the horizons, by the last with
// more than that.
func (o *outlook) median(leave *[len(penumbra.Horizons)]float64) time.Duration {
	low, high := time.Duration(0), penumbra.Horizons[len(penumbra.Horizons)-1]
	// What is known of the horizons need not be reckoned again.
	after, before := low, high
	for i, span := range penumbra.Horizons {
		if leave[i] >= 0.5 {
			before = span
			break
		}
		after = span
	}
	for high-low > time.Minute {
		mid := (low + high) / 2
		if mid <= after || mid < before && o.likelyStays(mid) {
			low = mid
		} else {
			high = mid
		}
	}
	return high.Truncate(time.Minute)
}

// likelyStays reports whether the probability of leaving within the span is below 1/2.
func (o *outlook) likelyStays(span time.Duration) bool {
	if o.clock != nil {
		return o.leaving(span) < 0.5
	}
	d, log := span.Hours()/24, 0.0
	ebb := o.ebb(d)
	if o.leaves {
		log += o.leave.logSurvival(d, ebb)
	}
	if o.changes {
		log += o.change.logSurvival(d, ebb)
	}
	return log > -math.Ln2
}

// nextValue returns the value that the setting would most likely leave for.
func (q *question) nextValue(template penumbra.Value, declared bool, c *class, s *setting, habitual bool) penumbra.Value {
	current := template
	if s != nil && (!declared || q.r.code) {
		current = s.actual
	}
	if habitual || declared && s != nil && s.history != nil && s.history.habit.established() {
		if v, ok := s.history.usual(); ok && v != current {
			return v
		}
	}
	if v, ok := c.flightTo(current, q.at); ok {
		return v
	}
	if declared && !q.r.code {
		if s != nil && s.history != nil {
			if v, ok := s.history.usual(); ok && v != current {
				return v
			}
		}
		return penumbra.Null()
	}
	var h *history
	if s != nil {
		h = s.history
	}
	values, _ := q.p.next(nil, c, h, current, 1, q.at)
	sortCandidates(values)
	if len(values) == 0 || values[0].Probability < 0.05 {
		return penumbra.Null()
	}
	return values[0].Value
}

// usual returns the value that the setting's completed excursions mostly had,
// else that of the open one.
func (h *history) usual() (penumbra.Value, bool) {
	if h.habit != nil {
		best := -1
		for i := range h.habit.values {
			if best < 0 || h.habit.values[i].visits > h.habit.values[best].visits {
				best = i
			}
		}
		if best >= 0 {
			return h.habit.values[best].value, true
		}
	}
	if h.open != nil {
		return h.open.value, true
	}
	return penumbra.Value{}, false
}

// flightTo returns the value that most of the recent departures of the class
// went to.
func (c *class) flightTo(current penumbra.Value, at int64) (penumbra.Value, bool) {
	best, most := penumbra.Value{}, 0.05
	for i := range c.values {
		x := &c.values[i]
		if x.flights < most || x.value == current {
			continue // it has not become more since
		}
		if flights := x.flights * x.keeps(at, waveLife); flights > most || flights == most && compareValues(x.value, best) > 0 {
			best, most = x.value, flights
		}
	}
	return best, most > 0.05
}

func (k *clock) total() float64 {
	var n float64
	for _, x := range k.at {
		n += float64(x)
	}
	return max(n, 1e-9)
}

// hour returns the time of day of most departures.
func (k *clock) hour() string {
	best := 0
	for i := range k.at {
		if k.near(i) > k.near(best) || k.near(i) == k.near(best) && k.at[i] > k.at[best] {
			best = i
		}
	}
	return fmt.Sprintf("%02d:%02d UTC", best/4, best%4*15)
}

const week = 7 * secondsPerDay

// reason says what moved the forecast, the strongest only.
func (q *question) reason(c *class, s *setting, o *outlook) string {
	own := 0
	if s != nil && s.history != nil {
		for _, t := range s.history.left {
			if q.at-t <= 30*secondsPerDay {
				own++
			}
		}
	}
	if o.clock != nil {
		return fmt.Sprintf("left %s in 30 days, always about %s", times(own, own == maxLeft), o.clock.hour())
	}
	var number uint32
	if q.r != nil {
		number = q.r.number
	}
	peers := max(0, int(math.Round(c.members))-1)
	if k := c.movers(q.at, number, true); o.leaves && k >= 2 && o.leave.wave > 0 {
		return fmt.Sprintf("%d of %d peers left their template in the last 7 days, last to %s", k, max(k, peers), short(c.gone.value))
	}
	if own >= 2 {
		return "left " + times(own, own == maxLeft) + " in 30 days"
	}
	if k := c.movers(q.at, number, false); o.changes && k >= 2 && o.change.wave > 0 {
		return fmt.Sprintf("%d of %d peers changed in the last 7 days, last to %s", k, max(k, peers), short(c.latest.value))
	}
	if s != nil && s.history != nil && o.changes {
		if n := math.Round(s.sums(q.at).changes); n >= 2 {
			return fmt.Sprintf("changed about %.0f times in 90 days", n)
		}
	}
	return ""
}

// movers counts the resources other than the numbered one that moved within a
// week.
func (c *class) movers(at int64, number uint32, departures bool) int {
	var room [maxRecent]uint32
	seen := room[:0]
	for i := range c.recent {
		m := &c.recent[i]
		if m.departure == departures && m.resource != number && at-m.time <= week && !slices.Contains(seen, m.resource) {
			seen = append(seen, m.resource)
		}
	}
	return len(seen)
}

func times(n int, more bool) string {
	switch {
	case more:
		return strconv.Itoa(n) + " times or more"
	case n == 1:
		return "once"
	}
	return strconv.Itoa(n) + " times"
}

// short returns the value as a person would read it, cut to 40 characters.
func short(v penumbra.Value) string {
	s := v.String()
	if utf8.RuneCountInString(s) <= 40 {
		return s
	}
	return string([]rune(s)[:39]) + "…"
}
