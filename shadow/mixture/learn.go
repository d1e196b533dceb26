package mixture

import (
	"math"
	"time"

	"github.com/penumbra-iac/penumbra/internal/daily"
	"github.com/penumbra-iac/penumbra/shadow"
	"github.com/penumbra-iac/penumbra/shadow/excitation"
	"github.com/penumbra-iac/penumbra/shadow/rnn"
)

// advance asks for each day that has begun until t. What is known by then is
// learnt by [Model.Learn], before the next day begins at the latest.
func (m *Model) advance(t time.Time) {
	var today int64
	for m.day, today = daily.Begun(m.day, t); m.day <= today; m.day++ {
		at := m.day * daily.Seconds
		for m.Learn() {
		}
		m.forget()
		m.due = at
		m.survey(time.Unix(at, 0).UTC())
	}
}

// survey draws resources and asks about their settings.
func (m *Model) survey(at time.Time) {
	numbers := m.counts.Numbers()
	if numbers == 0 {
		return
	}
	c := cohort{at: at.Unix()}
	sets := m.openSets(at)
	// A resource is looked at about once a week where there are few of them.
	draws, looks := max(1, numbers/7), 0
	d := daily.Dice{Seed: m.options.Seed, Day: uint64(m.day)}
	for n := 0; n < draws && looks < m.options.Looks; n++ {
		m.view.looks = m.view.looks[:0]
		m.counts.Survey(d.Roll(), at, func(l *shadow.Look) { m.view.looks = append(m.view.looks, *l) })
		looks += len(m.view.looks)
		if len(m.view.looks) == 0 || !m.view.looks[0].Changes {
			continue
		}
		m.view.ask(m)
		for i := range m.view.looks {
			m.center(&m.view.looks[i], &m.view.answers[i])
			m.keep(&c, &m.view.looks[i], &m.view.answers[i], &m.view.questions[i], &d)
			sets.offer(&m.view.looks[i], &m.view.answers[i])
		}
	}
	sets.say(at)
	if len(c.examples) > 0 {
		m.cohorts = append(m.cohorts, c)
	}
}

// Settings whose chance to change is below oftenKept are kept as examples with
// a probability in proportion to it, at least leastKept, and weighted.
const (
	oftenKept = 0.05
	leastKept = 0.05
)

func (m *Model) keep(c *cohort, l *shadow.Look, a *answer, q *rnn.Question, d *daily.Dice) {
	kept := min(1, max(leastKept, (1-l.Survival[last])/oftenKept))
	if d.Roll() > kept || !l.Changes {
		return
	}
	x := &example{
		at: c.at, key: settingKey{l.Number, l.Path}, kind: l.Type, weight: float32(1 / kept), interval: int8(horizons),
		features: l.Features, recent: l.Recent, survival: float32(l.Survival[last]), offset: a.offset, pooled: float32(a.raw), contrast: a.contrast,
	}
	for k, z := range a.base {
		x.base[k] = float32(z)
	}
	for i, z := range a.word[last] {
		x.word[i] = float32(z)
	}
	for e := range experts {
		x.said[e] = float32(a.each[e][last])
	}
	if !m.options.NoNetwork {
		x.tape = m.recording(l.Number, q, x.weight)
	}
	x.earlier = m.asked[x.key]
	if x.earlier != nil && c.at-x.earlier.at > seconds[last] {
		x.earlier = nil
	}
	m.asked[x.key] = x
	c.examples = append(c.examples, x)
}

// mature learns what is known at a time of one day's questions, one interval of
// them, and reports whether there was anything to learn.
func (m *Model) mature(at int64) bool {
	for i := range m.cohorts {
		c := &m.cohorts[i]
		if c.stage == horizons || c.at+seconds[c.stage] > at {
			continue
		}
		m.learnInterval(c)
		m.learnContrast(c, c.stage)
		if c.stage == last {
			m.learnWord(c)
			m.learnWeights(c)
			m.fresh += m.learnNetwork(c)
		}
		c.stage++
		return true
	}
	return false
}

// matured ends what is learnt on a day.
func (m *Model) matured(at int64) {
	for len(m.cohorts) > 0 && m.cohorts[0].stage == horizons {
		for _, x := range m.cohorts[0].examples {
			if m.asked[x.key] == x {
				delete(m.asked, x.key)
			}
		}
		m.cohorts = m.cohorts[1:]
	}
	m.updateNetwork(at)
}

func (m *Model) forget() {
	keep := math.Exp2(-1.0 / plainLife)
	quick := math.Exp2(-1.0 / temperedLife)
	for k := range horizons {
		m.plain[k].Forget(keep)
		m.tempered[k].Forget(quick)
	}
	m.level.Forget(keep)
	still := math.Exp2(-1.0 / contrastLife)
	for k := range horizons {
		m.contrasts[k].Forget(still)
	}
}

// learnInterval teaches the interval that the cohort has come through.
func (m *Model) learnInterval(c *cohort) {
	k := c.stage
	for _, x := range c.examples {
		if int(x.interval) < k {
			continue
		}
		happened := int(x.interval) == k
		w := float64(x.weight)
		m.plain[k].Learn(float64(x.offset[k]), x.features[:], happened, w)
		m.tempered[k].Learn(float64(x.offset[k]), x.features[:], happened, w*belief)
		in := excitation.Of(float64(x.survival), &x.recent)
		m.excited.Learn(k, &in, happened, w)
	}
}

// mistrust is what a day's examples count in the weights and in the
// recalibration: what changes together is one occasion. A judgement.
const mistrust = 0.02

// slowly is how far the weights follow their gradient: experts that err
// differently are worth more together than the best alone, so that weights
// should hardly move unless one is plainly wrong. A judgement.
const slowly = 0.02

// learnWeights moves the weights of the experts and the recalibration.
func (m *Model) learnWeights(c *cohort) {
	types := map[string]*[experts]float64{}
	var all [experts]float64
	var raw, level float64
	for _, x := range c.examples {
		happened := int(x.interval) < horizons
		z, w := float64(x.pooled), float64(x.weight)*mistrust
		g := types[x.kind]
		if g == nil {
			g = &[experts]float64{}
			types[x.kind] = g
		}
		miss := probability(z)
		if happened {
			miss--
		}
		for e := range all {
			d := w * slowly * miss * (float64(x.said[e]) - z)
			all[e] += d
			g[e] += d
		}
		raw += w * logLoss(z, happened)
		level += w * logLoss(m.levelled(z), happened)
		m.level.Learn(z, []float32{float32(z / 4)}, happened, w)
		m.examples += float64(x.weight)
	}
	home := equal()
	m.estate.update(&all, &home)
	for kind, g := range types {
		w := m.types[kind]
		if w == nil {
			w = new(weights)
			*w = m.estate
			m.types[kind] = w
		}
		w.update(g, &m.estate)
	}
	// The recalibrated pool and the raw one are two experts of their own.
	gain := max(-mostADay, min(mostADay, raw-level))
	a, b := 1-m.trust, m.trust*math.Exp(gain)
	if a+b > 0 {
		m.trust = (1-2*giveBack)*b/(a+b) + giveBack
	}
}

func (m *Model) weightsOf(kind string) *weights {
	if w := m.types[kind]; w != nil {
		return w
	}
	return &m.estate
}

func (m *Model) levelled(z float64) float64 { return m.level.LogOdds(z, []float32{float32(z / 4)}) }

// recalibrated returns log odds that are right on average, as far as that was
// shown to be better.
func (m *Model) recalibrated(z float64) float64 { return z + m.trust*(m.levelled(z)-z) }
