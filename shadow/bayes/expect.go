package bayes

import (
	"cmp"
	"math"
	"slices"
	"time"

	"github.com/penumbra-iac/penumbra"
)

// caution is how many cases a network has to have behind an answer for half of
// its weight. It is a judgement.
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
	q := question{k: k, l: k.Learned, own: m.Resources[r.Address], shown: r}
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
	k     *kind
	l     *learned
	own   *resource // nil if it is unknown
	shown *penumbra.Resource
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

// evidence fills the row: of the settings what the code declares or was there
// before and is not away. When somebody asks says nothing of what a value should
// be, so patterns are left open.
func (q *question) evidence(sets []penumbra.Expectation) {
	q.row = q.l.Network.Unobserved()
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

// weigh applies Bayes' rule: the pooled model's probability of a value is the
// prior, and the network tells how likely the resource's other settings are with
// it, P(others | state) / P(others) = P(state | others) / P(state). That is
// raised to a power below 1 where few cases stand behind it. A present value
// keeps its probability of staying; what it may move to is weighed.
func (q *question) weigh(e, wide *penumbra.Expectation, v int, confidence float64) {
	ratios, ok := q.ratios(v)
	if !ok {
		return // too dense for exact inference: the pooled answer stands
	}
	scale := (*Scale)(&q.l.Settings[v-patterns].Scale)
	stays := -1
	if q.own != nil {
		if x, ok := penumbra.Settings(q.own.Actual).Find(e.Path); ok {
			stays = slices.IndexFunc(wide.Values, func(c penumbra.Candidate) bool { return c.Value == x.Value })
			if stays < 0 {
				return
			}
		}
	}
	out := slices.Clone(wide.Values)
	rest := wide.NovelProbability
	before, after := rest, rest
	if scale.Kind == 0 {
		after *= ratios[scale.other()]
		rest = after
	}
	for i := range out {
		if i == stays {
			continue
		}
		before += out[i].Probability
		if state := scale.State(out[i].Value); state != Missing {
			out[i].Probability *= ratios[state]
		}
		after += out[i].Probability
	}
	if after <= 0 {
		return
	}
	if before = min(before, 1); stays >= 0 {
		before = min(before, 1-out[stays].Probability)
	}
	rest *= before / after
	for i := range out {
		if i != stays {
			out[i].Probability *= before / after
		}
	}
	forced := stays >= 0 && e.Novel // while an apply is under way anything is possible
	e.Values, e.Novel = cut(out, rest, confidence)
	e.Novel = e.Novel || forced
	e.NovelProbability = rest
}

// ratios returns by how much the evidence makes each state of the variable
// likelier; ok is false if that cannot be answered.
func (q *question) ratios(v int) (out []float64, ok bool) {
	n := q.l.Network
	given := slices.Clone(q.row)
	given[v] = Missing
	after, err := n.Posterior(v, given)
	if err != nil {
		return nil, false
	}
	before, err := n.Posterior(v, n.Unobserved())
	if err != nil {
		return nil, false
	}
	cases, err := n.support(v, 0, given)
	if err != nil {
		return nil, false
	}
	power := cases / (cases + caution)
	for k := range after {
		out = append(out, math.Pow(after[k]/before[k], power))
	}
	return out, true
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
