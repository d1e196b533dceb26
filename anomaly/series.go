package anomaly

import (
	"math"
	"slices"
	"time"

	"github.com/penumbra-iac/penumbra"
)

// The statistics that a series is judged by, each in units of a scale.
const (
	innovation = iota // the departure less what the one before it leads to expect
	deviation         // the departure from what is expected
	recent            // the mean of the departures over about 8 values
	lasting           // over about 32
	remote            // the value against its level over a week
	unrest            // the mean size of innovations over about 32
	brief             // the mean over four values of the departures on the stable scale
	statistics
)

// spans are how many values the means are over.
var spans = [statistics]float64{recent: 8, lasting: 32, unrest: 32}

var priors = [statistics]prior{
	innovation: ofValues, deviation: ofValues, remote: ofValues,
	brief: ofStable, recent: ofMeans, lasting: ofMeans, unrest: ofMeans,
}

const (
	warm      = 32               // values before anything is judged
	familiar  = 256              // values before one is held against the level over a week
	longGap   = 3.0              // intervals, after which a value is not held against the one before
	means     = 8.0              // spans before a mean is judged
	gapMemory = 1000.0           // values that the longest gap lately is of
	sudden    = 10 * time.Minute // what a mean is over at most that is judged on the first day
	pace      = 1.05             // by which the interval follows a gap
)

// What a streak is of: values so unlikely. On a series that never moved, each further
// one that stays out is taken to be a tenth as likely: there is nothing to learn it
// from.
const (
	streakChance = 0.05
	streakFactor = 0.05
)

// The sums that find onsets, after the sides.
const noisier = 2

// series is what is known of one metric of one resource. Its size does not grow.
type series struct {
	_        struct{} `cbor:",toarray"`
	First    int64    // nanoseconds since 1970
	Last     int64
	Value    float64 // the last
	Count    int64
	Worse    penumbra.Direction
	PValue   float64 // of the last value
	Interval float64 // nanoseconds between values, usually
	Gap      float64 // the longest gaps lately, nanoseconds

	Predictors [predictors]predictor
	Active     int
	Day, Week  *profile

	Long    float64    // level over a week of what is left over the profile
	Far     float64    // mean distance from it
	Scale   [2]float64 // mean size of innovations and departures
	Before  float64    // the departure of the last value
	Product float64    // of successive departures, mean
	Square  float64    // of departures, mean
	Typical float64    // mean size of the values themselves

	Means  [statistics]float64 // of clipped departures, in the values' unit
	Tails  [statistics]tail
	Joint  joint
	Guard  guard
	Stable stable
	Still  float64 // share of values that are the same as the one before
	Lately lately
	Onsets [3]onset // below, above, noisier
	Streak streak

	Open  *episode // nil if there is none
	Quiet *silence // nil if there is none
}

func newSeries(t int64, x float64) *series {
	s := &series{First: t, Last: t, Value: x, Count: 1, PValue: 1, Long: x, Typical: math.Abs(x)}
	for i := range s.Predictors {
		s.Predictors[i] = predictor{Level: x, Weight: 1}
	}
	s.Predictors[daily].Level, s.Predictors[weekly].Level = 0, 0
	s.Joint.start()
	return s
}

// clock takes the time of a new value into account and returns how many intervals
// have gone by since the last.
func (s *series) clock(t int64) float64 {
	gap := float64(t - s.Last)
	switch {
	case s.Count == 1:
		s.Interval, s.Gap = gap, gap
	case gap > s.Interval:
		s.Interval = min(gap, s.Interval*pace)
	default:
		s.Interval = max(gap, s.Interval/pace)
	}
	s.Gap = max(gap, s.Gap*(1-1/gapMemory))
	s.Last = t
	s.Count++
	return max(1, gap/s.Interval)
}

// usual returns what a predictor says at a time, without its level.
func (s *series) usual(c int, t int64) (float64, bool) {
	switch {
	case c == level:
		return 0, true
	case c == daily && s.Day != nil:
		return s.Day.at(t)
	case c == weekly && s.Week != nil:
		return s.Week.at(t)
	}
	return 0, false
}

// expected returns what the series is expected to be at a time.
func (s *series) expected(t int64) float64 {
	if u, ok := s.usual(s.Active, t); ok {
		return u + s.Predictors[s.Active].Level
	}
	return s.Predictors[level].Level
}

// persistence is the share of a departure that is usually left one value later.
func (s *series) persistence() float64 {
	if s.Square == 0 {
		return 0
	}
	return min(max(s.Product/s.Square, 0), 0.99)
}

// floor is the smallest scale: values are not held to be known better than to a
// thousandth of what they usually are.
func (s *series) floor() float64 { return max(1e-3*s.Typical, math.SmallestNonzeroFloat32) }

// rough returns how much larger than usual departures are at this time of the day.
func (s *series) rough(t int64) float64 {
	if s.Day == nil {
		return 1
	}
	return s.Day.rough(t)
}

// streak is of values in a row that are out on one side.
type streak struct {
	_      struct{} `cbor:",toarray"`
	Length int
	Up     bool
	Since  int64
}

func (r *streak) add(out, up bool) {
	switch {
	case !out:
		*r = streak{}
	case r.Length > 0 && r.Up == up:
		r.Length++
	default:
		*r = streak{Length: 1, Up: up}
	}
}

