package explain_test

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/penumbra-iac/penumbra"
	"github.com/penumbra-iac/penumbra/internal/histories"
	"github.com/penumbra-iac/penumbra/shadow"
	"github.com/penumbra-iac/penumbra/shadow/explain"
)

// public reads one of the public histories.
func public(t *testing.T, name string) history {
	t.Helper()
	var h history
	for _, o := range histories.Read(t, name) {
		h = append(h, *o)
	}
	return h
}

// candidate is a setting to explain, with the resource as its history has it.
type candidate struct {
	resource *penumbra.Resource
	path     string
}

// TestHistories leaves single moves out of public histories, by subtraction and by
// replay without them, and says how far apart the answers are: there what the sums
// do not tell counts, such as commits that touch a hundred settings.
func TestHistories(t *testing.T) {
	for _, name := range []string{"home-ops-a", "estate-c"} {
		t.Run(name, func(t *testing.T) {
			h := public(t, name)
			end := h[len(h)-1].Time.Add(time.Hour)
			m := replay(h, nil)
			asked := likely(m, h, end, 0.03)
			random := rand.New(rand.NewPCG(1, 1))
			random.Shuffle(len(asked), func(i, j int) { asked[i], asked[j] = asked[j], asked[i] })
			firsts := map[penumbra.InfluenceKind]int{}
			begun := time.Now()
			for _, c := range asked {
				e := explain.Of(m, explain.Question{Resource: c.resource, Path: c.path, Time: end})
				firsts[told(&e, false).Kind]++
			}
			t.Logf("%d settings of 3 %% or more within 7 days, %v each; first named: %v", len(asked), time.Since(begun)/time.Duration(max(1, len(asked))), firsts)
			for _, kind := range []penumbra.InfluenceKind{penumbra.OwnChange, penumbra.PeerWave, penumbra.SiblingMove, penumbra.ResourceChanges} {
				compare(t, m, h, asked, kind, end)
			}
		})
	}
}

func replay(h history, without *shadow.Move) *shadow.Pooled {
	m := shadow.NewPooled(shadow.Options{})
	for i := range h {
		o := h[i]
		if without != nil && o.Time.Unix() == without.Time.Unix() && o.Resource == without.Resource && o.Action == "update" {
			o.Settings = slices.DeleteFunc(slices.Clone(o.Settings), func(s penumbra.Setting) bool { return s.Path == without.Path })
		}
		m.Observe(&o)
	}
	return m
}

// likely returns the settings whose probability to change within a week is p or
// more.
func likely(m *shadow.Pooled, h history, at time.Time, p float64) []candidate {
	resources := map[penumbra.Address]*penumbra.Resource{}
	for i := range h {
		o := &h[i]
		if o.Action == penumbra.ActionDelete {
			delete(resources, o.Resource)
			continue
		}
		if resources[o.Resource] == nil {
			resources[o.Resource] = &penumbra.Resource{Address: o.Resource}
		}
		fold(resources[o.Resource], o)
	}
	var out []candidate
	for i := range h {
		r := resources[h[i].Resource]
		if r == nil {
			continue
		}
		delete(resources, h[i].Resource)
		for _, f := range m.Forecast(r, at) {
			if f.Leave[3] >= p {
				out = append(out, candidate{r, f.Path})
			}
		}
	}
	return out
}

// compare tries single moves of one kind of cause.
func compare(t *testing.T, m *shadow.Pooled, h history, asked []candidate, kind penumbra.InfluenceKind, at time.Time) {
	const tries = 10
	var off, effect []float64
	for _, c := range asked {
		if len(off) == tries {
			break
		}
		causes := m.Causes(c.resource, c.path, at)
		i := slices.IndexFunc(causes, func(x shadow.Cause) bool { return x.Kind == kind })
		if i < 0 {
			continue
		}
		last := len(causes[i].Moves) - 1
		if last < 0 {
			continue
		}
		move := causes[i].Moves[last]
		if move.Path == "" || move.Resource == "" {
			continue
		}
		whole := odds(m.ForecastWithout(c.resource, c.path, at)[3])
		got := odds(m.ForecastWithout(c.resource, c.path, at, causes[i].Only(last))[3])
		want := odds(replay(h, &move).ForecastWithout(c.resource, c.path, at)[3])
		off, effect = append(off, math.Abs(got-want)), append(effect, math.Abs(whole-want))
	}
	if len(off) == 0 {
		return
	}
	slices.Sort(off)
	slices.Sort(effect)
	n := len(off)
	t.Logf("%v: %d single moves, log odds off by %.2g in the median, %.2g at most; the effect is %.2g in the median, %.2g at most", kind, n, off[n/2], off[n-1], effect[n/2], effect[n-1])
}

func odds(p float64) float64 { return math.Log(p / (1 - p)) }
