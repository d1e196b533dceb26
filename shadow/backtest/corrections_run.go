package backtest

import (
	"context"
	"math"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/penumbra-iac/penumbra"
	"github.com/penumbra-iac/penumbra/shadow"
	"github.com/penumbra-iac/penumbra/shadow/departure"
)

// CorrectionOptions say what is asked about corrections. The zero value is what
// docs/model-drift.md reports.
type CorrectionOptions struct {
	Every     time.Duration // between cuts, a week if 0
	Known     int           // departures of a class before it is asked about, 5 if 0
	Alerts    float64       // a week, 30 if 0
	Bootstrap int           // resamples, 1000 if 0, none if negative
	Seed      uint64
	Progress  func(share float64)
}

func (o *CorrectionOptions) defaults() {
	if o.Every == 0 {
		o.Every = 7 * day
	}
	if o.Known == 0 {
		o.Known = 5
	}
	if o.Alerts == 0 {
		o.Alerts = 30
	}
	if o.Bootstrap == 0 {
		o.Bootstrap = 1000
	}
	if o.Progress == nil {
		o.Progress = func(float64) {}
	}
}

// The predictors of departures, the model first.
const (
	departs = iota
	pooledLeaves
	ownDepartures
	fleetPopularity
	namesMinor
	byLot
	departers
)

var departerNames = [departers]string{"departure", "pooled", "own departures", "fleet popularity", "version names a minor", "random"}

// The horizons of corrections, as [departure.Horizons] has them.
const (
	week = iota
	month
	season
	spans
)

// risk is one question: will this setting depart?
type risk struct {
	setting settingAt
	class   string
	at      int64
	said    [departers][spans]float32
	next    int32 // the departure that follows it, -1 if none
	elapsed int64 // seconds until then
}

// left reports whether it departed within a horizon.
func (r *risk) left(span int) bool {
	return r.next >= 0 && r.elapsed <= int64(departure.Horizons[span]/time.Second)
}

// correcting is one pass over a history with corrections.
type correcting struct {
	options *CorrectionOptions
	seen    *Observed
	model   *departure.Model
	counts  *shadow.Pooled
	random  *rand.Rand
	past    map[classKey]int // departures seen, by class
	cuts    []int64
	risks   []risk  // in the order of cuts
	estate  float64 // settings of all classes that might have departed, summed over cuts made
	made    int
	named   []named
}

// Corrections replays a history of code with its corrections, see [Observe],
// into the departure model and scores what it said: which settings depart, with
// how much lead, and for what value. Nothing from after a question is known
// when it is asked. It returns an error of kind Invalid if no correction can be
// used, and the context's if it ends.
func Corrections(ctx context.Context, history []*penumbra.Observation, corrections []Correction, options CorrectionOptions) (*CorrectionReport, error) {
	options.defaults()
	seen := Observe(history, corrections)
	if len(seen.Departed) == 0 {
		return nil, invalid("no correction is of a setting that the history has", "give the corrections of this history")
	}
	p := &correcting{options: &options, seen: seen, random: rand.New(rand.NewPCG(options.Seed, 11)), past: map[classKey]int{}}
	p.counts = shadow.NewPooled(shadow.Options{Changes: func(c shadow.Change) {
		p.model.Learn(&c)
		if c.Departure {
			p.past[classKey{c.Type, c.Class}]++
		}
	}})
	p.model = departure.New(p.counts, departure.Options{Seed: options.Seed})
	if err := p.replay(ctx); err != nil {
		return nil, err
	}
	p.label()
	return p.report(), nil
}

func (p *correcting) replay(ctx context.Context) error {
	all := p.seen.Observations
	begin, end := p.seen.Departed[0].Time.Truncate(time.Second), all[len(all)-1].Time
	next := begin.Add(p.options.Every)
	shown := map[*penumbra.Observation]int{}
	for i, d := range p.seen.Departed {
		shown[d.Snapshot] = i
	}
	for i := 0; i < len(all); {
		at := all[i].Time
		for ; !next.After(at); next = next.Add(p.options.Every) {
			if err := ctx.Err(); err != nil {
				return err
			}
			p.model.Advance(next)
			p.cut(next)
			p.options.Progress(replayShare * float64(next.Sub(begin)) / float64(max(1, end.Sub(begin))))
		}
		p.model.Advance(at)
		j := i
		for ; j < len(all) && all[j].Time.Equal(at); j++ { // ask all before any is learnt
			if d, ok := shown[all[j]]; ok {
				p.ask(d)
			}
		}
		for ; i < j; i++ {
			p.counts.Observe(all[i])
		}
	}
	// A horizon that the data does not cover is not asked.
	p.cuts = slices.DeleteFunc(p.cuts, func(at int64) bool { return at+int64(departure.Horizons[season]/time.Second) > end.Unix() })
	if len(p.cuts) > 0 {
		last := p.cuts[len(p.cuts)-1]
		p.risks = slices.DeleteFunc(p.risks, func(r risk) bool { return r.at > last })
	}
	return nil
}

