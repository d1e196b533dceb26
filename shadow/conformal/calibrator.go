package conformal

import (
	"math"
)

// Knots are the confidences at which a correction is kept; in between it is
// interpolated.
var Knots = [...]float64{0.5, 0.8, 0.9, 0.95, 0.99, 0.999}

// Options are the choices of a calibrator. The zero value is a good one.
type Options struct {
	// Life is the number of outcomes after which an earlier one weighs 1/e,
	// 2000 if 0.
	Life float64
	// Strength is how many outcomes of a group its parent's distribution is
	// worth, 50 if 0; the outermost is drawn so to a model that is right.
	Strength float64
	// Rate is how fast a correction follows what was missed, relative to the
	// misses expected, 0.005 if 0, none if negative.
	Rate float64
}

// Group is a group of settings that are calibrated together, and the wider one
// that it is drawn to. The widest, of all there is, has no name.
type Group struct{ Name, Parent string }

// Outcome is what came of an answer.
type Outcome struct {
	Group Group
	// Low is the mass of what comes before the value that came about, High that
	// mass and its own, both in [0, 1]: the score is spread evenly between them,
	// as a smoothed conformal predictor draws it. Where sets are not smoothed, and
	// so hold a value as soon as the level is above Low, High is Low.
	Low, High float64
	// Weight is how much it counts in the distribution, 1 if 0: what happens
	// together, as the parts of one sweep, is less than as many outcomes. What was
	// missed counts in full.
	Weight float64
}

// Calibrator turns confidences into levels and back.
type Calibrator struct {
	options Options
	groups  map[string]*group
}

// New returns a calibrator that knows nothing: a level is the confidence.
func New(o Options) *Calibrator {
	if o.Life <= 0 {
		o.Life = 2000
	}
	if o.Strength <= 0 {
		o.Strength = 50
	}
	if o.Rate == 0 {
		o.Rate = 0.005
	}
	return &Calibrator{options: o, groups: map[string]*group{}}
}

// group is what is kept of one group.
type group struct {
	counts [bins]float32
	debt   [len(Knots)]float32 // misses beyond those allowed, decayed
}

// The bins of scores are of equal width in log odds, so that they are fine where
// confidences are high.
const (
	reach = 10.0 // log odds beyond which all are one
	width = 0.25
	bins  = int(2*reach/width) + 2
)

var edges = func() (e [bins + 1]float64) {
	for i := 1; i < bins; i++ {
		e[i] = 1 / (1 + math.Exp(reach-width*float64(i-1)))
	}
	e[bins] = 1
	return e
}()

// binOf returns the bin of a score in [0, 1].
func binOf(score float64) int {
	switch {
	case score < edges[1]:
		return 0
	case score >= edges[bins-1]:
		return bins - 1
	}
	return min(bins-2, max(1, 1+int((math.Log(score/(1-score))+reach)/width)))
}

// shares is the distribution of a group's scores.
type shares [bins]float64

// distribution returns that of a group, drawn to its parent's.
func (c *Calibrator) distribution(chain *[3]*group) shares {
	var s shares
	for i := range s {
		s[i] = edges[i+1] - edges[i] // a model that is right
	}
	for _, x := range chain {
		if x == nil {
			continue
		}
		n := c.options.Strength
		for i := range s {
			s[i] *= c.options.Strength
			s[i] += float64(x.counts[i])
			n += float64(x.counts[i])
		}
		for i := range s {
			s[i] /= n
		}
	}
	return s
}

// chain returns the groups that an outcome counts for, the widest first; nil
// where nothing is known of one.
func (c *Calibrator) chain(g Group) [3]*group {
	all := [3]*group{c.groups[""]}
	if g.Parent != "" {
		all[1] = c.groups[g.Parent]
	}
	if g.Name != "" && g.Name != g.Parent {
		all[2] = c.groups[g.Name]
	}
	return all
}

// quantile returns the least score that the share of all is below.
func (s *shares) quantile(share float64) float64 {
	sum := 0.0
	for i, x := range s {
		if sum+x >= share && x > 0 {
			return edges[i] + (edges[i+1]-edges[i])*max(0, share-sum)/x
		}
		sum += x
	}
	return 1
}

// below returns the share of the scores that are below the level.
func (s *shares) below(level float64) float64 {
	level = min(1, max(0, level))
	sum := 0.0
	for i, x := range s {
		if level < edges[i+1] {
			return sum + x*(level-edges[i])/(edges[i+1]-edges[i])
		}
		sum += x
	}
	return 1
}

// most and slack bound the sum of the corrections, in log odds: sets may become
// much wider, to make up for what was missed, but only a little narrower: a long
// stretch without a miss is no licence for the next sweep.
const (
	most  = 5
	slack = 1
)

// corrections returns those of the groups together, in log odds. They never turn
// the order of confidences round.
func (c *Calibrator) corrections(chain *[3]*group) [len(Knots)]float64 {
	var out [len(Knots)]float64
	for k := range out {
		for _, g := range chain {
			if g != nil {
				out[k] += max(0, c.options.Rate) * float64(g.debt[k]) / (1 - Knots[k])
			}
		}
		out[k] = min(most, max(-slack, out[k]))
		if k > 0 {
			out[k] = max(out[k], out[k-1]-0.99*(logOdds(Knots[k])-logOdds(Knots[k-1])))
		}
	}
	return out
}

