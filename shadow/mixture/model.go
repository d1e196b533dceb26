package mixture

import (
	"maps"
	"math"
	"slices"
	"time"

	"github.com/penumbra-iac/penumbra"
	"github.com/penumbra-iac/penumbra/shadow"
	"github.com/penumbra-iac/penumbra/shadow/excitation"
	"github.com/penumbra-iac/penumbra/shadow/logistic"
	"github.com/penumbra-iac/penumbra/shadow/rnn"
)

// Options are the choices of a mixture. The zero value is a good one.
type Options struct {
	Seed uint64 // of the draws and of the network's first weights
	// Looks is about how many settings are looked at each day, 2000 if 0.
	Looks int
	// NoNetwork leaves the network out, to see what it is worth.
	NoNetwork bool
}

// Model is the mixture.
type Model struct {
	options Options
	counts  *shadow.Pooled
	learnt
	networks
	companions

	memories map[uint32]*memory // by the resource's number
	zero     []float32
	scratch  rnn.Scratch

	day     int64 // the next day to ask, in days since 1970
	cohorts []cohort
	asked   map[settingKey]*example // the latest of each setting
	changes []shadow.Change         // that the observation being folded in brought
	view    view
}

// learnt is what the experts know that is worth shipping to another estate.
type learnt struct {
	plain     [horizons]*logistic.Regression
	tempered  [horizons]*logistic.Regression
	excited   *excitation.Model
	estate    weights
	types     map[string]*weights
	level     *logistic.Regression // recalibration of the pool
	trust     float64              // in the recalibration, by its losses
	contrasts [horizons]*logistic.Regression
	word      lastWord
	centers   map[uint32]*center // by the class's hash
	examples  float64            // learnt, with their weights
}

// The deviations of the regressions' weights before anything is learnt, and how
// much of an example the tempered one believes. The half-lives are in days. They
// are judgement, looked at on two histories; see docs/model-mixture.md.
const (
	plainDeviation    = 0.1
	temperedDeviation = 0.3
	plainLife         = 730
	temperedLife      = 365
	belief            = 0.05
)

// The rate and the decay of the network's learner: slow, because what changes
// together teaches little more than once. Looked at on two histories.
const (
	rate  = 5e-5
	decay = 1
)

// New returns a mixture that has observed nothing.
func New(o Options) *Model {
	m := &Model{}
	*m = *build(o, m)
	return m
}

// build returns a mixture whose counts tell the owner of each change: the model
// that it is going to be the state of.
func build(o Options, owner *Model) *Model {
	if o.Looks <= 0 {
		o.Looks = 2000
	}
	m := &Model{options: o, memories: map[uint32]*memory{}, asked: map[settingKey]*example{}}
	m.counts = shadow.NewPooled(shadow.Options{Changes: owner.changed, Moves: owner.moved})
	m.companions = newCompanions(m.counts, o.Seed)
	m.learnt = learnt{excited: excitation.New(), estate: equal(), types: map[string]*weights{}, level: logistic.New(1, 0.5), trust: 0.5}
	m.contrasts, m.word, m.centers = newContrasts(), firstWord(), map[uint32]*center{}
	for k := range m.plain {
		m.plain[k] = logistic.New(shadow.NumFeatures, plainDeviation)
		m.tempered[k] = logistic.New(shadow.NumFeatures, temperedDeviation)
	}
	m.startNetwork()
	return m
}

// startNetwork makes an untrained network by the options, and its learner.
func (m *Model) startNetwork() {
	net, err := rnn.New(shape(m.options.Seed))
	if err != nil {
		panic(err) // the shape is a constant
	}
	m.zero = make([]float32, net.Config().Hidden)
	m.serve(net)
}

// serve lets a network serve, and a learner start from it.
func (m *Model) serve(net *rnn.Network) {
	m.networks = networks{
		net:     net,
		learner: rnn.NewLearner(net, rnn.LearnerOptions{Capacity: 32768, Seed: m.options.Seed, Rate: rate, Decay: decay}),
	}
}

func shape(seed uint64) rnn.Config {
	return rnn.Config{Dense: stepNumbers, Query: shadow.NumFeatures, Alternative: 0, Seed: seed}
}

