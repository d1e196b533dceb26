package choice

import (
	"os"
	"strings"
	"testing"

	"github.com/penumbra-iac/penumbra/internal/envelope"
)

// TestRefit learns the shipped prior on the first half of the time of the
// histories that PENUMBRA_REFIT names, each from the same start, and writes what
// they have in common: the mean of their weights, the sum of their counts.
func TestRefit(t *testing.T) {
	names := os.Getenv("PENUMBRA_REFIT")
	if names == "" {
		t.Skip("PENUMBRA_REFIT does not name histories")
	}
	shipped = nil
	var p prior
	for range 2 {
		next := prior{Weights: make([]float32, (int(forms)+1)*features)}
		estates := strings.Split(names, ",")
		for _, name := range estates {
			observations := history(t, name)
			first, last := observations[0].Time, observations[len(observations)-1].Time
			m := newBeside(Options{})
			for _, o := range observations {
				if o.Time.After(first.Add(last.Sub(first) / 2)) {
					break
				}
				m.Observe(o)
			}
			m.values.flush()
			for i, w := range m.values.weights.W {
				next.Weights[i] += w / float32(len(estates))
			}
			next.Estate.add(&m.values.estate)
			for f := range forms {
				next.Forms[f].add(&m.values.forms[f])
			}
		}
		p = next
		data, err := envelope.Encode(p)
		if err != nil {
			t.Fatal(err)
		}
		shipped = data
	}
	if err := os.WriteFile("prior.cbor", shipped, 0o644); err != nil {
		t.Fatal(err)
	}
}

func (r *rates) add(x *rates) {
	for s := range origins {
		r.Hits[s] += x.Hits[s]
		r.Asked[s] += x.Asked[s]
	}
}
