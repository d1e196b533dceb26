package shadow

import (
	"math"

	"github.com/penumbra-iac/penumbra"
)

// Half-lives, in days.
const (
	longLife  = 365 // of the fleet's counts
	ownLife   = 90  // of a setting's own counts
	monthLife = 30  // of what was moving lately
	waveLife  = 5   // of a wave that passes through the fleet
	dayLife   = 1   // of what is moving now
	bornLife  = 180 // of what members begin with
	habitLife = 30  // of the hours at which a setting is away
)

const secondsPerDay = 86400

func days(seconds int64) float64 { return float64(seconds) / secondsPerDay }

// decay returns what is left of one after the days.
func decay(days, halfLife float64) float64 { return math.Exp2(-days / halfLife) }

// decayedDays returns the exposure that so many days have come to under decay.
func decayedDays(days, halfLife float64) float64 {
	return (1 - decay(days, halfLife)) * halfLife / math.Ln2
}

// pool holds the decayed counts of a set of settings, as of a time.
type pool struct {
	at       int64   // Unix seconds
	members  float64 // settings that live in it
	exposure float64 // days
	changes  float64 // to a value that is normal
	sweeps   float64 // distinct times at which there were changes
	swept    int64   // the last of these times
	leaves   float64 // departures
	surge    float64 // changes, with the wave's half-life
	flight   float64 // departures, with the wave's half-life
	month    float64 // changes, with the half-life of a month
	day      float64 // changes, with the half-life of a day
}

// advance brings the sums to t. A t before the pool's time does nothing.
func (p *pool) advance(t int64) {
	if t <= p.at {
		return
	}
	if p.members == 0 && p.exposure == 0 {
		p.at = t
		return
	}
	d := days(t - p.at)
	long, wave := decay(d, longLife), decay(d, waveLife)
	p.exposure = p.exposure*long + p.members*(1-long)*longLife/math.Ln2
	p.changes *= long
	p.sweeps *= long
	p.leaves *= long
	p.surge *= wave
	p.flight *= wave
	p.month *= decay(d, monthLife)
	p.day *= decay(d, dayLife)
	p.at = t
}

// join adds n members, which may be negative, at t.
func (p *pool) join(n float64, t int64) {
	p.advance(t)
	p.members += n
	if t < p.at {
		p.exposure = max(0, p.exposure+n*decayedDays(days(p.at-t), longLife))
	}
}

// count adds a change or a departure at t.
func (p *pool) count(departure bool, t int64) {
	p.advance(t)
	late := days(p.at - t)
	if departure {
		p.leaves += decay(late, longLife)
		p.flight += decay(late, waveLife)
		return
	}
	p.changes += decay(late, longLife)
	if t != p.swept {
		p.sweeps += decay(late, longLife)
		p.swept = t
	}
	p.surge += decay(late, waveLife)
	p.month += decay(late, monthLife)
	p.day += decay(late, dayLife)
}

// group is a pool with the rates last computed from it.
type group struct {
	pool
	memo memo
}

// memo keeps rates while neither the time nor the pools have moved.
type memo struct {
	at      int64
	version uint64
	rates   rates
}

// rates are expected numbers of events a day. thin is how many independent
// occasions there are to a change: one commit that sweeps over a thousand
// settings says as much of what comes as one change does.
type rates struct{ change, leave, thin float64 }

type classKey struct{ kind, path string }

// class pools the settings of one type and one masked path.
type class struct {
	group
	key     classKey
	kind    *group
	token   *group
	shipped float64 // the token's shipped factor, 0 if there is none
	away    float64 // members whose excursion is open
	arrival arrival
	values  []tally  // values that members have or had, at most maxTallies
	recent  []moving // the last changes and departures, oldest first
	steps   *steps   // sizes of numeric changes, nil until there is one
	view    classView
	hash    uint32
	latest  arrived // the value last changed to
	before  arrived // the same as of before the moment of latest
	gone    arrived // the value last departed to
	turns   uint32  // normal changes of members, ever
}

// arrived is the value that a member went to, and when.
type arrived struct {
	value penumbra.Value
	time  int64
}

// later returns the later of two; of one moment, the greater value, so that
// the order of peers does not matter.
func (a arrived) later(b arrived) arrived {
	if b.time > a.time || b.time == a.time && compareValues(b.value, a.value) > 0 {
		return b
	}
	return a
}

