package departure

import (
	"math"
	"time"

	"github.com/penumbra-iac/penumbra/shadow"
	"github.com/penumbra-iac/penumbra/shadow/logistic"
)

// example is a question that the model asked itself.
type example struct {
	at       int64 // Unix seconds
	interval int8  // in which it departed, horizons if it has not
	offset   [horizons]float32
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
	at       int64
	stage    int // intervals that were learnt
	keys     []settingKey
	examples []*example
}

// mostDays bounds how many days are caught up with after a silence.
const mostDays = 400

// Advance takes a census and asks for each day that has begun until t. It is
// called before what happened at t is folded into the counts.
func (m *Model) Advance(t time.Time) {
	today := t.Unix() / daySeconds
	switch {
	case m.day == 0:
		m.day = today + 1
	case today-m.day > mostDays:
		m.day = today - mostDays
	}
	for ; m.day <= today; m.day++ {
		m.mature(m.day * daySeconds)
		for _, c := range m.classes {
			m.survey(c, time.Unix(m.day*daySeconds, 0).UTC())
		}
	}
}

// survey takes the census of a class and asks about some of its settings: each
// about once a week where there are few of them.
func (m *Model) survey(c *class, at time.Time) {
	share := min(1.0/7, float64(m.options.Questions)/float64(len(m.classes))/(c.members+1))
	d := dice{seed: m.options.Seed, day: uint64(m.day)}
	now := cohort{at: at.Unix()}
	c.forget(now.at)
	var offered [][horizons]float64
	var pooled []float64
	var drawn []shadow.AtRisk
	c.census(m, at, func(x *shadow.AtRisk) {
		if d.roll() >= share {
			return
		}
		z, month := offsets(x)
		offered, pooled, drawn = append(offered, z), append(pooled, month), append(drawn, *x)
	})
	for i := range drawn {
		x := &example{at: now.at, interval: int8(horizons)}
		for k, z := range offered[i] {
			x.offset[k] = float32(z)
		}
		c.features(&x.features, &drawn[i], now.at, pooled[i])
		key := settingKey{drawn[i].Number, drawn[i].Path}
		m.asked[key] = append(m.asked[key], x)
		now.keys, now.examples = append(now.keys, key), append(now.examples, x)
	}
	if len(now.examples) > 0 {
		m.cohorts = append(m.cohorts, now)
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
		c.census(m, change.By.Time, nil)
	}
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
const mostClasses = 4096

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

// learn teaches the interval that a cohort has come through.
func (m *Model) learn(c *cohort) {
	k := c.stage
	var z []float64
	var at []*example
	departed := 0.0
	for _, x := range c.examples {
		if int(x.interval) < k {
			continue
		}
		at = append(at, x)
		z = append(z, m.who[k].LogOdds(float64(x.offset[k]), x.features[:]))
		if int(x.interval) == k {
			departed++
		}
	}
	for i, x := range at {
		m.level[k].Learn(z[i], nil, int(x.interval) == k, levelBelief)
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
		m.who[k].Learn(offset, f[:], int(x.interval) == k, whoBelief)
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

// dice are pseudo-random numbers that depend on the seed and the day alone, so
// that a model read back goes on as it would have: SplitMix64 (Steele, Lea and
// Flood, OOPSLA 2014).
type dice struct{ seed, day, n uint64 }

func (d *dice) roll() float64 {
	d.n++
	x := d.seed*0x9e3779b97f4a7c15 ^ d.day*0xbf58476d1ce4e5b9 ^ d.n*0x94d049bb133111eb
	for _, k := range [...]uint64{0xbf58476d1ce4e5b9, 0x94d049bb133111eb} {
		x = (x ^ x>>30) * k
	}
	x ^= x >> 31
	return float64(x>>11) / (1 << 53)
}
