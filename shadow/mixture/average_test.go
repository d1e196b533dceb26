package mixture_test

import (
	"bytes"
	"math"
	"testing"

	"github.com/penumbra-iac/penumbra"
	"github.com/penumbra-iac/penumbra/shadow/mixture"
)

func knowledge(t *testing.T, m *mixture.Model) []byte {
	t.Helper()
	var b bytes.Buffer
	if _, err := m.WriteKnowledge(&b); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// TestAverageOfParts joins what two models learnt from half of the resources
// each: the average says something between them, and the average of the same is
// the same.
func TestAverageOfParts(t *testing.T) {
	t.Parallel()
	halves := [2]*mixture.Model{mixture.New(mixture.Options{Seed: 3, Looks: 50}), mixture.New(mixture.Options{Seed: 3, Looks: 50})}
	var parts [2][]byte
	for i, m := range halves {
		for j, o := range history(200) {
			if (len(o.Resource)+int(o.Resource[len(o.Resource)-1]))%2 == i || j < 20 {
				m.Observe(o)
			}
		}
		parts[i] = knowledge(t, m)
	}
	joined, err := mixture.Average(parts[0], parts[1])
	if err != nil {
		t.Fatal(err)
	}
	var weights [3][]float64
	var examples [3]float64
	for i, data := range [][]byte{parts[0], parts[1], joined} {
		m, err := mixture.NewGoingOn(data, mixture.Options{})
		if err != nil {
			t.Fatal(err)
		}
		weights[i], examples[i] = m.Weights(), m.Examples()
	}
	if examples[2] != examples[0]+examples[1] || examples[0] == 0 || examples[1] == 0 {
		t.Errorf("learnt from %v questions", examples)
	}
	sum := 0.0
	for e, w := range weights[2] {
		low, high := min(weights[0][e], weights[1][e]), max(weights[0][e], weights[1][e])
		if w < low-1e-12 || w > high+1e-12 {
			t.Errorf("the weight of %s is %v, not within %v and %v", mixture.Experts[e], w, low, high)
		}
		sum += w
	}
	if math.Abs(sum-1) > 1e-9 {
		t.Errorf("the weights sum to %v", sum)
	}
	same, err := mixture.Average(joined)
	if err != nil || !bytes.Equal(same, joined) {
		t.Errorf("the average of one is another, %v", err)
	}
}

func TestAverageRefuses(t *testing.T) {
	t.Parallel()
	if _, err := mixture.Average(knowledge(t, mixture.New(mixture.Options{}))); penumbra.KindOf(err) != penumbra.Invalid {
		t.Errorf("of what learnt nothing: %v", err)
	}
	if _, err := mixture.Average([]byte("no knowledge")); penumbra.KindOf(err) != penumbra.Damaged {
		t.Errorf("of what cannot be read: %v", err)
	}
}
