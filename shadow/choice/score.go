package choice

import (
	"math"

	"github.com/penumbra-iac/penumbra"
)

// The features of a candidate: the log odds and the presence of each origin,
// then these.
const (
	best           = 2*int(origins) + iota // log odds of the best origin
	together                               // that any origin is right, were they independent
	agreeing                               // how many origins give it
	fresh                                  // changed to of late, half-life 5 d
	seasonal                               // the same, half-life 90 d
	moveShare                              // share of those with this value that went there
	moveCount                              // how many did
	heldShare                              // share of peers that have it
	isNewer                                // a newer version
	isOlder                                // an older one
	isLike                                 // what stands around the version is the same
	isMajor                                // the first number of the version is the same
	isMinor                                // the first two are
	isSimilar                              // share of the words that are the same
	isBegun                                // share of the text that begins the same
	isLong                                 // how much longer
	isShort                                // how much shorter
	abandoned                              // how many peers left it
	abandonedFresh                         // how lately
	arrived                                // how many peers changed to it of the last
	isKind                                 // of the same kind
	isForm                                 // of the same form
	unknown                                // something new: the rest is about it
	unknownRival                           // log odds of the best of the others
	unknownMany                            // how many others there are
	features
)

// The shape of the log odds as features.
const logOddsScale = 1.0 / 3

// weights are those of the conditional logit: of all forms, and what each form
// adds to them.
type weights struct {
	W, G []float32 // forms+1 rows of features: weight, sum of squared gradients
}

func newWeights() weights {
	w := weights{W: make([]float32, (int(forms)+1)*features), G: make([]float32, (int(forms)+1)*features)}
	w.W[best] = 1 / logOddsScale
	return w
}

// row returns where a form's own weights begin; the shared ones are at 0.
func row(f form) int { return (int(f) + 1) * features }

func logit(p float64) float64 {
	p = min(1-1e-4, max(1e-4, p))
	return math.Log(p / (1 - p))
}

// rate returns how often a origin is right for a class.
func (m *Model) rate(s origin, q *question) float64 {
	estate := m.estate.of(s, priorRates[s], estateStrength)
	form := m.forms[q.form].of(s, estate, formStrength)
	return q.rates().of(s, m.names[q.token].of(s, form, tokenStrength), classStrength)
}

func (q *question) rates() *rates {
	if q.known == nil {
		return nil
	}
	return &q.known.Rates
}

// judge computes features and probabilities of what was gathered.
func (m *Model) judge(g *gathering, q *question) {
	var rate [origins]float64
	for s := range origins {
		rate[s] = m.rate(s, q)
	}
	n := len(g.candidates)
	g.features = resize(g.features, n*features)
	clear(g.features)
	g.scores, g.chances = resize(g.scores, n), resize(g.chances, n)
	rival := logit(0)
	for i := n - 1; i >= 0; i-- {
		x := g.features[i*features:][:features]
		m.describe(x, &g.candidates[i], g, q, &rate)
		if i > 0 {
			rival = max(rival, float64(x[best])/logOddsScale)
		} else {
			x[unknown], x[unknownRival] = 1, float32(rival*logOddsScale)
			x[unknownMany] = float32(math.Log1p(float64(n-1)) / 3)
		}
		g.scores[i] = m.weights.score(x, q.form, q.known)
	}
	softmax(g.chances, g.scores)
}

