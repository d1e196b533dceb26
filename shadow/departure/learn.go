package departure

import (
	"math"
	"time"

	"github.com/penumbra-iac/penumbra/internal/daily"
	"github.com/penumbra-iac/penumbra/shadow"
	"github.com/penumbra-iac/penumbra/shadow/logistic"
)

// example is a question that the model asked itself.
type example struct {
	at       int64             // Unix seconds
	interval int8              // in which it departed, horizons if it has not
	offset   [horizons]float32 // the pooled model's log odds by interval
	calm     [horizons]float32 // the same as if no wave went through its peers
	features [numFeatures]float32
}

// settingKey names a setting: its resource's number and its path.
type settingKey struct {
	resource uint32
	path     string
}

// cohort is the questions of one day about one class, which are compared with
// one another.
type cohort struct {
	class    *class
	at       int64
	stage    int // intervals that were learnt
	keys     []settingKey
	examples []*example
}

// Advance takes a census and asks for each day that has begun until t. It is
// called before what happened at t is folded into the counts.
func (m *Model) Advance(t time.Time) {
	var today int64
	for m.day, today = daily.Begun(m.day, t); m.day <= today; m.day++ {
		for _, c := range m.classes {
			m.learnCases(c)
		}
		m.mature(m.day * daily.Seconds)
		for _, c := range m.classes {
			m.survey(c, time.Unix(m.day*daily.Seconds, 0).UTC())
		}
	}
}

// survey takes the census of a class and asks about some of its settings: each
// about once a week where there are few of them.
func (m *Model) survey(c *class, at time.Time) {
	share := min(1.0/7, float64(m.options.Questions)/float64(len(m.classes))/(c.members+1))
	d := daily.Dice{Seed: m.options.Seed, Day: uint64(m.day)}
	now := cohort{class: c, at: at.Unix()}
	c.forget(now.at)
	var drawn []shadow.AtRisk
	c.census(m, at, func(x *shadow.AtRisk) {
		if d.Roll() < share {
			drawn = append(drawn, *x) // nothing is observed before it is used
		}
	})
	for i := range drawn {
		x := c.example(&drawn[i], now.at)
		c.keep(x, &d)
		key := settingKey{drawn[i].Number, drawn[i].Path}
		m.asked[key] = append(m.asked[key], x)
		now.keys, now.examples = append(now.keys, key), append(now.examples, x)
	}
	c.controls = now.examples
	m.balance(c)
	m.cohorts = append(m.cohorts, now)
}

// mostKept is how many questions are kept of a class to know what is usual.
const mostKept = 512

// keep takes a question into the sample of all so far (Vitter, "Random sampling
// with a reservoir", ACM TOMS 11 (1985), 37-57).
func (c *class) keep(x *example, d *daily.Dice) {
	c.questions++
	if len(c.kept) < mostKept {
		c.kept = append(c.kept, x)
	} else if i := int(d.Roll() * float64(c.questions)); i < mostKept {
		c.kept[i] = x
	}
}

// slowly is how much of today's level gives way to the usual one: half, because
// on one history each of the two was right in one half of the time. A judgement.
const slowly = 0.5

// balance sets the shift of the class's log odds. It takes away what the
// regressions add on average over all days so far, so that who departs does not
// change how many do. And it draws the pooled model's level of the day, but for
// the wave, to the usual one: once a wave is over its rate is high, just when
// little is left to depart.
func (m *Model) balance(c *class) {
	for k := range horizons {
		var usual, learnt, today float64
		for _, x := range c.kept {
			usual += math.Exp(float64(x.calm[k]))
			learnt += math.Exp(m.who[k].LogOdds(float64(x.calm[k]), x.features[:]))
		}
		for _, x := range c.controls {
			today += math.Exp(float64(x.calm[k]))
		}
		if len(c.kept) == 0 || len(c.controls) == 0 {
			return
		}
		n, now := float64(len(c.kept)), float64(len(c.controls))
		c.shift[k] = slowly*(math.Log(usual/n)-math.Log(today/now)) - math.Log(learnt/usual)
	}
}

// Learn takes in a change as the counts tell of it. Only departures teach.
func (m *Model) Learn(change *shadow.Change) {
	if !change.Departure {
		return
	}
	at := change.By.Time.Unix()
	key := classKey{change.Type, change.Class}
	c := m.byKey[key]
	if c == nil {
		if len(m.classes) == mostClasses {
			return
		}
		c = newClass(change.Type, change.Class)
		m.byKey[key] = c
		m.classes = append(m.classes, c)
		m.survey(c, change.By.Time)
	}
	m.counts.Departing(change.Resource, change.By.Time, func(x *shadow.AtRisk) {
		if x.Path == change.Path {
			c.cases = append(c.cases, c.example(x, change.By.Time.Unix()))
		}
	})
	m.ways.learn(c, change.From, change.To, at)
	c.depart(shadow.Family(change.Resource), change.From, change.To, at)
	asked := settingKey{m.counts.Number(change.Resource), change.Path}
	for _, x := range m.asked[asked] {
		if x.interval == int8(horizons) {
			x.interval = intervalOf(at - x.at)
		}
	}
	delete(m.asked, asked)
}

