package bayes_test

import (
	"math"
	"testing"
	"time"

	"github.com/penumbra-iac/penumbra"
	"github.com/penumbra-iac/penumbra/internal/histories"
	"github.com/penumbra-iac/penumbra/shadow"
	"github.com/penumbra-iac/penumbra/shadow/bayes"
)

// history reads one of the public histories.
func history(t testing.TB, name string) []penumbra.Observation {
	t.Helper()
	var out []penumbra.Observation
	for _, o := range histories.Read(t, name) {
		out = append(out, *o)
	}
	return out
}

// guesses scores what was said of values before they were seen.
type guesses struct {
	asked, first, covered, size, log float64
}

func (g *guesses) add(e penumbra.Expectation, v penumbra.Value) {
	g.asked++
	p := e.NovelProbability
	for _, c := range e.Values {
		if c.Value == v {
			p = c.Probability
		}
	}
	g.log -= math.Log(max(p, 1e-6))
	if e.Likely() == v {
		g.first++
	}
	if e.Contains(v) {
		g.covered++
	}
	g.size += float64(len(e.Values))
}

// TestFirstLook replays histories. From half of their time on, each setting that
// the network knows of each resource that is created is asked for with all
// others given, before it is learnt. A value outside the candidates is scored
// with the mass of something new, which flatters both models alike.
func TestFirstLook(t *testing.T) {
	for _, name := range []string{"govuk-aws", "home-ops-a", "estate-c"} {
		t.Run(name, func(t *testing.T) {
			observations := history(t, name)
			first, last := observations[0].Time, observations[len(observations)-1].Time
			half := first.Add(last.Sub(first) / 2)
			m, pooled := bayes.NewModel(bayes.ModelOptions{}), shadow.NewPooled(shadow.Options{})
			var with, without guesses
			begun := time.Now()
			for i := range observations {
				o := &observations[i]
				if n := m.Network(o.Type); n != nil && o.Action == "create" && o.Time.After(half) {
					ask(m, pooled, n, o, &with, &without)
				}
				m.Observe(o)
				pooled.Observe(o)
			}
			t.Logf("%d observations in %v", len(observations), time.Since(begun).Round(time.Second))
			for _, x := range []struct {
				name string
				g    guesses
			}{{"pooled", without}, {"network", with}} {
				n := x.g.asked
				t.Logf("%s %s: asked %.0f, first right %.3f, 90 %% set covers %.3f with %.2f values, log loss %.3f",
					name, x.name, n, x.g.first/n, x.g.covered/n, x.g.size/n, x.g.log/n)
			}
			if with.log > without.log || with.first < without.first {
				t.Errorf("the network does worse than the pooled model alone")
			}
		})
	}
}

func ask(m, pooled shadow.Model, n *bayes.Network, o *penumbra.Observation, with, without *guesses) {
	for _, s := range o.Settings {
		if s.Value.IsNull() || n.Index("setting "+s.Path) < 0 {
			continue
		}
		r := &penumbra.Resource{Address: o.Resource + "?", Type: o.Type, Actual: penumbra.Settings{{Path: s.Path}}}
		for _, x := range o.Settings {
			if x.Path != s.Path {
				r.Template = append(r.Template, x)
			}
		}
		for _, c := range []struct {
			model shadow.Model
			g     *guesses
		}{{m, with}, {pooled, without}} {
			for _, e := range c.model.Expect(r, o.Time, 0.9) {
				if e.Path == s.Path {
					c.g.add(e, s.Value)
				}
			}
		}
	}
}
