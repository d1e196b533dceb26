package backtest

import (
	"time"

	"github.com/penumbra-iac/penumbra"
	"github.com/penumbra-iac/penumbra/shadow"
	"github.com/penumbra-iac/penumbra/shadow/logistic"
)

// Peer is the plain logistic regression that a learned model has to beat: on
// the time since a setting's last change, its own frequency, whole and decayed,
// the rate of its class over a year and a month, and the pooled model's log odds
// ([shadow.Look.Peer]), one regression for each horizon. It learns as it
// goes, every day from resources drawn in turn, each example when its horizon
// is over; nothing that it has learnt is forgotten. It is a baseline and no
// model to serve with: its prediction sets are the pooled model's.
type Peer struct {
	*shadow.Pooled
	rows    [len(penumbra.Horizons)]*logistic.Regression
	waiting [len(penumbra.Horizons)][]*peerExample // by rising time
	open    map[peerKey][]*peerExample             // not changed yet
	day     int64
	turn    int
}

type peerKey struct {
	resource penumbra.Address
	path     string
}

type peerExample struct {
	key     peerKey
	at      int64
	changed int64 // 0 if not yet
	x       [shadow.NumPeerFeatures]float32
	weight  float64
}

// NewPeer returns one that has observed nothing.
func NewPeer() *Peer {
	p := &Peer{open: map[peerKey][]*peerExample{}}
	p.Pooled = shadow.NewPooled(shadow.Options{Changes: p.changed})
	for k := range p.rows {
		p.rows[k] = logistic.New(shadow.NumPeerFeatures, 1)
	}
	return p
}

// Observe folds an observation in.
func (p *Peer) Observe(o *penumbra.Observation) {
	today := o.Time.Unix() / 86400
	if p.day == 0 || today-p.day > 400 {
		p.day = today
	}
	for ; p.day < today; p.day++ {
		p.learn((p.day + 1) * 86400)
		p.draw((p.day + 1) * 86400)
	}
	p.Pooled.Observe(o)
}

func (p *Peer) changed(c shadow.Change) {
	if c.Departure {
		return
	}
	key := peerKey{c.Resource, c.Path}
	for _, x := range p.open[key] {
		x.changed = c.By.Time.Unix()
	}
	delete(p.open, key)
}

// The most settings that are drawn on a day, and the least share in which
// settings that will hardly change are kept, weighted.
const (
	peerDraws = 2000
	peerKept  = 0.05
)

// draw takes the resources whose turn it is, each about once a week.
func (p *Peer) draw(at int64) {
	n := p.Numbers()
	looks := 0
	for range n/7 + 1 {
		if looks >= peerDraws {
			return
		}
		p.turn++
		p.Survey((float64(p.turn%max(1, n))+0.5)/float64(max(1, n)), time.Unix(at, 0).UTC(), func(l *shadow.Look) {
			looks++
			chance := 1 - l.Survival[len(l.Survival)-1]
			kept := min(1, max(peerKept, chance/peerKept))
			key := peerKey{l.Resource, l.Path}
			// Which are kept depends on nothing but setting and day.
			if float64(digest(string(l.Resource)+l.Path, uint64(at)))/(1<<32) > kept {
				return
			}
			x := &peerExample{key: key, at: at, weight: 1 / kept, x: l.Peer()}
			p.open[key] = append(p.open[key], x)
			for k := range p.waiting {
				p.waiting[k] = append(p.waiting[k], x)
			}
		})
	}
}

// learn takes in what is known by now.
func (p *Peer) learn(at int64) {
	for k, span := range penumbra.Horizons {
		seconds := int64(span / time.Second)
		done := 0
		for _, x := range p.waiting[k] {
			if x.at+seconds > at {
				break
			}
			done++
			p.rows[k].Learn(0, x.x[:], x.changed != 0 && x.changed-x.at <= seconds, x.weight)
			if k == len(penumbra.Horizons)-1 && x.changed == 0 {
				p.close(x)
			}
		}
		p.waiting[k] = p.waiting[k][done:]
	}
}

func (p *Peer) close(x *peerExample) {
	left := p.open[x.key]
	for i, y := range left {
		if y == x {
			left = append(left[:i], left[i+1:]...)
			break
		}
	}
	if len(left) == 0 {
		delete(p.open, x.key)
	} else {
		p.open[x.key] = left
	}
}

// Forecast returns the regressions' probabilities.
func (p *Peer) Forecast(r *penumbra.Resource, at time.Time) []penumbra.Forecast {
	out := p.Pooled.Forecast(r, at)
	i := 0
	p.Visit(r, at, func(l *shadow.Look) {
		if l.Changes {
			x := l.Peer()
			for k := range out[i].Leave {
				out[i].Leave[k] = 1 - (1-logistic.Probability(p.rows[k].LogOdds(0, x[:])))*l.Stays[k]
				if k > 0 {
					out[i].Leave[k] = max(out[i].Leave[k], out[i].Leave[k-1])
				}
			}
		}
		i++
	})
	return out
}