// mostClasses bounds how many classes are watched.
const mostClasses = 1024

// intervalOf returns the interval that so many seconds fall in, horizons if
// they are beyond the last.
func intervalOf(elapsed int64) int8 {
	for k, end := range Horizons {
		if elapsed <= int64(end/time.Second) {
			return int8(k)
		}
	}
	return int8(horizons)
}

// mature learns the intervals that have passed by now.
func (m *Model) mature(at int64) {
	for i := range m.cohorts {
		c := &m.cohorts[i]
		for c.stage < horizons && c.at+int64(Horizons[c.stage]/time.Second) <= at {
			m.learn(c)
			c.stage++
		}
	}
	for len(m.cohorts) > 0 && m.cohorts[0].stage == horizons {
		for i, key := range m.cohorts[0].keys {
			m.drop(key, m.cohorts[0].examples[i])
		}
		m.cohorts[0] = cohort{}
		m.cohorts = m.cohorts[1:]
	}
}

// drop forgets a question that is answered for good.
func (m *Model) drop(key settingKey, x *example) {
	l := m.asked[key]
	if len(l) > 0 && l[0] == x {
		l = l[1:]
	}
	if len(l) == 0 {
		delete(m.asked, key)
		return
	}
	m.asked[key] = l
}

// example describes a setting of the class as it is now.
func (c *class) example(x *shadow.AtRisk, at int64) *example {
	e := &example{at: at, interval: int8(horizons)}
	for k, z := range byInterval(x.Stays) {
		e.offset[k] = float32(z)
	}
	for k, z := range byInterval(x.Calm) {
		e.calm[k] = float32(z)
	}
	c.features(&e.features, x, at, logistic.LogOddsOf(1-x.Stays(Horizons[1])))
	return e
}

// learnCases teaches what departed on the day that is over against what was at
// risk with it, for all horizons: a setting that departs at once departs within
// each of them.
func (m *Model) learnCases(c *class) {
	if len(c.cases) == 0 {
		return
	}
	var at []*example
	var happened []bool
	for _, x := range c.controls {
		if x.interval == int8(horizons) {
			at, happened = append(at, x), append(happened, false)
		}
	}
	for _, x := range c.cases {
		at, happened = append(at, x), append(happened, true)
	}
	c.cases = c.cases[:0]
	for k := range horizons {
		m.contrast(k, at, happened, caseBelief)
	}
}

// learn teaches the interval that a cohort has come through.
func (m *Model) learn(c *cohort) {
	k := c.stage
	var at []*example
	var happened []bool
	for _, x := range c.examples {
		if int(x.interval) < k {
			continue
		}
		at, happened = append(at, x), append(happened, int(x.interval) == k)
	}
	m.contrast(k, at, happened, questionBelief)
}

// contrast teaches who of those at risk departed, whatever the day's level.
func (m *Model) contrast(k int, at []*example, happened []bool, belief float64) {
	var z []float64
	departed := 0.0
	for i, x := range at {
		z = append(z, m.who[k].LogOdds(float64(x.offset[k]), x.features[:]))
		if happened[i] {
			departed++
		}
	}
	if departed == 0 || departed == float64(len(at)) {
		return // who, where nobody or everybody did, is no question
	}
	level := stratum(z, departed)
	// The constant is orthogonal to features that are centred by information.
	var mean [numFeatures]float64
	var sum float64
	for i, x := range at {
		p := logistic.Probability(z[i] + level)
		w := p * (1 - p)
		sum += w
		for j, f := range x.features {
			mean[j] += w * float64(f)
		}
	}
	for i, x := range at {
		var f [numFeatures]float32
		offset := level + z[i]
		for j := range f {
			f[j] = x.features[j] - float32(mean[j]/sum)
		}
		offset -= m.who[k].LogOdds(0, f[:])
		m.who[k].Learn(offset, f[:], happened[i], belief)
	}
}

// stratum returns the constant with which as many depart as did.
func stratum(z []float64, departed float64) float64 {
	level := 0.0
	for range 50 {
		var sum, slope float64
		for _, x := range z {
			p := logistic.Probability(x + level)
			sum += p
			slope += p * (1 - p)
		}
		step := (departed - sum) / max(slope, 1e-9)
		level += max(-2, min(2, step))
		if math.Abs(step) < 1e-6 {
			break
		}
	}
	return level
}
