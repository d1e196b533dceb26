package bayes

import (
	"fmt"
	"slices"
	"strings"

	"github.com/penumbra-iac/penumbra"
)

// Impact is what setting a value does to one metric of a type's resources.
type Impact struct {
	Metric string
	// Drop is of the metric being below what nine of ten cases had, Raise of its being
	// above that.
	Drop, Raise Chance
	// Support is how many cases stand behind it, see [Effect]. Near 0 the
	// answer is the prior's.
	Support float64
	// Reaches reports whether the setting was found to move the metric at all.
	Reaches bool
}

// Chance is the probability that the mean of an hour is beyond a threshold.
type Chance struct {
	Threshold float64 // in the metric's unit
	// After is P(beyond | do(setting = value)), Low and High its 90 % interval,
	// Without the probability if nobody does anything.
	After, Low, High, Without float64
	// Least and Most bound After over the directions of arcs that data cannot
	// tell apart.
	Least, Most float64
}

// chance returns that of one state of an effect.
func (e *Effect) chance(state uint8, threshold float64) Chance {
	c := Chance{
		Threshold: threshold, After: e.Distribution[state], Low: e.Low[state], High: e.High[state],
		Without: e.Without[state], Least: e.Distribution[state], Most: e.Distribution[state],
	}
	if e.Least != nil {
		c.Least, c.Most = e.Least[state], e.Most[state]
	}
	return c
}

// Network returns the network of a type as it is now, nil if none was learnt
// yet. It is the model's own: not to be changed.
func (m *Model) Network(kind string) *Network {
	if k := m.Kinds[kind]; k != nil && k.Learned != nil {
		return k.Learned.Network
	}
	return nil
}

// Impacts returns what it would do to each metric of the type to set the
// setting to the value, averaged over the type's resources as they are. It
// returns an error of kind NotFound if the type has no network, or the setting
// never varied so that nothing is known of it, and of kind Refused if the
// network is too dense.
func (m *Model) Impacts(kind, path string, value penumbra.Value) ([]Impact, error) {
	l, k, err := m.learned(kind)
	if err != nil {
		return nil, err
	}
	q := question{k: k, l: l}
	v := q.variable(path)
	if v < 0 {
		return nil, notFound("the network of %s has no setting %s: it did not vary, or too much", kind, path)
	}
	set := l.Network.Unobserved()
	if set[v] = (*Scale)(&l.Settings[v-patterns].Scale).State(value); set[v] == Missing {
		return nil, notFound("the setting %s of %s has amounts, %v is none", path, kind, value)
	}
	var out []Impact
	for i, x := range l.Metrics {
		e, err := l.Network.Do(patterns+len(l.Settings)+i, set, l.Network.Unobserved(), EffectOptions{Seed: m.opts.Learning.Seed})
		if err != nil {
			return nil, err
		}
		out = append(out, Impact{
			Metric: k.Metrics[x.Metric], Drop: e.chance(Drop, x.Levels[0]), Raise: e.chance(High, x.Levels[2]),
			Support: e.Support, Reaches: e.Reaches,
		})
	}
	return out, nil
}

// Cause is what moves a metric, in words.
type Cause struct {
	Name string // the setting's path, or the name of the pattern or metric
	Tier Tier
	// Swing is how far setting it moves the probability, from its least at the value
	// Lowers to its most at Raises.
	Swing          float64
	Raises, Lowers string
	// Flow is the causal information flow to the metric in nats.
	Flow float64
}

// Causes ranks what moves the probability that a type's metric is on its worse side,
// below what nine of ten cases had or above it, the strongest first; of a metric with
// no such side, that it is below. It returns an error of kind NotFound if the type has no
// network or no such metric, and of kind Refused if the network is too dense.
func (m *Model) Causes(kind, metric string, worse penumbra.Direction) ([]Cause, error) {
	l, k, err := m.learned(kind)
	if err != nil {
		return nil, err
	}
	i := slices.IndexFunc(l.Metrics, func(x metricVariable) bool { return k.Metrics[x.Metric] == metric })
	if i < 0 {
		return nil, notFound("the network of %s has no metric %s", kind, metric)
	}
	state := Drop
	if worse == penumbra.Up {
		state = High
	}
	found, err := l.Network.Influences(patterns+len(l.Settings)+i, state, l.Network.Unobserved())
	if err != nil {
		return nil, err
	}
	var out []Cause
	for _, x := range found {
		v := l.Network.variables[x.Variable]
		name := strings.TrimPrefix(v.Name, v.Tier.String()+" ")
		out = append(out, Cause{name, v.Tier, x.Swing, v.States[x.Raises], v.States[x.Lowers], x.Flow})
	}
	return out, nil
}

func (m *Model) learned(name string) (*learned, *kind, error) {
	k := m.Kinds[name]
	if k == nil || k.Learned == nil {
		return nil, nil, notFound("there is no network of %s yet: it takes %d cases and a setting that varies", name, firstCases)
	}
	return k.Learned, k, nil
}

func notFound(format string, args ...any) error {
	return &penumbra.Error{Kind: penumbra.NotFound, What: fmt.Sprintf(format, args...)}
}