// cut asks about all settings at risk of the classes that are known to depart.
func (p *correcting) cut(at time.Time) {
	t := at.Unix()
	p.cuts = append(p.cuts, t)
	p.made++
	begin := len(p.risks)
	holders, members := map[classKey]map[penumbra.Value]float64{}, map[classKey]float64{}
	var keys []classKey
	var values []penumbra.Value
	for n := 1; n <= p.counts.Numbers(); n++ {
		p.counts.DepartingNumber(uint32(n), at, func(x *shadow.AtRisk) {
			k := classKey{x.Type, x.Class}
			if !x.Away {
				p.estate++
			}
			if p.past[k] < p.options.Known {
				return
			}
			if holders[k] == nil {
				holders[k] = map[penumbra.Value]float64{}
			}
			holders[k][x.Value]++
			members[k]++
			if x.Away {
				return
			}
			r := risk{setting: settingAt{x.Resource, x.Path}, class: x.Type + " " + x.Class, at: t, next: -1}
			minor := float32(0)
			if departure.NamesMinor(x.Value) {
				minor = 1
			}
			lot := p.random.Float32()
			leave := p.model.Leave(x, at)
			for k, span := range departure.Horizons {
				r.said[departs][k] = float32(leave[k])
				r.said[pooledLeaves][k] = float32(1 - x.Stays(span))
				r.said[ownDepartures][k] = float32(len(x.Left))
				r.said[namesMinor][k] = minor
				r.said[byLot][k] = lot
			}
			p.risks = append(p.risks, r)
			keys, values = append(keys, k), append(values, x.Value)
		})
	}
	for i := range keys {
		share := float32(holders[keys[i]][values[i]] / members[keys[i]])
		for k := range departure.Horizons {
			p.risks[begin+i].said[fleetPopularity][k] = share
		}
	}
}

// label finds what followed each question.
func (p *correcting) label() {
	lists := when(p.seen.Departed)
	for i := range p.risks {
		r := &p.risks[i]
		for _, d := range lists[r.setting] {
			if t := p.seen.Departed[d].Time.Unix(); t > r.at {
				r.next, r.elapsed = int32(d), t-r.at
				break
			}
		}
	}
}

// The ways to name the value that a setting departs to.
const (
	modelNames = iota
	majorityNames
	followNames
	namers
)

var namerNames = [namers]string{"departure", "fleet majority", "last of its value"}

// named is whether each way named a departure's value.
type named struct {
	departed int
	right    [namers]bool
	log      float64 // loss of the model, in nats
	set      int     // values that the model named
}

// ask asks for the value of a departure that is about to be seen.
func (p *correcting) ask(d int) {
	x := &p.seen.Departed[d]
	n := named{departed: d, log: -math.Log(unnamed)}
	p.counts.Departing(x.Resource, x.Time, func(r *shadow.AtRisk) {
		if r.Path != x.Setting {
			return
		}
		candidates := p.model.Next(r, x.Time)
		n.set = len(candidates)
		for i, c := range candidates {
			if c.Value == x.To {
				n.right[modelNames] = i == 0
				n.log = -math.Log(max(unnamed, c.Probability))
			}
		}
		n.right[majorityNames] = p.majority(r, x.Time) == x.To
	})
	for i := d - 1; i >= 0; i-- {
		if y := &p.seen.Departed[i]; y.From == x.From && y.Setting == x.Setting && y.Time.Before(x.Time) {
			n.right[followNames] = y.To == x.To
			break
		}
	}
	p.named = append(p.named, n)
}

// unnamed is the probability that a value is taken to have had if none was said.
const unnamed = 1e-3

// majority returns the commonest value of the peers of those that the fleet first
// had after the setting's own and that may replace it.
func (p *correcting) majority(r *shadow.AtRisk, at time.Time) penumbra.Value {
	count, first := map[penumbra.Value]int{}, map[penumbra.Value]int64{}
	kind, class, own := r.Type, r.Class, r.Value
	for n := 1; n <= p.counts.Numbers(); n++ {
		if p.counts.TypeOf(uint32(n)) != kind {
			continue
		}
		p.counts.DepartingNumber(uint32(n), at, func(y *shadow.AtRisk) {
			if y.Class != class || !departure.Replaces(own, y.Value) {
				return
			}
			count[y.Value]++
			if t, ok := first[y.Value]; !ok || y.Since < t {
				first[y.Value] = y.Since
			}
		})
	}
	var best penumbra.Value
	for v, n := range count {
		if first[v] > first[own] && (best.IsNull() || n > count[best] || n == count[best] && v.Text() > best.Text()) {
			best = v
		}
	}
	return best
}
