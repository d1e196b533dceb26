package rnn

import "fmt"

// Average returns the network whose parameters are the means of those of several
// of one shape, each counted by its share; the shares sum to 1. Networks that
// began with the same parameters, and learnt from different resources, are joined
// by it (McMahan et al., "Communication-Efficient Learning of Deep Networks from
// Decentralized Data", AISTATS 2017); of networks that began with different ones
// the mean means nothing. It returns an error of kind Invalid if the shapes
// differ.
func Average(of []*Network, share []float64) (*Network, error) {
	out := of[0].Clone()
	sums := make([]float64, len(out.params))
	for i, n := range of {
		if n.config != out.config {
			return nil, invalid("average networks", fmt.Errorf("one has the shape %+v, another %+v", out.config, n.config))
		}
		for j, x := range n.params {
			sums[j] += share[i] * float64(x)
		}
	}
	for j, x := range sums {
		out.params[j] = float32(x)
	}
	return out, nil
}