// knotOdds are the knots in log odds.
var knotOdds = func() (z [len(Knots)]float64) {
	for k, confidence := range Knots {
		z[k] = logOdds(confidence)
	}
	return z
}()

// corrected returns the confidence that has to be asked of the distribution. It
// is a line between knots, in log odds, so that it rises with the confidence.
func (s *Scale) corrected(confidence float64) float64 {
	return across(&knotOdds, &s.asked, confidence)
}

// across maps log odds by the lines that join the knots; beyond the outermost
// what is added stays as it is there.
func across(from, to *[len(Knots)]float64, p float64) float64 {
	x := logOdds(p)
	knot := 0
	for knot < len(Knots)-2 && x > from[knot+1] {
		knot++
	}
	w := min(1, max(0, (x-from[knot])/(from[knot+1]-from[knot])))
	near := from[knot] + w*(from[knot+1]-from[knot])
	return 1 / (1 + math.Exp(-(x-near)-to[knot]-w*(to[knot+1]-to[knot])))
}

func logOdds(p float64) float64 {
	p = min(1-1e-9, max(1e-9, p))
	return math.Log(p / (1 - p))
}

// Scale is the calibration of one group as of when it was asked for.
type Scale struct {
	shares shares
	asked  [len(Knots)]float64 // what is asked of the shares at each knot, in log odds
}

// Scale returns the calibration of a group.
func (c *Calibrator) Scale(g Group) Scale {
	chain := c.chain(g)
	s := Scale{shares: c.distribution(&chain), asked: c.corrections(&chain)}
	for k, z := range knotOdds {
		s.asked[k] += z
	}
	return s
}

// Level returns the level to ask a model for, so that what it answers holds with
// the confidence, both in [0, 1].
func (s *Scale) Level(confidence float64) float64 {
	return s.shares.quantile(s.corrected(confidence))
}

// Mass returns the confidence with which an answer at the level holds: the
// inverse of Level.
func (s *Scale) Mass(level float64) float64 {
	if level <= 0 || level >= 1 {
		return min(1, max(0, level))
	}
	share := s.shares.below(level)
	return across(&s.asked, &knotOdds, share)
}

// Level returns the level to ask a model for about a setting of the group.
func (c *Calibrator) Level(g Group, confidence float64) float64 {
	s := c.Scale(g)
	return s.Level(confidence)
}

// Learn takes in what came of answers that were all given before any of it was
// known.
func (c *Calibrator) Learn(outcomes []Outcome) {
	missed := map[*group]*misses{}
	levels := map[Group]*[len(Knots)]float64{}
	for i := range outcomes {
		o := &outcomes[i]
		l := levels[o.Group]
		if l == nil {
			l = new([len(Knots)]float64)
			s := c.Scale(o.Group)
			for k, confidence := range Knots {
				l[k] = s.Level(confidence)
			}
			levels[o.Group] = l
		}
		for _, g := range c.open(o.Group) {
			if g == nil {
				continue
			}
			m := missed[g]
			if m == nil {
				m = &misses{}
				missed[g] = m
			}
			m.n++
			for k := range Knots {
				m.sum[k] += 1 - held(o, l[k])
			}
		}
	}
	for i := range outcomes {
		for _, g := range c.open(outcomes[i].Group) {
			if g != nil {
				g.count(&outcomes[i], c.options.Life)
			}
		}
	}
	for g, m := range missed {
		g.settle(m, &c.options)
	}
}

// debtLives is how much longer than counts debts are kept.
const debtLives = 20

// misses counts, at each knot, what of a batch was missed.
type misses struct {
	n   float64
	sum [len(Knots)]float64
}

// held returns the share of the outcome's score that is below the level.
func held(o *Outcome, level float64) float64 {
	switch {
	case level > o.High || level >= 1:
		return 1
	case level <= o.Low:
		return 0
	}
	return (level - o.Low) / (o.High - o.Low)
}

// open returns the groups of an outcome, made if they are new.
func (c *Calibrator) open(g Group) [3]*group {
	for _, name := range [...]string{"", g.Parent, g.Name} {
		if c.groups[name] == nil {
			c.groups[name] = &group{}
		}
	}
	return c.chain(g)
}

// count adds an outcome to the distribution.
func (g *group) count(o *Outcome, life float64) {
	weight := o.Weight
	if weight <= 0 {
		weight = 1
	}
	keep := float32(math.Exp(-weight / life))
	for i := range g.counts {
		g.counts[i] *= keep
	}
	low, high := min(1, max(0, o.Low)), min(1, max(0, o.High))
	first, last := binOf(low), binOf(high)
	if first >= last {
		g.counts[first] += float32(weight)
		return
	}
	for i := first; i <= last; i++ {
		g.counts[i] += float32(weight * max(0, min(high, edges[i+1])-max(low, edges[i])) / (high - low))
	}
}

// settle adds what was missed beyond what is allowed to the debt: the sum of the
// steps of adaptive conformal inference. It has no upper bound, only what follows
// of it has, so that what one sweep missed is made up for in full; below it stops
// where the correction does.
func (g *group) settle(m *misses, o *Options) {
	if o.Rate <= 0 {
		return
	}
	keep := math.Pow(1-1/(debtLives*o.Life), m.n)
	for k, confidence := range Knots {
		allowed := 1 - confidence
		debt := float64(g.debt[k])*keep + m.sum[k] - allowed*m.n
		g.debt[k] = float32(max(debt, -slack*allowed/o.Rate))
	}
}
