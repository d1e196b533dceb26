package wire

import (
	"io"

	"github.com/penumbra-iac/penumbra"
	"github.com/penumbra-iac/penumbra/anomaly"
	"github.com/penumbra-iac/penumbra/engine"
	"github.com/penumbra-iac/penumbra/engine/inputs"
	"github.com/penumbra-iac/penumbra/events"
)

// addEyes joins the stages of logs and metrics, and the inputs that feed them.
func addEyes(c *Config, cfg *engine.Config, key penumbra.Key, o Options) error {
	rules := c.Events
	rules.Inputs = map[string]events.InputRule{}
	for _, in := range c.Inputs {
		if in.Resource+in.Stack != "" {
			rules.Inputs[in.Name] = events.InputRule{Resource: in.Resource, Stack: in.Stack}
		}
	}
	m, err := events.New(rules)
	if err != nil {
		return err
	}
	metrics := c.Metrics
	for _, in := range c.Inputs {
		metrics = append(metrics, in.metricRules()...)
	}
	namer, err := anomaly.NewNamer(metrics)
	if err != nil {
		return err
	}
	network := newNetwork()
	cfg.Mapper, cfg.Namer = mapper{m}, namer
	cfg.Monitor = anomaly.NewMonitor(anomaly.Options{})
	cfg.NewRate = func() inputs.Rate { return &anomaly.Rate{} }
	cfg.Network, cfg.Diagnosis = network, newDiagnoses(network.Model)
	for _, in := range c.Inputs {
		input, err := newInput(c, in, key, o)
		if err != nil {
			return err
		}
		cfg.Inputs = append(cfg.Inputs, input)
	}
	return nil
}

// mapper gives records to resources.
type mapper struct{ *events.Mapper }

func (m mapper) Map(rec *penumbra.Record) inputs.Mapping {
	x := m.Mapper.Map(rec)
	return inputs.Mapping{Observations: x.Observations, Denied: len(x.Denied), Skipped: x.Skipped, Unmapped: x.Unmapped, Reason: x.Reason, Action: x.Action}
}

// What a mapper has learnt are the kinds of free text.

func (m mapper) WriteTo(w io.Writer) (int64, error)  { return m.Kinds().WriteTo(w) }
func (m mapper) ReadFrom(r io.Reader) (int64, error) { return m.Kinds().ReadFrom(r) }
