package bayes

import (
	"cmp"
	"slices"
	"time"

	"github.com/penumbra-iac/penumbra"
)

// caution is how many cases a network has to have behind an answer to weigh as
// much as the pooled model's. It is a judgement.
const caution = 10

// Expect returns the pooled model's expectations, with the values of undeclared
// settings weighed by the network of the resource's type. A declared setting's
// set stays as it is, and so do those of a setting that is away, has a habit or
// had a value accepted: what is legitimate is not a question of likelihood. Of
// the actual configuration shown it reads no value; evidence are the values
// declared and those that were observed before.
func (m *Model) Expect(r *penumbra.Resource, at time.Time, confidence float64) []penumbra.Expectation {
	out := m.pooled.Expect(r, at, confidence)
	k := m.Kinds[r.Type]
	if k == nil || k.Learned == nil {
		return out
	}
	q := question{m: m, k: k, l: k.Learned, own: m.Resources[r.Address], shown: r, at: at}
	for i := range out {
		v := q.variable(out[i].Path)
		if v < 0 || !q.open(&out[i]) {
			continue
		}
		if q.wide == nil {
			q.wide = m.pooled.Expect(r, at, nearlyAll)
			q.evidence(out)
		}
		q.weigh(&out[i], &q.wide[i], v, confidence)
	}
	return out
}

// nearlyAll is the confidence at which the pooled model lists every candidate.
const nearlyAll = 1 - 1e-9

// question is what is asked of one resource at one time.
type question struct {
	m     *Model
	k     *kind
	l     *learned
	own   *resource // nil if it is unknown
	shown *penumbra.Resource
	at    time.Time
	wide  []penumbra.Expectation
	row   Row
}

// variable returns the number of the path's variable, -1 if it has none.
func (q *question) variable(path string) int {
	p, ok := q.k.paths[path]
	if !ok {
		return -1
	}
	i := slices.IndexFunc(q.l.Settings, func(s settingVariable) bool { return s.Path == p })
	if i < 0 {
		return -1
	}
	return patterns + i
}

// open reports whether the network may say something of the setting.
func (q *question) open(e *penumbra.Expectation) bool {
	switch template, declared := q.shown.Template.Find(e.Path); {
	case declared && !template.Value.IsNull(), e.Habit, e.Interval != nil:
		return false
	case q.own == nil || !q.own.Looked:
		return true
	case slices.Contains(q.own.Accepted, e.Path):
		return false
	default:
		x, there := penumbra.Settings(q.own.Actual).Find(e.Path)
		// A full look that did not have it expects it to be absent.
		return there && e.Contains(x.Value) || !there && !q.own.Full
	}
}

// evidence fills the row: patterns, and of the settings what the code declares
// or was there before and is not away.
func (q *question) evidence(sets []penumbra.Expectation) {
	q.row = q.l.Network.Unobserved()
	states := q.own.patternsAt(q.at.Unix())
	copy(q.row, states[:])
	for _, e := range sets {
		v := q.variable(e.Path)
		if v < 0 {
			continue
		}
		value := q.shown.Template.Get(e.Path)
		if value.IsNull() && q.own != nil {
			if x, ok := penumbra.Settings(q.own.Actual).Find(e.Path); ok && e.Contains(x.Value) {
				value = x.Value
			}
		}
		if !value.IsNull() && value.Kind() != penumbra.UnknownKind {
			q.row[v] = (*Scale)(&q.l.Settings[v-patterns].Scale).State(value)
		}
	}
}

// weigh mixes the values that the setting would take, were it not to stay, with
// the network's posterior: by the cases behind it. A present value keeps its
// probability of staying.
func (q *question) weigh(e, wide *penumbra.Expectation, v int, confidence float64) {
	given := slices.Clone(q.row)
	given[v] = Missing
	n := q.l.Network
	posterior, err := n.Posterior(v, given)
	if err != nil {
		return // too dense: the pooled answer stands
	}
	cases, err := n.support(v, 0, given)
	if err != nil {
		return
	}
	var present penumbra.Value
	known := false
	if q.own != nil {
		if x, ok := penumbra.Settings(q.own.Actual).Find(e.Path); ok {
			present, known = x.Value, true
		}
	}
	candidates, novel := (*Scale)(&q.l.Settings[v-patterns].Scale).Candidates(posterior)
	moved := 1.0
	var out []penumbra.Candidate
	if known {
		candidates, novel = without(candidates, novel, present)
		i := slices.IndexFunc(wide.Values, func(c penumbra.Candidate) bool { return c.Value == present })
		if i < 0 {
			return
		}
		out = append(out, wide.Values[i])
		moved = 1 - wide.Values[i].Probability
	}
	share := cases / (cases + caution)
	add := func(v penumbra.Value, p float64) {
		if i := slices.IndexFunc(out, func(c penumbra.Candidate) bool { return c.Value == v }); i >= 0 {
			out[i].Probability += p
		} else if p > 0 {
			out = append(out, penumbra.Candidate{Value: v, Probability: p})
		}
	}
	for _, c := range wide.Values {
		if !known || c.Value != present {
			add(c.Value, (1-share)*c.Probability)
		}
	}
	for _, c := range candidates {
		add(c.Value, share*moved*c.Probability)
	}
	rest := (1-share)*wide.NovelProbability + share*moved*novel
	forced := known && e.Novel // while an apply is under way anything is possible
	e.Values, e.Novel = cut(out, rest, confidence)
	e.Novel = e.Novel || forced
	e.NovelProbability = rest
}

// without takes a value out of a distribution; what is left sums to 1 again.
func without(candidates []penumbra.Candidate, novel float64, v penumbra.Value) ([]penumbra.Candidate, float64) {
	out := slices.DeleteFunc(candidates, func(c penumbra.Candidate) bool { return c.Value == v })
	sum := novel
	for _, c := range out {
		sum += c.Probability
	}
	if sum <= 0 {
		return nil, 1
	}
	for i := range out {
		out[i].Probability /= sum
	}
	return out, novel / sum
}

// cut sorts the candidates and keeps the fewest that reach the confidence, the
// likeliest first, counting something new as one of them. A value that is null
// is kept like any other.
func cut(out []penumbra.Candidate, rest, confidence float64) (kept []penumbra.Candidate, novel bool) {
	slices.SortFunc(out, func(a, b penumbra.Candidate) int {
		return cmp.Or(cmp.Compare(b.Probability, a.Probability), cmp.Compare(a.Value.Kind(), b.Value.Kind()), cmp.Compare(a.Value.Text(), b.Value.Text()))
	})
	const rounding = 1e-12
	var mass float64
	for i, x := range out {
		if mass >= confidence-rounding {
			return out[:i], novel
		}
		if !novel && rest > x.Probability {
			novel = true
			if mass += rest; mass >= confidence-rounding {
				return out[:i], novel
			}
		}
		mass += x.Probability
	}
	return out, novel || mass < confidence-rounding
}