// describe sets the features of a candidate.
func (m *Model) describe(x []float32, c *candidate, g *gathering, q *question, rate *[origins]float64) {
	top, none, given := logit(0), 1.0, 0.0
	for s := range origins {
		if c.share[s] == 0 {
			continue
		}
		p := rate[s] * float64(c.share[s])
		z := logit(p)
		x[s], x[int(origins)+int(s)] = float32(z*logOddsScale), 1
		top = max(top, z)
		none *= 1 - min(0.999, p)
		given++
	}
	x[best], x[together] = float32(top*logOddsScale), float32(logit(1-none)*logOddsScale)
	if c.value.IsNull() {
		return
	}
	x[agreeing] = float32(given / 5)
	if c.at != 0 {
		days := float64(max(0, q.second-c.at)) / 86400
		x[fresh], x[seasonal] = float32(math.Exp2(-days/5)), float32(math.Exp2(-days/90))
	}
	if c.moves > 0 {
		x[moveShare], x[moveCount] = c.moves/g.moved, float32(math.Log1p(float64(c.moves))/3)
	}
	x[heldShare] = c.held
	if q.versioned {
		if v, ok := parse(c.value); ok && v.like(&q.version) {
			x[isLike] = 1
			if v.parts[0] == q.version.parts[0] {
				x[isMajor] = 1
				if v.n > 1 && q.version.n > 1 && v.parts[1] == q.version.parts[1] {
					x[isMinor] = 1
				}
			}
			if order := v.compare(&q.version); order > 0 {
				x[isNewer] = 1
			} else if order < 0 {
				x[isOlder] = 1
			}
		}
	}
	x[isSimilar], x[isBegun] = similarity(c.value.Text(), q.from.Text())
	if longer := math.Log(float64(len(c.value.Text())+1) / float64(len(q.from.Text())+1)); longer > 0 {
		x[isLong] = float32(min(2, longer))
	} else {
		x[isShort] = float32(min(2, -longer))
	}
	if n, at := q.known.left(c.value); n > 0 {
		x[abandoned] = float32(math.Log1p(float64(n)) / 3)
		x[abandonedFresh] = float32(math.Exp2(-float64(max(0, q.second-at)) / 86400 / 90))
	}
	x[arrived] = float32(math.Log1p(float64(c.arrived)) / 3)
	if c.value.Kind() == q.from.Kind() {
		x[isKind] = 1
	}
	if formOf(c.value) == q.form {
		x[isForm] = 1
	}
}

func (w *weights) score(x []float32, f form, c *class) float64 {
	own := w.W[row(f):][:features]
	var z float64
	for i, v := range x {
		if v != 0 {
			z += float64(v) * float64(w.W[i]+own[i])
		}
	}
	if c != nil && c.W != nil {
		for i, v := range x {
			z += float64(v) * float64(c.W[i])
		}
	}
	return z
}

func softmax(out, scores []float64) {
	top := math.Inf(-1)
	for _, z := range scores {
		top = max(top, z)
	}
	var sum float64
	for i, z := range scores {
		out[i] = math.Exp(z - top)
		sum += out[i]
	}
	for i := range out {
		out[i] /= sum
	}
}

// gradient adds that of the log loss if the candidate came about.
func (g *gathering) gradient(out []float64, chosen int) {
	for i := range g.candidates {
		d := g.chances[i]
		if i == chosen {
			d--
		}
		if d > -1e-7 && d < 1e-7 {
			continue
		}
		for k, v := range g.features[i*features:][:features] {
			if v != 0 {
				out[k] += d * float64(v)
			}
		}
	}
}

// step is AdaGrad's with the gradient of examples of a class and a form.
func (w *weights) step(gradient []float64, f form, c *class, rate float64) {
	if c.W == nil {
		c.W, c.G = make([]float32, features), make([]float32, features)
	}
	adagrad(w.W[:features], w.G[:features], gradient, rate)
	adagrad(w.W[row(f):][:features], w.G[row(f):][:features], gradient, rate)
	adagrad(c.W, c.G, gradient, rate*classRate)
}

// classRate is how fast a class learns its own part, to how fast all do: set on the
// first half of two estates.
const classRate = 0.5

func adagrad(w, squares []float32, gradient []float64, rate float64) {
	for k, d := range gradient {
		if d != 0 {
			squares[k] += float32(d * d)
			w[k] -= float32(rate * d / math.Sqrt(1+float64(squares[k])))
		}
	}
}

func resize[T any](s []T, n int) []T {
	if cap(s) < n {
		return make([]T, n, n+n/2)
	}
	return s[:n]
}

// find returns the candidate that has the value; that is something new if none
// has.
func (g *gathering) find(v penumbra.Value) int { return g.index[v] }