// moving is one recent change or departure of a member: enough to say who moved
// it, and to take it out of all sums again, see [Pooled.ForecastWithout].
type moving struct {
	time      int64
	resource  uint32 // its number
	path      uint32 // hashes of the path and of the values it left and went to
	from, to  uint32
	actor     uint32 // number of the actor's name, 0 if nobody is known
	by        penumbra.ActorKind
	departure bool
}

const maxRecent = 32

func (c *class) remember(m moving) {
	if len(c.recent) == maxRecent {
		copy(c.recent, c.recent[1:])
		c.recent[maxRecent-1] = m
		return
	}
	c.recent = append(c.recent, m)
}

// classOf returns the class of a path of a type, made if it is new.
func (p *Pooled) classOf(kind, path string) *class {
	masked := mask(path)
	if c := p.classes[classKey{kind, masked}]; c != nil {
		return c
	}
	masked = p.intern(masked)
	token := lastToken(masked)
	c := &class{
		key:     classKey{kind, masked},
		kind:    groupOf(p.types, kind),
		token:   groupOf(p.tokens, token),
		shipped: p.prior.TokenFactors[token],
		hash:    hashText(kind, masked),
	}
	p.classes[c.key] = c
	return c
}

func groupOf(groups map[string]*group, name string) *group {
	g := groups[name]
	if g == nil {
		g = &group{}
		groups[name] = g
	}
	return g
}

func (p *Pooled) intern(s string) string {
	if t, ok := p.paths[s]; ok {
		return t
	}
	p.paths[s] = s
	return s
}

// join adds n settings of the class to all pools that it belongs to.
func (p *Pooled) join(r *resource, c *class, n float64, t int64) {
	for _, q := range [...]*pool{&c.pool, &c.token.pool, &c.kind.pool, &p.all.pool, &r.folder.pool} {
		q.join(n, t)
	}
	p.version++
}

// count adds a change or a departure to all pools that the class belongs to.
func (p *Pooled) count(r *resource, c *class, departure bool, t int64) {
	for _, q := range [...]*pool{&c.pool, &c.token.pool, &c.kind.pool, &p.all.pool, &r.folder.pool} {
		q.count(departure, t)
	}
	p.version++
}

// strength is how many days of exposure a parent's rates are worth.
type strength struct{ change, leave float64 }

// sweepStrength is how many changes the parent's dispersion is worth.
const sweepStrength = 3

// shrunk returns the rates of a pool drawn to its parent's, the means of gamma
// posteriors.
func (g *group) shrunk(p *Pooled, at int64, s strength, parent func() rates) rates {
	if g.memo.at == at && g.memo.version == p.version+1 {
		return g.memo.rates
	}
	q := g.pool
	q.advance(at)
	up := parent()
	r := rates{thin: (q.sweeps + sweepStrength) / (q.changes + sweepStrength/up.thin)}
	// Quasi-Poisson: counts and exposure alike shrink by the dispersion, so that
	// the mean stays and its weight against the parent's falls.
	r.change = (q.changes*r.thin + s.change*up.change) / (q.exposure*r.thin + s.change)
	r.leave = (q.leaves + s.leave*up.leave) / (q.exposure + s.leave)
	g.memo = memo{at, p.version + 1, r} // +1: the zero memo is of no version
	return r
}

// estateRates are those of all settings.
func (p *Pooled) estateRates(at int64) rates {
	return p.all.shrunk(p, at, strength{p.prior.EstateStrength, p.prior.EstateStrength}, func() rates {
		return rates{p.prior.ChangeRate, p.prior.DepartureRate, 0.3}
	})
}

// rates returns what is expected of a setting of the class before its own
// history is looked at.
func (p *Pooled) rates(c *class, at int64) rates {
	return c.shrunk(p, at, strength{p.prior.ClassStrength, p.prior.LeaveClassStrength}, func() rates {
		kind := c.kind.shrunk(p, at, strength{p.prior.TypeStrength, p.prior.LeaveStrength}, func() rates { return p.estateRates(at) })
		token := c.token.shrunk(p, at, strength{p.prior.TokenStrength, p.prior.LeaveStrength}, func() rates {
			estate := p.estateRates(at)
			if c.shipped > 0 {
				estate.change *= c.shipped
			}
			return estate
		})
		w := p.prior.TokenShare
		return rates{
			change: math.Exp(w*math.Log(token.change) + (1-w)*math.Log(kind.change)),
			leave:  math.Exp(w*math.Log(token.leave) + (1-w)*math.Log(kind.leave)),
			thin:   math.Exp(w*math.Log(token.thin) + (1-w)*math.Log(kind.thin)),
		}
	})
}
