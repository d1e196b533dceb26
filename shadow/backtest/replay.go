package backtest

import (
	"hash/fnv"
	"iter"
	"slices"
	"strings"
	"time"

	"github.com/penumbra-iac/penumbra"
	"github.com/penumbra-iac/penumbra/shadow"
)

// Options says where the cuts are.
type Options struct {
	From, To time.Time     // the first cut, and the end of the last one's horizon
	Every    time.Duration // between cuts
	Horizon  int           // index into [penumbra.Horizons]
	// Values also scores prediction sets, which needs Every to be the horizon.
	Values bool
	// Sample, if above 1, scores one resource in so many, chosen by the digest
	// of its address. The model learns from all.
	Sample uint32
}

// Confidences are those at which prediction sets are scored.
var Confidences = [...]float64{0.90, 0.95, 0.99}

// Predictors are the naive predictors of change, then the model itself.
var Predictors = [...]string{"days since the last change", "own frequency", "own count, decayed (90 d)", "model"}

const model = len(Predictors) - 1

// row is one question about change and its answers.
type row struct {
	scores  [len(Predictors)]float32
	cut     int32
	class   int32
	changed bool
}

// live is a setting as the replay has it.
type live struct {
	value   penumbra.Value
	born    time.Time
	last    time.Time // change, or birth
	changes float64
	decayed float64 // as of last
	class   int32
	row     int // of the last cut, -1 if none
	cut     time.Time
	before  penumbra.Value // at that cut
	sets    *[len(Confidences)]penumbra.Expectation
}

type resource struct {
	noun     penumbra.Resource
	settings map[string]*live
	scored   bool
}

type replay struct {
	model   shadow.Model
	options Options
	horizon time.Duration
	known   map[penumbra.Address]*resource
	classes map[[2]string]int32
	rows    []row
	cuts    int32
	cover   Coverage
}

// Run replays observations, which are in the order of time, into the model.
func Run(observations iter.Seq[*penumbra.Observation], m shadow.Model, options Options) *Report {
	p := &replay{
		model: m, options: options, horizon: penumbra.Horizons[options.Horizon],
		known: map[penumbra.Address]*resource{}, classes: map[[2]string]int32{},
	}
	next := options.From
	for o := range observations {
		for ; !next.After(o.Time) && !next.After(options.To); next = next.Add(options.Every) {
			p.cut(next)
		}
		if o.Time.After(options.To) {
			break
		}
		p.fold(o)
		m.Observe(o)
	}
	for ; !next.After(options.To); next = next.Add(options.Every) {
		p.cut(next)
	}
	return p.report()
}

// fold keeps the values and fills the labels in.
func (p *replay) fold(o *penumbra.Observation) {
	code := o.Kind == penumbra.EventKind && strings.HasPrefix(o.Source, "git:")
	if !code && o.Kind != penumbra.SnapshotKind {
		return
	}
	r := p.known[o.Resource]
	if code && o.Action == penumbra.ActionDelete {
		delete(p.known, o.Resource)
		return
	}
	if r == nil {
		r = &resource{noun: penumbra.Resource{Address: o.Resource, Type: o.Type}, settings: map[string]*live{}, scored: p.sampled(o.Resource)}
		p.known[o.Resource] = r
	}
	patch := slices.Clone(o.Settings)
	if o.Full || code && o.Action == "create" {
		for _, x := range r.noun.Actual {
			if _, ok := o.Settings.Find(x.Path); !ok {
				patch = append(patch, penumbra.Setting{Path: x.Path})
			}
		}
	}
	patch = penumbra.NewSettings(patch...)
	for _, x := range patch {
		p.set(r, x.Path, x.Value, o)
	}
	r.noun.Actual = r.noun.Actual.Merge(patch)
	r.noun.SnapshotTime = o.Time
}

func (p *replay) sampled(a penumbra.Address) bool {
	if p.options.Sample < 2 {
		return true
	}
	h := fnv.New32a()
	h.Write([]byte(a))
	return h.Sum32()%p.options.Sample == 0
}

func (p *replay) set(r *resource, path string, v penumbra.Value, o *penumbra.Observation) {
	s := r.settings[path]
	if s == nil {
		if !v.IsNull() {
			r.settings[path] = &live{value: v, born: o.Time, last: o.Time, class: p.class(r.noun.Type, path), row: -1}
		}
		return
	}
	if s.value == v {
		return
	}
	if v.IsNull() { // the setting ends: no change, and no value to score
		delete(r.settings, path)
		return
	}
	if s.row >= 0 && !o.Time.After(s.cut.Add(p.horizon)) {
		p.rows[s.row].changed = true
	}
	s.decayed = s.decayed*halve(o.Time.Sub(s.last)) + 1
	s.changes++
	s.last, s.value = o.Time, v
}

func (p *replay) class(kind, path string) int32 {
	key := [2]string{kind, path}
	n, ok := p.classes[key]
	if !ok {
		n = int32(len(p.classes))
		p.classes[key] = n
	}
	return n
}

// cut asks everything that is asked at one time.
func (p *replay) cut(at time.Time) {
	if p.options.Values {
		p.score(at)
	}
	if at.Add(p.horizon).After(p.options.To) {
		return // its answer would come too late
	}
	for _, r := range p.known {
		if r.scored && len(r.noun.Actual) > 0 {
			p.ask(r, at)
		}
	}
	p.cuts++
}

func (p *replay) ask(r *resource, at time.Time) {
	forecasts := p.model.Forecast(&r.noun, at)
	var sets [len(Confidences)][]penumbra.Expectation
	if p.options.Values {
		for i, c := range Confidences {
			sets[i] = p.model.Expect(&r.noun, at.Add(p.horizon), c)
		}
	}
	for i, x := range r.noun.Actual {
		s := r.settings[x.Path]
		since, age := at.Sub(s.last).Hours()/24, at.Sub(s.born).Hours()/24
		s.row, s.cut, s.before = len(p.rows), at, s.value
		p.rows = append(p.rows, row{
			scores: [...]float32{
				float32(-since),
				float32(s.changes / (age + 30)),
				float32(s.decayed * halve(at.Sub(s.last))),
				float32(forecasts[i].Leave[p.options.Horizon]),
			},
			cut: p.cuts, class: s.class,
		})
		if p.options.Values {
			s.sets = &[len(Confidences)]penumbra.Expectation{sets[0][i], sets[1][i], sets[2][i]}
		}
	}
}

// score looks whether the values now are in the sets of the last cut.
func (p *replay) score(at time.Time) {
	for _, r := range p.known {
		for _, s := range r.settings {
			if s.sets == nil || !s.cut.Add(p.horizon).Equal(at) {
				continue
			}
			p.cover.add(s.sets, s.value, s.value != s.before)
			s.sets = nil
		}
	}
}