// onset finds when a lasting departure began: the last time that the sum of
// departures less an allowance was nothing (Page 1954).
type onset struct {
	_     struct{} `cbor:",toarray"`
	Sum   float64
	Since int64 // when Sum left zero
}

func (o *onset) add(t int64, z float64) {
	if o.Sum <= 0 {
		o.Since = t
	}
	o.Sum = min(max(0, o.Sum+min(z, clip)-1), 1e6)
}

// judged is what one value says.
type judged struct {
	time      int64
	value     float64
	base      float64
	steps     float64 // intervals since the last
	departure float64
	innovated float64
	stable    float64 // the departure on the stable scale
	wide      float64 // the scale of departures at this time
	z         [statistics]float64
	valid     [statistics]bool
	p         [statistics]float64
	evidence  float64 // −ln of the smallest of those but brief, for the joint p-value to learn
	by        int     // the statistic that says most
	joint     float64 // the p-value of all
}

// judge holds a value against what is known. Of it, only what runs along is
// changed: the clock, the means and the sums.
func (s *series) judge(t int64, x float64) judged {
	j := judged{time: t, value: x, steps: s.clock(t)}
	j.base = s.expected(t)
	j.departure = x - j.base
	s.measure(&j)
	for i := range j.p {
		j.p[i] = 1
		if j.valid[i] {
			j.p[i] = min(1, 2*s.Tails[i].beyond(j.z[i]))
		}
	}
	up := j.departure > 0
	s.Streak.add(j.p[deviation] < streakChance && math.Abs(j.z[deviation]) >= 1, up)
	if s.Streak.Length > 1 && s.Tails[deviation].Fits[side(up)].Scale == 0 {
		rho := s.Stable.persistence()
		j.p[deviation] *= math.Pow(streakFactor, float64(s.Streak.Length-1)*(1-rho)/(1+rho))
	}
	for i, span := range spans {
		// Of fewer means apart from each other too little is known of them.
		if float64(s.Count) < means*span {
			j.p[i] = 1
		}
	}
	j.evidence = evidence(slices.Min(j.p[:brief]))
	if t-s.First <= int64(day) {
		// What is slow may be the time of the day until a day was seen.
		for i := recent; i <= unrest; i++ {
			if i == remote || spans[i]*s.Interval > float64(sudden) {
				j.p[i] = 1
			}
		}
	}
	for i, p := range j.p[:brief] {
		if p < j.p[j.by] {
			j.by = i
		}
	}
	j.joint = s.Joint.p(evidence(j.p[j.by]))
	// Two looks share the false alarms (a weighted Bonferroni correction), where
	// there may be any: likelier values are judged by the first alone.
	j.joint = min(j.joint/(1-briefShare), max(j.joint, briefFrom))
	if p := s.briefly(&j) / briefShare; p < min(j.joint, briefFrom) {
		j.by, j.joint = brief, max(p, 1e-300)
	}
	s.Onsets[above].add(t, j.z[deviation])
	s.Onsets[below].add(t, -j.z[deviation])
	s.Onsets[noisier].add(t, math.Abs(j.z[innovation])-1) // its mean is 1
	same := 0.0
	if x == s.Value {
		same = 1
	}
	s.Still += s.weight(stillMemory) * (same - s.Still)
	s.Before, s.Value, s.PValue = j.departure, x, j.joint
	return j
}

// evidence is −ln p, finite.
func evidence(p float64) float64 { return -math.Log(max(p, 1e-300)) }

// measure computes the statistics.
func (s *series) measure(j *judged) {
	floor, rough := s.floor(), s.rough(j.time)
	usual := max(s.Scale[deviation], floor)
	j.wide = max(s.Scale[deviation]*rough, floor)
	j.z[deviation] = j.departure / j.wide
	j.valid[deviation] = true

	clipped := bounded(j.departure, clip*j.wide)
	j.stable = s.stabilised(j)
	s.Lately.add(j.time, j.stable)
	j.z[brief] = s.Stable.add(j.stable, j.steps)
	j.valid[brief] = true
	for i := recent; i <= lasting; i++ {
		j.z[i] = s.mean(i, j.steps, clipped) / usual
		j.valid[i] = true
	}
	if u, ok := s.usual(s.Active, j.time); ok {
		j.z[remote] = (j.value - u - s.Long) / max(s.Far, floor)
		j.valid[remote] = s.Count > familiar
	}

	j.innovated = j.departure - math.Pow(s.persistence(), j.steps)*s.Before
	if j.steps > longGap {
		return
	}
	j.z[innovation] = j.innovated / max(s.Scale[innovation]*rough, floor)
	j.valid[innovation] = true
	change := max(s.Scale[innovation], floor)
	j.z[unrest] = s.mean(unrest, j.steps, min(math.Abs(j.innovated)/rough, clip*change)-change) / change
	j.valid[unrest] = true
}

// mean adds x to a statistic's mean and returns that.
func (s *series) mean(i int, steps, x float64) float64 {
	keep := 1 - 1/spans[i]
	if steps > 1.5 {
		keep = math.Pow(keep, steps)
	}
	s.Means[i] += (1 - keep) * (x - s.Means[i])
	return s.Means[i]
}
