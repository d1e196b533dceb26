package main

import (
	"testing"

	"github.com/penumbra-iac/penumbra"
	"github.com/penumbra-iac/penumbra/proposal"
)

func TestParseWeights(t *testing.T) {
	t.Parallel()
	w, err := parseWeights("likelihood=0.2, risk=0.7,complexity=0.1")
	if want := (proposal.Weights{Likelihood: 0.2, Risk: 0.7, Complexity: 0.1}); err != nil || w != want {
		t.Errorf("%+v (%v)", w, err)
	}
	if w, err = parseWeights("risk=1"); err != nil || w.Likelihood != 0 {
		t.Errorf("%+v (%v)", w, err)
	}
	for _, bad := range []string{"", "speed=1", "risk", "risk=much", "risk=-1", "risk=0"} {
		if _, err := parseWeights(bad); penumbra.KindOf(err) != penumbra.Invalid {
			t.Errorf("%q: %v", bad, err)
		}
	}
}
