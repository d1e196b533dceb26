package mixture

import (
	"bytes"
	"fmt"

	"github.com/penumbra-iac/penumbra"
	"github.com/penumbra-iac/penumbra/shadow/excitation"
	"github.com/penumbra-iac/penumbra/shadow/logistic"
	"github.com/penumbra-iac/penumbra/shadow/rnn"
)

// Examples returns how many questions the model has learnt from, with their
// weights.
func (m *Model) Examples() float64 { return m.examples }

// NewGoingOn returns a mixture that has observed nothing and goes on with what
// [Model.WriteKnowledge] wrote, which was learnt in the same estate: unlike
// [NewFrom] it doubts nothing of it. It returns an error of kind Damaged if the
// data is not a whole one of a version that it knows.
func NewGoingOn(knowledge []byte, o Options) (*Model, error) {
	m := New(o)
	if err := m.read(knowledge, knowledgeMagic, knowledgeVersion, portable); err != nil {
		return nil, &penumbra.Error{
			Kind: penumbra.Damaged, What: "read what a mixture has learnt",
			Remedy: "train it again", Err: err,
		}
	}
	return m, nil
}

// Average returns the knowledge between several that mixtures learnt from parts
// of an estate, as [Model.WriteKnowledge] writes it: every weight is the mean,
// each counted by the questions that it was learnt from. The same knowledge in
// the same order gives the same bytes. It returns an error of kind Damaged if one
// cannot be read, and of kind Invalid if there is none that was learnt from
// anything.
func Average(knowledge ...[]byte) ([]byte, error) {
	var from []*Model
	var sum float64
	for _, data := range knowledge {
		m, err := NewGoingOn(data, Options{})
		if err != nil {
			return nil, err
		}
		if m.examples > 0 {
			from = append(from, m)
			sum += m.examples
		}
	}
	if len(from) == 0 {
		return nil, &penumbra.Error{Kind: penumbra.Invalid, What: "average knowledge of which none was learnt from anything", Remedy: "train from a longer history"}
	}
	share := make([]float64, len(from))
	for i, m := range from {
		share[i] = m.examples / sum
	}
	out := New(Options{})
	out.examples = sum
	if err := out.average(from, share); err != nil {
		return nil, err
	}
	var b bytes.Buffer
	if _, err := out.WriteKnowledge(&b); err != nil {
		return nil, fmt.Errorf("average knowledge: %w", err)
	}
	return b.Bytes(), nil
}

// average sets what ships of the model to the means of others.
func (m *Model) average(of []*Model, share []float64) error {
	regression := func(which func(*Model) *logistic.Regression) *logistic.Regression {
		all := make([]*logistic.Regression, len(of))
		for i, x := range of {
			all[i] = which(x)
		}
		return logistic.Average(all, share)
	}
	for k := range horizons {
		m.plain[k] = regression(func(x *Model) *logistic.Regression { return x.plain[k] })
		m.tempered[k] = regression(func(x *Model) *logistic.Regression { return x.tempered[k] })
		m.contrasts[k] = regression(func(x *Model) *logistic.Regression { return x.contrasts[k] })
	}
	m.level = regression(func(x *Model) *logistic.Regression { return x.level })
	m.estate, m.word, m.trust = weights{}, lastWord{}, 0
	var excitations []*excitation.Model
	var networks []*rnn.Network
	for i, x := range of {
		for e, w := range x.estate {
			m.estate[e] += share[i] * w
		}
		for c, b := range x.word {
			m.word[c] += share[i] * b
		}
		m.trust += share[i] * x.trust
		excitations = append(excitations, x.excited)
		networks = append(networks, x.net)
	}
	m.trust = min(1, m.trust)
	m.excited = excitation.Average(excitations, share)
	net, err := rnn.Average(networks, share)
	if err != nil {
		return err
	}
	m.serve(net)
	return nil
}
