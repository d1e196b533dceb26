package anomaly

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/penumbra-iac/penumbra"
)

const (
	bandChance = 0.002 // of a value outside the band, both sides together
	calmChance = 0.05  // a statistic that is likelier is as usual again
	calm       = 3     // values in a row that are as usual end an anomaly
	stays      = 5     // values out, from which it is a level shift and no spike
	lasts      = 3     // values out in a row when it is noticed, from which it is one at once
	remembers  = 4     // spans after which a mean has forgotten
	further    = 1.1   // times as far out as last told, or
	worseP     = 10    // so much less likely: it is told again
	leastP     = 1e-12 // below which less likely is not told
)

// episode is an anomaly while it is open.
type episode struct {
	_        struct{} `cbor:",toarray"`
	ID       string
	Kind     penumbra.AnomalyKind
	Onset    int64
	Time     int64
	Value    float64
	Expected float64
	Low      float64
	High     float64
	PValue   float64
	Up       bool // the way it went
	By       int  // the statistic that noticed

	Out   int     // values that were out
	Away  float64 // the mean of their departures on the stable scale
	Calm  int     // values in a row that were as usual
	Close int     // of these, that were near by themselves
	Near  float64 // the mean of their departures on the stable scale
	Since int64   // when the first of those was

	ToldSize float64 // the departure last told
	ToldP    float64 // the p-value last told

	// What the series was like lately, so that it can be the new usual.
	Level  float64 // mean of what is left over the profile
	Spread float64 // mean size of departures from that
	Change float64 // mean size of innovations
	N      float64 // values behind these, at most the memory
}

// side is that of a departure.
func side(up bool) int {
	if up {
		return above
	}
	return below
}

// identity names an anomaly by what it is of, what it is and its onset.
func identity(k key, kind string, onset int64) string {
	h := sha256.Sum256([]byte(strings.Join([]string{string(k.Resource), k.Metric, kind, strconv.FormatInt(onset, 10)}, "\x00")))
	return hex.EncodeToString(h[:16])
}

// open opens an anomaly with the value that was judged. Of the statistics that would
// have noticed alone, the simplest says what it is.
func (s *series) open(k key, j *judged, threshold float64) {
	for i, p := range j.p {
		if s.Joint.p(evidence(p)) <= threshold {
			j.by = i
			break
		}
	}
	low, high := s.reach(deviation)
	e := &episode{
		Kind: penumbra.LevelShift, Time: j.time, Value: j.value, Expected: j.base, PValue: j.joint, By: j.by, Out: 1, Away: j.stable,
		Low: j.base - j.wide*low, High: j.base + j.wide*high,
		ToldSize: math.Abs(j.departure), ToldP: j.joint,
	}
	// Which way it goes is where the value is, if that is out of the band, whatever
	// noticed: after a steep rise it may fall as steeply and still be far above.
	up := j.value > e.High || j.z[j.by] > 0 && j.value >= e.Low
	switch j.by {
	case innovation, deviation, brief:
		if s.Streak.Length < lasts || s.Streak.Up != up {
			e.Kind = penumbra.Spike
		}
		e.Onset = s.Lately.began(up, &s.Stable)
	case unrest:
		up = j.departure > 0
		e.Onset = s.since(noisier, j)
	case recent:
		// A mean of values of which only the last ones are far out tells nothing of
		// when they began; one that is out for as long as values are kept does.
		if e.Onset = s.Lately.began(up, &s.Stable); e.Onset == s.Lately.oldest() {
			e.Onset = s.since(side(up), j)
		}
	default:
		e.Onset = s.since(side(up), j)
	}
	e.Up = up
	e.ID = identity(k, "out", e.Onset)
	s.Open = e
	s.follow(j)
}

// since returns when the departure that a mean noticed began; not before what the
// mean can remember, because slow noise keeps the sum from zero for long, too.
func (s *series) since(sum int, j *judged) int64 {
	span := spans[j.by]
	if j.by == remote {
		span = spans[lasting]
	}
	return max(s.Onsets[sum].Since, j.time-int64(remembers*span*s.Interval))
}

// reach returns how far below and above a statistic usually goes, in its scale.
func (s *series) reach(statistic int) (low, high float64) {
	t := &s.Tails[statistic]
	return t.size(below, bandChance/2), t.size(above, bandChance/2)
}

// follow remembers what the series is like.
func (s *series) follow(j *judged) {
	u, _ := s.usual(s.Active, j.time)
	e, left := s.Open, j.value-u
	e.N = min(e.N+1, s.memory())
	e.Level += (left - e.Level) / e.N
	e.Spread += (math.Abs(left-e.Level) - e.Spread) / e.N
	e.Change += (math.Abs(j.innovated) - e.Change) / e.N
}

// during carries an open anomaly over a value and reports whether there is
// something to tell: it got worse, turned out to last, or ended.
func (s *series) during(j *judged, adopt time.Duration) (tell bool, ended int64) {
	e := s.Open
	s.follow(j)
	e.place(j, s.out(j))
	furthest := math.Abs(e.Value - e.Expected)
	if size := math.Abs(j.departure); (j.departure > 0) == e.Up && size > furthest {
		e.Value, e.Expected, furthest = j.value, j.base, size
	}
	e.PValue = min(e.PValue, j.joint)
	// In steps by a factor: who is told knows how far out it is, and is told a few times
	// only, however long it grows.
	if e.ToldP > leastP && e.PValue <= e.ToldP/worseP || furthest > further*e.ToldSize {
		e.ToldP, e.ToldSize = e.PValue, furthest
		tell = true
	}
	if e.Kind == penumbra.Spike && e.Out >= stays {
		e.Kind = penumbra.LevelShift
		tell = true
	}
	switch {
	case e.back():
		return true, e.Since
	case j.time-e.Time >= int64(adopt):
		return true, j.time
	}
	return tell, 0
}

