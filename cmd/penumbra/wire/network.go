package wire

import (
	"github.com/penumbra-iac/penumbra"
	"github.com/penumbra-iac/penumbra/anomaly"
	"github.com/penumbra-iac/penumbra/shadow/bayes"
)

// network is the Bayesian network beside the shadow, as the engine asks it. The engine
// does so one call at a time.
type network struct {
	*bayes.Model
	// asked holds what was answered: for as long as the network is the same one, it
	// says the same, and a question takes some milliseconds for each metric.
	asked map[question]answer
}

type question struct {
	kind, path string
	value      penumbra.Value
}

type answer struct {
	by      *bayes.Network
	effects []penumbra.Effect
}

// mostAsked bounds the answers that are held.
const mostAsked = 4096

func newNetwork() *network {
	return &network{Model: bayes.NewModel(bayes.ModelOptions{}), asked: map[question]answer{}}
}

// Effects returns what the setting's having the value does to each metric that it moves,
// on the side on which the metric is worse; of one that has no such side on both.
func (n *network) Effects(kind, path string, v penumbra.Value) []penumbra.Effect {
	by := n.Network(kind)
	if by == nil {
		return nil
	}
	q := question{kind, path, v}
	if known, ok := n.asked[q]; ok && known.by == by {
		return known.effects
	}
	if len(n.asked) >= mostAsked {
		clear(n.asked)
	}
	impacts, _ := n.Impacts(kind, path, v) // what it cannot say is not known
	var out []penumbra.Effect
	for i := range impacts {
		x := &impacts[i]
		if !x.Reaches {
			continue
		}
		worse := anomaly.DirectionOf(x.Metric)
		if worse != penumbra.Up {
			out = append(out, effect(x, &x.Drop, true))
		}
		if worse != penumbra.Down {
			out = append(out, effect(x, &x.Raise, false))
		}
	}
	n.asked[q] = answer{by, out}
	return out
}

func effect(x *bayes.Impact, c *bayes.Chance, below bool) penumbra.Effect {
	return penumbra.Effect{
		Metric: x.Metric, Threshold: c.Threshold, Below: below, Chance: c.After,
		Low: c.Low, High: c.High, Least: c.Least, Most: c.Most, Cases: x.Support,
	}
}
