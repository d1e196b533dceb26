package mixture

import (
	"time"

	"github.com/penumbra-iac/penumbra"
	"github.com/penumbra-iac/penumbra/shadow"
	"github.com/penumbra-iac/penumbra/shadow/excitation"
	"github.com/penumbra-iac/penumbra/shadow/rnn"
)

// view is what is seen of one resource at one time, and what each expert says
// of it. Its memory is reused.
type view struct {
	looks     []shadow.Look
	answers   []answer
	questions []rnn.Question
	replies   []rnn.Answer
}

// answer is what is said of one setting, as log odds of a change within each
// horizon.
type answer struct {
	offset   [horizons]float32 // of the counts, by interval
	each     [experts][horizons]float64
	raw      float64 // of the pool before its recalibration, within the last horizon
	pool     [horizons]float64
	without  [horizons]float64 // the pool that lacks the network
	level    [horizons]float64 // the pool, recalibrated, before the contrasts
	base     [horizons]float64 // the same less what they move the class by
	contrast contrast
	ratio    [horizons]float64 // logarithm of the odds ratio that the contrast gives
	word     [horizons][candidates]float64
}

// look visits a resource and asks every expert about all its settings.
func (v *view) look(m *Model, r *penumbra.Resource, at time.Time) {
	v.looks = v.looks[:0]
	m.counts.Visit(r, at, func(l *shadow.Look) { v.looks = append(v.looks, *l) })
	v.ask(m)
}

// ask lets every expert answer for all looks, which are of one resource.
func (v *view) ask(m *Model) {
	if len(v.looks) == 0 {
		v.answers = v.answers[:0]
		return
	}
	v.askFrom(m, m.stateOf(v.looks[0].Number))
}

// askFrom does so from a state of the network.
func (v *view) askFrom(m *Model, state []float32) {
	n := len(v.looks)
	v.answers = resize(v.answers, n)
	v.questions = resize(v.questions, n)
	v.replies = resize(v.replies, n)
	w := m.weightsOf(v.looks[0].Type)
	for i := range v.looks {
		v.statistics(m, &v.looks[i], &v.answers[i], &v.questions[i], w)
	}
	if !m.options.NoNetwork {
		m.net.AskAll(state, v.questions, v.replies, &m.scratch)
	}
	for i := range v.answers {
		a := &v.answers[i]
		a.each[network] = a.each[plain]
		if !m.options.NoNetwork {
			var h hazards
			for k, z := range v.replies[i].Hazard {
				h[k] = float64(z)
			}
			a.each[network] = h.within()
		}
		a.contrast = m.centers[v.looks[i].Tokens[0]].from(&v.looks[i].Features)
		v.join(m, w, a)
		v.speak(m, &v.looks[i], a)
	}
}

// statistics lets the experts that need no state answer.
func (v *view) statistics(m *Model, l *shadow.Look, a *answer, q *rnn.Question, w *weights) {
	a.offset = offsets(&l.Survival)
	var first, second, third hazards
	x := excitation.Of(l.Survival[last], &l.Recent)
	for k := range horizons {
		a.each[counts][k] = logOdds(1 - l.Survival[k])
		first[k] = m.plain[k].LogOdds(float64(a.offset[k]), l.Features[:])
		second[k] = m.tempered[k].LogOdds(float64(a.offset[k]), l.Features[:])
		third[k] = m.excited.LogOdds(k, &x)
		o := opinions{counts: float64(a.offset[k]), plain: first[k], tempered: second[k], excited: third[k]}
		q.Offset[k] = float32(w.without(network, &o))
	}
	a.each[plain], a.each[tempered], a.each[excited] = first.within(), second.within(), third.within()
	q.Dense, q.Tokens = l.Features[:], l.Tokens[:]
}

// join pools what the experts say.
func (v *view) join(m *Model, w *weights, a *answer) {
	for k := range horizons {
		var o opinions
		for e := range o {
			o[e] = a.each[e][k]
		}
		z := w.join(&o)
		a.level[k] = m.recalibrated(z)
		a.without[k] = m.recalibrated(w.without(network, &o))
		if k == last {
			a.raw = z
		}
	}
}

func resize[T any](s []T, n int) []T {
	if cap(s) < n {
		return make([]T, n, n+n/2)
	}
	return s[:n]
}