// turned reports whether a metric that had got better is out of the band on the worse side by
// now. That is another anomaly, and nobody was told much of the first. It is not looked for the
// other way round: who is told that a metric got worse hears of its end.
func (s *series) turned(j *judged) bool {
	e := s.Open
	past := j.value > e.High
	if e.Up {
		past = j.value < e.Low
	}
	return past && !e.isWorse(s.Worse) && j.p[deviation] < bandChance
}

// isWorse reports whether it went the way in which performance drops.
func (e *episode) isWorse(worse penumbra.Direction) bool {
	return worse == penumbra.Either || (worse == penumbra.Up) == e.Up
}

// place counts a value as out or as usual again. Values of a shift are within the band
// now and then, of a slight one or where little is known and the band is wide: those in
// a row must also be nearer to what was usual than to what is out. That is judged on
// the stable scale: ten times the usual latency is not near to it because another value
// was a hundred times as long. Where single values told, most of them must be near by
// themselves: one without any slow query draws the mean down.
func (e *episode) place(j *judged, out bool) {
	if !out {
		if e.Calm == 0 {
			e.Since, e.Near, e.Close = j.time, 0, 0
		}
		e.Calm++
		e.Near += (j.stable - e.Near) / float64(e.Calm)
		if e.isNear(j.stable) {
			e.Close++
		}
		if e.isNear(e.Near) {
			return
		}
	}
	e.Calm = 0
	e.Out++
	e.Away += (j.stable - e.Away) / float64(e.Out)
}

// out reports whether a value of a series with an open anomaly is not as usual
// again: by itself, or by the statistic that noticed, where that is not of
// departures.
func (s *series) out(j *judged) bool {
	by := s.Open.By
	return j.p[deviation] < bandChance || (by == remote || by == unrest) && j.p[by] < calmChance
}

// isNear reports whether a departure is nearer to what was usual than to what is out.
func (e *episode) isNear(departure float64) bool {
	return e.Away == 0 || departure*e.Away < e.Away*e.Away/2
}

// back reports whether enough values in a row were as usual: as many as the mean is
// over if only a mean could tell.
func (e *episode) back() bool {
	if e.By == recent || e.By == lasting {
		return float64(e.Calm) >= spans[recent]
	}
	return e.Calm >= calm && e.Close >= calm-1
}

// close ends the open anomaly. If the series has not come back, what it was lately
// becomes its usual.
func (s *series) close() {
	e := s.Open
	s.Open = nil
	if e.Kind == penumbra.Spike && s.Guard.N > 0 {
		s.Stable.learn(s.Guard.pop())
	}
	s.Guard = guard{}
	if !e.back() {
		shift := e.Level - s.Predictors[s.Active].Level
		for c := range s.Predictors {
			s.Predictors[c].Level += shift
		}
		s.Long += shift
		s.Scale[deviation] = max(e.Spread, s.floor())
		s.Scale[innovation] = max(min(e.Change, e.Spread), s.floor())
		s.Typical = max(s.Typical, math.Abs(e.Value))
		s.Before -= shift
	}
	s.settle()
}

// settle starts over what adds up over several values.
func (s *series) settle() {
	s.Means = [statistics]float64{}
	s.Onsets = [3]onset{}
	s.Streak = streak{}
}

// anomaly returns the open anomaly, as ended if it has ended.
func (s *series) anomaly(k key, worse penumbra.Direction, ended int64) penumbra.Anomaly {
	e := s.Open
	a := penumbra.Anomaly{
		ID: e.ID, Resource: k.Resource, Metric: k.Metric, Kind: e.Kind,
		Onset: at(e.Onset), Time: at(e.Time), Value: e.Value, Expected: e.Expected,
		Band: penumbra.Interval{Low: e.Low, High: e.High}, PValue: e.PValue,
		Worse: e.isWorse(worse),
	}
	if ended != 0 {
		a.Ended = at(ended)
	}
	return a
}

// silence is an anomaly of values that do not come.
type silence struct {
	_     struct{} `cbor:",toarray"`
	Onset int64    // when the first was missing
	Time  int64
}

const (
	missing = 10 // intervals without a value are a silence, or
	longest = 3  // times as long as the longest gap lately
)

// silent reports whether values are overdue.
func (s *series) silent(now int64) bool {
	return s.Count >= warm && float64(now-s.Last) > max(missing*s.Interval, longest*s.Gap)
}

func (s *series) silence(k key, ended int64) penumbra.Anomaly {
	base := s.expected(s.Quiet.Onset)
	a := penumbra.Anomaly{
		ID: identity(k, "silence", s.Quiet.Onset), Resource: k.Resource, Metric: k.Metric, Kind: penumbra.Silence,
		Onset: at(s.Quiet.Onset), Time: at(s.Quiet.Time), Value: s.Value, Expected: base,
		PValue: 1 / (1 + min(float64(s.Count), gapMemory)), Worse: true,
	}
	low, high := s.reach(deviation)
	wide := max(s.Scale[deviation], s.floor())
	a.Band = penumbra.Interval{Low: base - wide*low, High: base + wide*high}
	if ended != 0 {
		a.Ended = at(ended)
	}
	return a
}

func at(t int64) time.Time { return time.Unix(0, t).UTC() }

func compareKeys(a, b key) int {
	return cmp.Or(cmp.Compare(a.Resource, b.Resource), cmp.Compare(a.Metric, b.Metric))
}
