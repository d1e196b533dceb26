package shadow

import (
	"math"
)

// hazard is how a setting's next event is distributed in time: a gamma-Poisson
// process, and on top of it what is excited by recent events and dies down.
type hazard struct {
	shape, days float64 // of the gamma distribution of the rate
	wave        float64 // expected events excited by peers and siblings
}

// survival returns the probability of no event in so many days, the gamma
// distributed rate integrated out: (b/(b+d))^a, the zero of the negative
// binomial distribution.
func (z *hazard) survival(days float64) float64 {
	if days <= 0 {
		return 1
	}
	var ebb float64
	if z.wave > 0 {
		ebb = ebbed(days)
	}
	return math.Exp(z.logSurvival(days, ebb))
}

// logSurvival is the logarithm of survival. ebb is what has ebbed after the days, and
// does not count where there is no wave.
func (z *hazard) logSurvival(days, ebb float64) float64 {
	log := -z.shape * math.Log1p(days/z.days)
	if z.wave > 0 {
		log -= z.wave * ebb
	}
	return log
}

// ebbed returns how much of a wave is over after so many days.
func ebbed(days float64) float64 { return 1 - decay(days, waveLife) }

// crowd is how strongly k recent events among n others that have not followed
// excite the next: their odds, k/(n+1), but for a single event, which may be
// anybody's own.
func crowd(k, n float64) float64 {
	if k <= 0 {
		return 0
	}
	return min(4, k*k/(k+1.5)/(max(n, 0)+1))
}

// changeHazard is that of normal changes. The setting may be nil.
func (p *Pooled) changeHazard(c *class, r *resource, s *setting, at int64) hazard {
	estate := p.estateRates(at).change
	m := p.rates(c, at).change*p.prior.FleetWeight + estate*p.prior.Floor
	z := hazard{shape: p.prior.OwnStrength * m, days: p.prior.OwnStrength}
	if s == nil {
		return z
	}
	h := s.sums(at)
	z.shape += p.prior.OwnWeight * h.changes
	z.days += decayedDays(days(max(0, at-s.since.unix())), ownLife)
	if c.surge > 0.01 {
		k := c.surge*decay(days(max(0, at-c.at)), waveLife) - h.surge
		w := p.prior.Wave
		if s.actual == c.latest.value {
			w = p.prior.WaveDone
		}
		z.wave += w * crowd(k, c.members-1-k)
	}
	if r.burst > 0.01 {
		siblings := r.burstOf(at) - h.surge/float64(len(r.settings)+1)
		z.wave += p.prior.Burst * max(0, siblings) * min(5, m/estate)
	}
	return z
}

// leaveHazard is that of departures, but for those that a habit of the day
// explains. The setting may be nil.
func (p *Pooled) leaveHazard(c *class, s *setting, at int64, explained float64) hazard {
	m := p.rates(c, at).leave
	z := hazard{shape: p.prior.OwnStrength * m, days: p.prior.OwnStrength}
	if s == nil {
		return z
	}
	h := s.sums(at)
	z.shape += max(0, h.leaves-explained)
	z.days += decayedDays(days(max(0, at-s.since.unix())), ownLife)
	if c.flight > 0.01 && (c.gone.value != s.template || s.template.IsNull()) {
		z.wave = p.prior.Flight * c.flightWave(s, h.flight, at)
	}
	return z
}

// otherValue is what a departure of a peer counts that left another value than
// the setting has: a change creeps from like to like. It is a judgement.
const otherValue = 0.3

// flightWave is how strongly the recent departures of the peers excite the
// setting's, own being its own.
func (c *class) flightWave(s *setting, own float64, at int64) float64 {
	all := c.flight*decay(days(max(0, at-c.at)), waveLife) - own
	var alike, holders float64
	for i := range c.values {
		if x := &c.values[i]; x.value == s.actual {
			alike = max(0, x.escapes*decay(days(max(0, at-x.at)), waveLife)-own)
			holders = x.holders
		}
	}
	return crowd(alike, holders-1-alike) + otherValue*crowd(all-alike, c.members-1-c.away)
}