// Observe folds an observation in.
func (m *Model) Observe(o *penumbra.Observation) {
	if o.IsCommit() {
		return // nothing was done to the resource yet
	}
	m.advance(o.Time)
	m.Learn()
	m.departures.Advance(o.Time)
	m.changes = m.changes[:0]
	before := m.counts.Number(o.Resource)
	m.counts.Observe(o)
	m.observed(o)
	number := m.counts.Number(o.Resource)
	if number == 0 {
		delete(m.memories, before) // it has ended
		return
	}
	if len(m.changes) > 0 || o.Kind == penumbra.EventKind && o.Action != "create" || o.Kind == penumbra.MetricKind {
		m.remember(o, number, m.changes)
	}
}

// changed is told of each change before the counts know of it.
func (m *Model) changed(c shadow.Change) {
	m.changes = append(m.changes, c)
	m.tell(&c)
	if c.Departure {
		return
	}
	key := settingKey{m.counts.Number(c.Resource), c.Path}
	for x := m.asked[key]; x != nil; x = x.earlier {
		if x.interval == int8(horizons) {
			x.interval = intervalOf(c.By.Time.Unix() - x.at)
		}
	}
	delete(m.asked, key)
}

// Forecast returns, for the settings that Expect answers for and in their
// order, the probability of leaving.
func (m *Model) Forecast(r *penumbra.Resource, at time.Time) []penumbra.Forecast {
	out := m.counts.Forecast(r, at)
	i := 0
	m.view.look(m, r, at)
	for k := range m.view.looks {
		l, a := &m.view.looks[k], &m.view.answers[k]
		if l.Changes {
			m.leave(&out[i].Leave, l, &a.pool)
			out[i].TimeToDrift = half(&out[i].Leave)
		}
		i++
	}
	m.complete(out, r, at)
	return out
}

// half returns when it is as likely as not that the setting has left, 0 if not
// within the last horizon. Between two horizons the rate is taken to be constant.
func half(leave *[horizons]float64) time.Duration {
	stays, from := 1.0, time.Duration(0)
	for k, p := range leave {
		if p >= 0.5 {
			share := math.Log(stays/0.5) / math.Log(stays/math.Max(1-p, 1e-12))
			return max(1, from+time.Duration(share*float64(penumbra.Horizons[k]-from)))
		}
		stays, from = 1-p, penumbra.Horizons[k]
	}
	return 0
}

// leave turns the log odds of a change into probabilities of leaving.
func (m *Model) leave(out *[horizons]float64, l *shadow.Look, z *[horizons]float64) {
	for k := range out {
		out[k] = 1 - (1-probability(z[k]))*l.Stays[k]
		if k > 0 {
			out[k] = max(out[k], out[k-1])
		}
	}
}

// Experts names the experts, the pool without the network, and the one without
// contrasts.
func (m *Model) Experts() []string {
	return append(append([]string(nil), Experts[:]...), "without the network", "without contrasts")
}

// Each visits what each expert says.
func (m *Model) Each(r *penumbra.Resource, at time.Time, visit func(path string, leave [][horizons]float64)) {
	m.view.look(m, r, at)
	var out [experts + 2][horizons]float64
	for i := range m.view.looks {
		l, a := &m.view.looks[i], &m.view.answers[i]
		for e := range experts {
			m.leave(&out[e], l, &a.each[e])
		}
		m.leave(&out[experts], l, &a.without)
		m.leave(&out[experts+1], l, &a.level)
		visit(l.Path, out[:])
	}
}

// Resources returns how many live resources the model knows.
func (m *Model) Resources() int { return m.counts.Resources() }

// Weights returns those of the experts over the estate, in the order of
// [Experts].
func (m *Model) Weights() []float64 { return append([]float64(nil), m.estate[:]...) }

// WeightsOf returns those of the experts for a type of resource.
func (m *Model) WeightsOf(kind string) []float64 {
	return append([]float64(nil), m.weightsOf(kind)[:]...)
}

// Pool returns what the experts weigh, by type in the order of the types' names.
func (m *Model) Pool() penumbra.ModelPool {
	p := penumbra.ModelPool{Experts: append([]string(nil), Experts[:]...), Estate: m.Weights(), Parameters: m.net.Size(), Examples: m.examples}
	for _, kind := range slices.Sorted(maps.Keys(m.types)) {
		p.Types = append(p.Types, penumbra.TypeWeights{Type: kind, Weights: m.WeightsOf(kind)})
	}
	return p
}
